"""Matplotlib drawing: figures show what the analysis computed, and compute nothing themselves."""
