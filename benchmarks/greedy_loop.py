"""Our greedy loop against `model.generate`: the same requests, the same tokens.

Beside both, the model's own part of the loop's time: vision tower and decoder blocks, which a loop
can only call. What they take of the time of `generate` is the floor of every loop that runs them
as they are.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter

import torch
from torch import nn

from benchmarks.bench import Bench, Inputs
from benchmarks.ratios import Array, interleaved, median_estimate
from benchmarks.row import Aim, Row
from m1.errors import UserError
from m1.profiling.run import no_search_through_the_model
from m1.schemas.requests import WORKLOADS, Workload
from m1.vlm.batching import only_greedy
from m1.vlm.engine import answer
from m1.vlm.loaded import LoadedVlm
from m1.vlm.loading import load_vlm
from m1.vlm.structure import VlmStructure

GROUP = "1. Greedy loop"
AIM = Aim(0.8)
N_REQUESTS = 80
COMPILERS = ("c++", "g++", "clang++")
NAMES = {"qa": "questions", "captioning": "captions"}
EAGER_LIMIT = (
    "The library's own modules: the next line is the floor of any loop that calls them one by one."
)
REMARK = (
    "**The greedy loop** writes the same tokens as `generate` in every request, or the run fails. "
    "The compiled one is compared on a model whose experts are computed by `grouped_mm`, by both "
    "ways, since a graph cannot choose experts on the host; compiling is not counted, as warm-up "
    "is not."
)
COMPILED_LIMIT = (
    "The prompt, which runs as the library wrote it: most of a question, little of a caption."
)


def rows(bench: Bench) -> list[Row]:
    """Both runtimes and the floor, for both workloads."""
    with no_search_through_the_model():
        eager = load_vlm(bench.params.model)
        found = [row for w in WORKLOADS for row in _eager_rows(bench, eager, w)]
        if not any(map(shutil.which, COMPILERS)):
            print("  the compiled loop: not measured, for there is no C++ compiler")
            return found
        return found + [_compiled_row(bench, w) for w in WORKLOADS]


def _eager_rows(bench: Bench, vlm: LoadedVlm, workload: Workload) -> Iterator[Row]:
    seconds = compare(bench, vlm, workload, with_floor=True)
    loop, floor = (seconds[way] / seconds["generate"] for way in ("loop", "modules"))
    compared = f"the loop, eager, over `generate`: {NAMES[workload]}"
    yield Row(GROUP, compared, median_estimate(loop, bench.rng), AIM, EAGER_LIMIT)
    compared = f"vision tower and blocks alone over `generate`: {NAMES[workload]}"
    yield Row(GROUP, compared, median_estimate(floor, bench.rng))


def _compiled_row(bench: Bench, workload: Workload) -> Row:
    changes = {"runtime": "compiled", "experts": "grouped_mm", "autotune": False}
    vlm = load_vlm(bench.params.model.model_copy(update=changes))
    seconds = compare(bench, vlm, workload, with_floor=False)
    compared = f"the loop, compiled, over `generate`: {NAMES[workload]}"
    ratios = seconds["loop"] / seconds["generate"]
    return Row(GROUP, compared, median_estimate(ratios, bench.rng), AIM, COMPILED_LIMIT)


def compare(
    bench: Bench, vlm: LoadedVlm, workload: Workload, *, with_floor: bool
) -> dict[str, Array]:
    """Seconds of each way for each request.

    Raises:
        UserError: if two ways write different tokens, and are no match for each other.
    """
    longest = bench.params.profile.max_new_tokens.of(workload)
    requests = bench.requests(workload, bench.n(N_REQUESTS))
    inputs = [bench.encoded(vlm, workload, request) for request in requests]
    written: dict[int, tuple[int, ...]] = {}

    def checked(i: int, tokens: tuple[int, ...]) -> None:
        if written.setdefault(i, tokens) != tokens:
            raise UserError(f"{requests[i].request_id}: the ways to answer it differ in tokens")

    def timed(way: Callable[[LoadedVlm, Inputs, int], tuple[int, ...]]) -> Callable[[int], float]:
        def seconds(i: int) -> float:
            started = perf_counter()
            tokens = way(vlm, inputs[i], longest)
            elapsed = perf_counter() - started
            checked(i, tokens)
            return elapsed

        return seconds

    def in_modules(i: int) -> float:
        with modules_timed(vlm.structure) as spent:
            checked(i, loop(vlm, inputs[i], longest))
        return sum(spent)

    ways = {"loop": timed(loop), "generate": timed(generate)}
    ways |= {"modules": in_modules} if with_floor else {}
    return interleaved(ways, len(inputs), bench.rng, n_warm=3)


def loop(vlm: LoadedVlm, inputs: Inputs, longest: int) -> tuple[int, ...]:
    """Tokens by the project's engine."""
    return answer(vlm, inputs, longest).tokens


@torch.inference_mode()
def generate(vlm: LoadedVlm, inputs: Inputs, longest: int) -> tuple[int, ...]:
    """Tokens by the library."""
    with only_greedy(vlm):
        output = vlm.model.generate(**inputs, max_new_tokens=longest)  # type: ignore[operator]
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


@contextmanager
def modules_timed(structure: VlmStructure) -> Iterator[list[float]]:
    """Seconds of every call of the vision tower, and of the blocks one after another."""
    spent: list[float] = []

    def begin(*_: object) -> None:
        spent.append(-perf_counter())

    def end(*_: object) -> None:
        spent[-1] += perf_counter()

    def between(first: nn.Module, last: nn.Module) -> None:
        undo.callback(first.register_forward_pre_hook(begin).remove)
        undo.callback(last.register_forward_hook(end).remove)

    with ExitStack() as undo:
        between(structure.vision_tower, structure.vision_tower)
        between(structure.blocks[0], structure.blocks[-1])
        yield spent
