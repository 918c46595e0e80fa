"""Tiny vision-language models of many families, with random weights and real processors."""
