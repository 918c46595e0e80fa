"""The checks that decide whether a run is valid."""
