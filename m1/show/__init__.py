"""The output of `m1 show` and `m1 schema`."""
