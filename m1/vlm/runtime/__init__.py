"""Run prompts and decode steps: eagerly, compiled, or as recorded graphs."""
