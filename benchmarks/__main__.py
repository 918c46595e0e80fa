"""Our greedy loop against `model.generate`: the same requests, interleaved, as a ratio."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.progress import track

from m1.errors import run_command
from m1.files import read_record
from m1.params import load_params
from m1.schemas.requests import WORKLOADS, Request, RequestSet, Workload
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.images import open_image
from m1.vlm.loaded import LoadedVlm
from m1.vlm.loading import load_vlm

N_RESAMPLES = 2000
Inputs = dict[str, torch.Tensor]


def main(
    n_requests: Annotated[int, typer.Option(help="Requests of each workload.")] = 60,
    requests: Annotated[Path, typer.Option(help="Prepared requests.")] = Path("data/requests"),
) -> None:
    """Time each request both ways, in random order, and print the ratio for each workload."""
    params = load_params(Path("params.yaml"))
    vlm = load_vlm(params.model)
    rng = np.random.default_rng(0)
    for workload in WORKLOADS:
        prepared = read_record(RequestSet, requests / workload / "requests.json")
        longest = params.profile.max_new_tokens.of(workload)
        chosen = prepared.requests[:n_requests]
        ratios, differing = compare(vlm, chosen, requests / workload, longest, workload, rng)
        low, high = interval(ratios, rng)
        print(
            f"{workload}: greedy loop / generate = {np.median(ratios):.3f} "
            f"(95 % interval of the median {low:.3f} to {high:.3f}, {len(ratios)} requests, "
            f"{differing} with other tokens)"
        )


def compare(
    vlm: LoadedVlm,
    chosen: tuple[Request, ...],
    folder: Path,
    longest: int,
    workload: Workload,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Ratio of times for each request, and how many got other tokens."""
    ways = (lambda i: ours(vlm, i, longest), lambda i: generated(vlm, i, longest))
    ratios, differing = [], 0
    for request in track((*chosen[:3], *chosen), description=workload):
        inputs = encode(vlm, open_image(folder / request.image), request.prompt)
        order = rng.permutation(2)
        runs = {int(way): timed(ways[way], inputs) for way in order}
        differing += runs[0][1] != runs[1][1]
        ratios.append(runs[0][0] / runs[1][0])
    # The first three warm up.
    return np.array(ratios[3:]), differing


def timed(
    way: Callable[[Inputs], tuple[int, ...]], inputs: Inputs
) -> tuple[float, tuple[int, ...]]:
    """Seconds and tokens of one way."""
    started = perf_counter()
    tokens = way(inputs)
    return perf_counter() - started, tokens


def ours(vlm: LoadedVlm, inputs: Inputs, longest: int) -> tuple[int, ...]:
    """Tokens by the project's engine."""
    return answer(vlm, inputs, longest).tokens


@torch.inference_mode()
def generated(vlm: LoadedVlm, inputs: Inputs, longest: int) -> tuple[int, ...]:
    """Tokens by the library."""
    model: Any = vlm.model
    output = model.generate(**inputs, do_sample=False, max_new_tokens=longest)
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


def interval(ratios: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % percentile interval of the median by the bootstrap."""
    resamples = rng.choice(ratios, (N_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(resamples, axis=1), (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    run_command(main)
