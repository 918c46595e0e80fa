"""Measurements of the program itself. Alternatives are compared side by side in one run."""
