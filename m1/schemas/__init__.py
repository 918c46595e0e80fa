"""Strict, frozen models of every record and result file."""
