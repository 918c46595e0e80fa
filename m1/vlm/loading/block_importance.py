"""Scores of the decoder blocks, by which some policies choose the active blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from m1.errors import UserError
from m1.kept import (
    PACKAGE,
    find,
    keep,
    library_versions,
    shared_folder,
    source_fingerprint,
)
from m1.params import KnobParams
from m1.plain_text import tell
from m1.prepared import Prepared
from m1.schemas.importance import BlockImportance, ImportanceKey
from m1.vlm.at_setting import AtSetting
from m1.vlm.block_policies import BlockPolicy, by_importance, evenly_spaced, first
from m1.vlm.engine import NotFiniteError
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.eager import EagerRuntime
from m1.vlm.structure import VlmStructure

CACHE = Path(".m1/importance")
CODE = (PACKAGE / "vlm", PACKAGE / "images.py")
"""The source code that makes scores."""

Requests = Callable[[], Sequence[dict[str, Tensor]]]


def with_block_policy(
    vlm: LoadedVlm, knobs: KnobParams, requests: Requests, name: str
) -> LoadedVlm:
    """The model with the policy that chooses the active blocks.

    Args:
        vlm: the model.
        knobs: names the policy.
        requests: gives encoded requests, if the policy needs scores of the blocks.
        name: identifies the requests in the cache of scores.
    """
    policy = _policy(vlm, knobs, requests, name)
    return replace(vlm, structure=replace(vlm.structure, block_policy=policy))


def _policy(vlm: LoadedVlm, knobs: KnobParams, requests: Requests, name: str) -> BlockPolicy:
    if knobs.block_policy == "evenly_spaced":
        return evenly_spaced
    if knobs.block_policy == "first":
        return first
    return by_importance(cached_importance(vlm, requests, name).scores)


def cached_importance(vlm: LoadedVlm, requests: Requests, name: str) -> BlockImportance:
    """The blocks' scores. They are cached for the same model and the same requests."""
    key, folder = _key(vlm, name), shared_folder(CACHE, Path.cwd())
    if kept := find(BlockImportance, key, folder):
        return kept
    tell("scoring decoder blocks with some requests, for knobs.block_policy = importance")
    encoded = requests()
    scores = block_influence(vlm, encoded)
    importance = BlockImportance(key=key, n_requests=len(encoded), scores=scores)
    keep(importance, folder)
    return importance


def _key(vlm: LoadedVlm, name: str) -> ImportanceKey:
    config: Any = vlm.structure.language_model.config
    return ImportanceKey(
        model_fingerprint=vlm.fingerprint,
        requests=name,
        device_type=vlm.device.type,
        dtype=str(vlm.model.dtype),
        attention=config._attn_implementation,
        experts=getattr(config, "_experts_implementation", None),
        code=source_fingerprint(*CODE),
        versions=library_versions(),
    )


@torch.inference_mode()
def block_influence(vlm: LoadedVlm, requests: Iterable[dict[str, Tensor]]) -> tuple[float, ...]:
    """Block influence: one minus the mean cosine between a block's input and output.

    Men et al. 2024, "ShortGPT: Layers in Large Language Models are More Redundant Than You
    Expect" (arXiv:2403.03853), section 3. There is one forward pass for each request. The mean is
    over its positions.

    Returns:
        A score for each block, from 0 (it does not change the direction) to 2.

    Raises:
        UserError: if a block's input or output is not finite.
    """
    per_request = []
    for inputs in requests:
        with _cosines(vlm.structure) as cosines:
            EagerRuntime(vlm.model).prefill(inputs)
        per_request.append([1 - cosines[index] for index in range(len(vlm.structure.blocks))])
    scores = torch.tensor(per_request, dtype=torch.float64).mean(0)
    if not torch.isfinite(scores).all():
        error = NotFiniteError("what passes through the decoder blocks is", vlm)
        raise UserError(f"knobs.block_policy = importance: {error}: {error.advice}")
    return tuple(scores.tolist())


@contextmanager
def _cosines(structure: VlmStructure) -> Iterator[dict[int, float]]:
    """Mean cosine of input and output by index of the block, while it is open."""
    cosines: dict[int, float] = {}

    def compare(index: int) -> Any:  # noqa: ANN401 (a hook)
        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ANN401
            before = args[0] if args else kwargs["hidden_states"]
            after = output if isinstance(output, Tensor) else output[0]
            cosine = torch.nn.functional.cosine_similarity(before.float(), after.float(), dim=-1)
            cosines[index] = float(cosine.mean())

        return hook

    with ExitStack() as undo:
        for index, block in enumerate(structure.blocks):
            undo.callback(block.register_forward_hook(compare(index), with_kwargs=True).remove)
        yield cosines


def calibrated(vlm: LoadedVlm, knobs: KnobParams, prepared: Prepared) -> LoadedVlm:
    """The model with its block policy. Blocks are scored only if the policy needs scores."""
    n = knobs.calibration_requests
    name = " ".join([str(n), *(one.fingerprint for one in prepared.values())])
    return with_block_policy(vlm, knobs, lambda: list(_encoded(vlm, prepared, n)), name)


def _encoded(vlm: LoadedVlm, prepared: Prepared, n: int) -> Iterator[dict[str, Tensor]]:
    """The first requests of each workload."""
    for one in prepared.values():
        for request in one.requests[:n]:
            yield AtSetting(vlm).encode_request(one, request)
