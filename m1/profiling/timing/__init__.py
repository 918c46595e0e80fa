"""Time a request: clocks, marks at the stage boundaries, and the measured request."""
