"""Latency: stages, percentiles, jitter, knobs, parts of decode time, limits of the device."""
