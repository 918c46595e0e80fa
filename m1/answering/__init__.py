"""Answering requests over the whole grid, in batches, reusing what was answered before."""
