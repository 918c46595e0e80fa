"""Our greedy loop compared with `model.generate`: the same requests, the same tokens.

The time inside the vision tower and the decoder blocks is measured, too. A loop can only call these
modules. So their share of the time of `generate` is a lower bound for every loop that runs them
unchanged.
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
from m1.vlm.loading.load import load_vlm
from m1.vlm.model import LoadedVlm
from m1.vlm.structure import VlmStructure

GROUP = "1. Greedy loop"
AIM = Aim(0.8)
N_REQUESTS = 80
COMPILERS = ("c++", "g++", "clang++")
NAMES = {"qa": "questions", "captioning": "captions"}
EAGER_LIMIT = (
    "The library's own modules. The next line is the lower bound of any loop that calls them one "
    "by one."
)
REMARK = (
    "**The greedy loop** must write the same tokens as `generate` in every request, otherwise the "
    "run fails. The compiled loop is compared on a model whose experts are computed by "
    "`grouped_mm`, both in the loop and in `generate`, since a graph cannot choose experts on the "
    "host. Neither compiling nor warm-up is counted."
)
COMPILED_LIMIT = (
    "The prompt, which runs the library's code as it is. It takes most of the time of a question "
    "and little of the time of a caption."
)


def rows(bench: Bench) -> list[Row]:
    """Both runtimes and the lower bound, for both workloads."""
    with no_search_through_the_model():
        eager = load_vlm(bench.params.model)
        rows = [row for w in WORKLOADS for row in _eager_rows(bench, eager, w)]
        if not any(map(shutil.which, COMPILERS)):
            print("  the compiled loop is not measured: there is no C++ compiler")
            return rows
        return rows + [_compiled_row(bench, w) for w in WORKLOADS]


def _eager_rows(bench: Bench, vlm: LoadedVlm, workload: Workload) -> Iterator[Row]:
    seconds = compare(bench, vlm, workload, with_floor=True)
    loop, floor = (seconds[way] / seconds["generate"] for way in ("loop", "modules"))
    compared = f"time of the eager loop / time of `generate`: {NAMES[workload]}"
    yield Row(GROUP, compared, median_estimate(loop, bench.rng), AIM, EAGER_LIMIT)
    compared = f"time in vision tower and blocks / time of `generate`: {NAMES[workload]}"
    yield Row(GROUP, compared, median_estimate(floor, bench.rng))


def _compiled_row(bench: Bench, workload: Workload) -> Row:
    changes = {"runtime": "compiled", "experts": "grouped_mm", "autotune": False}
    vlm = load_vlm(bench.params.model.model_copy(update=changes))
    seconds = compare(bench, vlm, workload, with_floor=False)
    compared = f"time of the compiled loop / time of `generate`: {NAMES[workload]}"
    ratios = seconds["loop"] / seconds["generate"]
    return Row(GROUP, compared, median_estimate(ratios, bench.rng), AIM, COMPILED_LIMIT)


def compare(
    bench: Bench, vlm: LoadedVlm, workload: Workload, *, with_floor: bool
) -> dict[str, Array]:
    """Seconds that each way takes for each request.

    Raises:
        UserError: if two ways write different tokens, so that their times cannot be compared.
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
    """Tokens that the project's engine writes."""
    return answer(vlm, inputs, longest).tokens


@torch.inference_mode()
def generate(vlm: LoadedVlm, inputs: Inputs, longest: int) -> tuple[int, ...]:
    """Tokens that the library writes."""
    with only_greedy(vlm):
        output = vlm.model.generate(**inputs, max_new_tokens=longest)  # type: ignore[operator]
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


@contextmanager
def modules_timed(structure: VlmStructure) -> Iterator[list[float]]:
    """Collect the seconds of each call of the vision tower, and of each pass through the blocks."""
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
