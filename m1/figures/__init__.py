"""Matplotlib figures. They show results of the analysis, and compute nothing themselves."""
