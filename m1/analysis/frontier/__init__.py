"""The frontier of quality and latency: scores, dominance, shape, coupling of knobs."""
