"""Load a model and its processor, and check what was loaded."""
