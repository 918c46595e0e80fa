"""Requests of the two workloads, from generated scenes or from real datasets."""
