"""One thin command per pipeline stage: parse, load, call m1, write."""
