"""What `m1 show` and `m1 schema` print."""
