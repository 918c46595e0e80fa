"""The report: one page for a browser about one run."""
