"""The contrast of both workloads: evidence, findings, key questions, summary."""
