"""The report: the results of a run on one page for a browser."""
