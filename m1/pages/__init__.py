"""Shared tools for making pages for a browser."""
