"""Vision-language models: finding their stages and knobs, and greedy answers."""
