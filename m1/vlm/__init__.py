"""Vision-language models: where their stages and knobs are, and how they answer greedily."""
