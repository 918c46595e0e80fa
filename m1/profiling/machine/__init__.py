"""Readings of the machine between requests: CPU, GPU, and the watch that takes them."""
