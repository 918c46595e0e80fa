"""CUDA graphs: the kernels of a function, recorded once and replayed with one launch."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Number of runs before the recording. They tune kernels and set up libraries.
WARM_RUNS = 2

Replay = Callable[[], None]
Recorder = Callable[[Callable[[], Any], Sequence[Tensor]], tuple[Replay, Any]]
"""A function such as `record`, which makes a replay of a function."""


def record(run: Callable[[], Any], counts: Sequence[Tensor]) -> tuple[Replay, Any]:
    """Record the kernels of a function. The counters are restored afterwards.

    Args:
        run: reads and writes the same tensors each time, and never makes the host wait.
        counts: tensors that each run advances.

    Returns:
        A function that runs the kernels again, and the output of the recorded function. Its tensors
        hold the results of the latest replay.

    Raises:
        RuntimeError: if the host would wait for the GPU.
    """
    stream = torch.cuda.current_stream()
    before = [count.clone() for count in counts]
    side = torch.cuda.Stream()
    side.wait_stream(stream)
    with torch.cuda.stream(side):
        for _ in range(WARM_RUNS):
            run()
            for count, value in zip(counts, before, strict=True):
                count.copy_(value)
    stream.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, pool=_memory()):
            result = run()
    except Exception:
        # A recording that fails does not free its stream and its memory.
        torch.cuda.set_stream(stream)
        _memory.cache_clear()
        raise
    return graph.replay, result


@cache
def _memory() -> Any:  # noqa: ANN401 (a handle of torch)
    """The memory that all graphs share, since only one is replayed at a time."""
    return torch.cuda.graph_pool_handle()
