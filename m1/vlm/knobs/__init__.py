"""Turn the knobs of a model: visual tokens, experts per token, active blocks."""
