"""Facts that are measured once in a run: work, the device's rates, the comparison of runtimes."""
