"""Draws of the bootstrap, and the intervals that are made from them."""
