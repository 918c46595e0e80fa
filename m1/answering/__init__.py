"""Answer requests over the whole grid, in batches. Earlier answers are used again."""
