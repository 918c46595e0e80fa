"""Measuring requests: clocks, marks, schedule, the run, its validity and provenance."""
