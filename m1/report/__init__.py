"""The report: a run on one page for a browser."""
