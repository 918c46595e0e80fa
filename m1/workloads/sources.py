"""The sources of requests: each source's reader and prompt, and how a sample is drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from m1.errors import UserError
from m1.params import CaptioningData, WorkloadData
from m1.reading import shown
from m1.schemas.requests import Request, Workload
from m1.workloads.coco_captions import read_coco_captions
from m1.workloads.dataset import Dataset
from m1.workloads.jsonl import read_jsonl
from m1.workloads.official import is_upwards
from m1.workloads.vqa_v2 import read_vqa_v2

# What the model is asked where `data.<workload>.prompt` is null.
PROMPTS: dict[Workload, dict[str, str]] = {
    "qa": {
        "scenes": "{question}",
        "vqa-v2": "{question} Answer with one word or a short phrase.",
        "jsonl": "{question}",
    },
    "captioning": {
        "scenes": "Describe the image.",
        "coco-captions": "Describe the image in one sentence.",
        "jsonl": "{question}",
    },
}
# What `data.<workload>.annotations` names of a source.
FILES = {
    "vqa-v2": ("file of questions", "file of answers"),
    "coco-captions": ("file of captions",),
}


def check_source(workload: Workload, chosen: WorkloadData) -> None:
    """Check that the settings of a workload fit together.

    Raises:
        UserError: if they do not; the message has the key, its value and the allowed values.
    """
    key = f"data.{workload}"
    if chosen.source not in PROMPTS[workload]:
        *first, last = map(repr, PROMPTS[workload])
        allowed = f"{', '.join(first)} or {last}"
        raise UserError(f"{key}.source = {chosen.source!r}: {workload} takes {allowed}")
    if workload == "qa" and "{question}" not in _prompt_of(workload, chosen):
        raise UserError(
            f"{key}.prompt = {chosen.prompt!r}: the question is not in it; write {{question}} "
            "where it belongs"
        )
    _check_annotations(f"{key}.annotations", annotations_of(chosen) or (), chosen.source)


def _check_annotations(key: str, names: Sequence[str], source: str) -> None:
    if names and len(names) != len(FILES[source]):
        wanted = ", ".join(FILES[source])
        raise UserError(f"{key} = [{', '.join(names)}]: {source} takes [{wanted}], or null")
    if upwards := next(filter(is_upwards, names), None):
        raise UserError(f"{key} = {shown(upwards)}: name a file in the folder of the dataset")


def _prompt_of(workload: Workload, chosen: WorkloadData) -> str:
    """The prompt for the model: the one in the parameters, or the source's own."""
    return PROMPTS[workload][chosen.source] if chosen.prompt is None else chosen.prompt


def read_source(workload: Workload, chosen: WorkloadData, root: Path, made: Path) -> Dataset:
    """Read all requests of a workload.

    Args:
        workload: the workload.
        chosen: source and prompt.
        root: the dataset's file or folder, also for generated scenes.
        made: folder for pictures of which the source only gives the size.

    Raises:
        UserError: if a file has a mistake; the message names the file and says how to fix it.
    """
    prompt = _prompt_of(workload, chosen)
    if chosen.source == "jsonl":
        return read_jsonl(root, prompt, workload, made)
    if workload == "qa":
        return read_vqa_v2(root, prompt, annotations_of(chosen))
    scenes = chosen.source == "scenes"
    split = chosen.split if isinstance(chosen, CaptioningData) and not scenes else None
    return read_coco_captions(root, prompt, split, *(annotations_of(chosen) or ()))


def annotations_of(chosen: WorkloadData) -> Sequence[str] | None:
    """The annotation files that the parameters name; `None` for sources without such files."""
    return chosen.annotations if chosen.source in FILES else None


def draw_sample(
    workload: Workload, found: Sequence[Request], n_requests: int | None, seed: int
) -> list[Request]:
    """Some of the requests, or all, in the order of the dataset.

    A larger sample contains a smaller one.

    Raises:
        UserError: if there are fewer requests than asked for.
    """
    if n_requests is None:
        return list(found)
    if n_requests > len(found):
        raise UserError(
            f"data.{workload}.n_requests = {n_requests}: the dataset has {len(found)} requests; "
            f"set it to {len(found)} or fewer, or to null for all"
        )
    chosen = np.random.default_rng(seed).permutation(len(found))[:n_requests]
    return [found[i] for i in sorted(chosen)]
