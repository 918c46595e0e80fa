"""What M1 can do with a model family, measured on a tiny model of the family."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch
from families.common import photo
from families.registry import FAMILIES
from torch import Tensor, nn

from m1.profiling.timing.request import Timed, timed_with_marks
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.knobs.apply import applied
from m1.vlm.loading.load import ready
from m1.vlm.model import LoadedVlm
from m1.vlm.processing import count_visual_tokens
from m1.vlm.structure import TOP_K, find_structure

PHOTO, SMALL = photo(640, 480), photo(100, 60)
PROMPT = "What is this?"
N_TOKENS = 6
RTOL, ATOL = 1e-3, 1e-4


@cache
def family(name: str) -> LoadedVlm:
    """The tiny model of a family, as M1 loads it."""
    torch.set_num_threads(1)
    return ready(*FAMILIES[name](), torch.device("cpu"))


@dataclass(frozen=True)
class FamilyReport:
    """A row of the table of families."""

    family: str
    vision: str
    projector: str
    tokens_as_generate: str
    blocks: str
    fewer_blocks: str
    experts_per_token: str
    fewer_experts: str
    visual_tokens: str
    half_of_them: str
    fewer_by: str


def report(name: str) -> FamilyReport:
    """Describe what was found in a family, and what its knobs do."""
    vlm = family(name)
    structure = vlm.structure
    names = {id(module): path for path, module in vlm.model.named_modules()}
    native = n_visual(vlm, PHOTO)
    holders = structure.top_k_holders
    always = ", ".join(map(str, sorted(structure.required_blocks)))
    asked = native // 2
    return FamilyReport(
        family=name,
        vision=names[id(structure.vision_tower)],
        projector=names[id(structure.projectors[0])]
        + (f" and {len(structure.projectors) - 1} more" if structure.projectors[1:] else ""),
        tokens_as_generate=tokens_in_common(vlm),
        blocks=f"{len(structure.blocks)} ({always} stay)",
        fewer_blocks=", ".join(
            as_reference(*blocks_and_reference(vlm, *skipped)) for skipped in ((1,), (0, 1, 4))
        ),
        experts_per_token=str(holders[0].value) if holders else "dense",
        fewer_experts=as_reference(*top_k_and_reference(vlm, 1)) if holders else "refused",
        visual_tokens=f"{native}, {n_visual(vlm, SMALL)}",
        half_of_them=f"{asked}: {timed(vlm, Setting(vision_tokens=asked))[1]}",
        fewer_by=fewer_by(vlm),
    )


def tokens_in_common(vlm: LoadedVlm) -> str:
    """How many tokens of two answers equal those of `generate`."""
    encoded = [encode(vlm, image, PROMPT) for image in (PHOTO, SMALL)]
    pairs = [
        pair
        for inputs in encoded
        for pair in zip(answered(vlm, inputs), generated(vlm, inputs), strict=True)
    ]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)}"


def as_reference(ours: Tensor, reference: Tensor) -> str:
    """Whether logits equal those of a reference."""
    return "equal" if torch.allclose(ours, reference, rtol=RTOL, atol=ATOL) else "different"


def blocks_and_reference(vlm: LoadedVlm, *skipped: int) -> tuple[Tensor, Tensor]:
    """Logits without some blocks, and those of a model that never had them.

    Blocks whose keys later ones reuse are left in.
    """
    lenders = vlm.structure.required_blocks - {0, len(vlm.structure.blocks) - 1}
    skipped = tuple(index for index in skipped if index not in lenders)
    inputs = encode(vlm, PHOTO, PROMPT)
    fewer, setting = keeping(vlm, *skipped)
    with applied(fewer.structure, setting):
        ours = decoded_logits(vlm.model, inputs)
    if numbered_by_block(vlm, skipped):
        return ours, logits_without_cache(vlm, skipped, inputs, ours.argmax(-1))
    return ours, decoded_logits(rebuilt_without(vlm, *skipped), inputs)


def numbered_by_block(vlm: LoadedVlm, skipped: tuple[int, ...]) -> bool:
    """Whether something goes to blocks by their number, so that renumbering changes it.

    Visual features stacked onto the first blocks, or an embedding for each block.
    """
    stacked = getattr(vlm.structure.vision_tower, "deepstack_merger_list", ())
    per_block = hasattr(vlm.structure.language_model, "embed_tokens_per_layer")
    return per_block or any(index < len(stacked) for index in skipped)


def top_k_and_reference(vlm: LoadedVlm, top_k: int) -> tuple[Tensor, Tensor]:
    """Logits with fewer experts per token, and those of a model that was built with so few."""
    inputs = encode(vlm, PHOTO, PROMPT)
    with applied(vlm.structure, Setting(top_k=top_k)):
        ours = decoded_logits(vlm.model, inputs, 4)
    return ours, decoded_logits(with_top_k(vlm, top_k), inputs, 4)


def fewer_by(vlm: LoadedVlm) -> str:
    """How a model gets fewer visual tokens."""
    by_size = n_visual(vlm, PHOTO) != n_visual(vlm, SMALL)
    pooling = {
        "before_projector": "pooling before the projector",
        "at_merge": "pooling after the projector",
        "none": "",
    }[vlm.structure.pooling]
    return " and ".join(filter(None, ["image size" if by_size else "", pooling]))


def table() -> str:
    """The table of families in Markdown."""
    rows = [report(name) for name in FAMILIES]
    names = [field.name for field in fields(FamilyReport)]
    lines = [[n.replace("_", " ") for n in names], ["---"] * len(names)]
    lines += [[str(getattr(row, name)) for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def n_visual(vlm: LoadedVlm, image: Any, wanted: int | None = None) -> int:
    """Visual tokens of an encoded image."""
    return count_visual_tokens(vlm, encode(vlm, image, PROMPT, wanted))


def timed(vlm: LoadedVlm, setting: Setting) -> tuple[Timed, int]:
    """A measured request at a setting, and the visual tokens that reached the language model."""
    inputs = encode(vlm, PHOTO, PROMPT, setting.vision_tokens)
    with applied(vlm.structure, setting):
        result = timed_with_marks(vlm, inputs, N_TOKENS, stops_at_end=False)
    assert result.observed is not None
    return result, result.observed.n_visual_tokens


@torch.inference_mode()
def decoded_logits(model: Any, inputs: dict[str, Tensor], n: int = N_TOKENS) -> Tensor:
    """Logits of greedy decoding against a cache [n, vocabulary]."""
    output = model(**inputs, use_cache=True, logits_to_keep=1)
    logits, past = [output.logits[0, -1]], output.past_key_values
    for _ in range(n - 1):
        token = logits[-1].argmax()[None, None]
        output = model(input_ids=token, past_key_values=past, use_cache=True)
        logits.append(output.logits[0, -1])
    return torch.stack(logits)


def keeping(vlm: LoadedVlm, *skipped: int) -> tuple[LoadedVlm, Setting]:
    """A policy that skips some blocks, even blocks that ordinary policies must keep."""
    stay = tuple(i for i in range(len(vlm.structure.blocks)) if i not in skipped)
    structure = replace(vlm.structure, block_policy=lambda *_: stay)
    return replace(vlm, structure=structure), Setting(active_blocks=len(stay))


def rebuilt_without(vlm: LoadedVlm, *skipped: int) -> nn.Module:
    """A copy of the model with only the other blocks, which get new numbers."""
    model = copy.deepcopy(vlm.model)
    structure = find_structure(model)
    stay = [i for i in range(len(structure.blocks)) if i not in skipped]
    for index, old in enumerate(stay):
        for module in structure.blocks[old].modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = index
    for index in sorted(set(range(len(structure.blocks))) - set(stay), reverse=True):
        del structure.block_list[index]
    config: Any = structure.language_model.config
    for owner in (config, structure.language_model):
        for key, value in list(vars(owner).items()):
            if isinstance(value, list | tuple) and len(value) == len(structure.blocks):
                setattr(owner, key, [value[i] for i in stay])
    config.num_hidden_layers = len(stay)
    return model


@torch.inference_mode()
def logits_without_cache(
    vlm: LoadedVlm, skipped: tuple[int, ...], inputs: dict[str, Tensor], tokens: Tensor
) -> Tensor:
    """Logits of a whole sequence at once, some blocks' forward replaced by the identity."""
    shape, further = inputs["input_ids"].shape, tokens[None, :-1]
    longer = dict(inputs)
    for name, tensor in inputs.items():
        if tensor.shape == shape:
            fill = {"input_ids": further, "attention_mask": torch.ones_like(further)}
            more = fill.get(name, torch.zeros_like(further)).to(tensor.dtype)
            longer[name] = torch.cat([tensor, more], 1)
    with identities([vlm.structure.blocks[i] for i in skipped]):
        model: Any = vlm.model
        logits: Tensor = model(**longer, use_cache=False).logits
    return logits[0, shape[1] - 1 :]


@contextmanager
def identities(blocks: list[nn.Module]) -> Iterator[None]:
    """Let blocks return what they are given."""
    for block in blocks:
        block.forward = lambda hidden_states, *_, **__: hidden_states
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def with_top_k(vlm: LoadedVlm, top_k: int) -> nn.Module:
    """The same weights in a model whose configuration has another number of experts per token."""
    config = copy.deepcopy(vlm.model.config)
    text = config.get_text_config()
    for name in TOP_K:
        if isinstance(getattr(text, name, None), int):
            setattr(text, name, top_k)
    other = type(vlm.model)(config).eval()
    other.load_state_dict(vlm.model.state_dict())
    return other


def attributes(model: nn.Module) -> list[Any]:
    """Hooks and plain attributes of every module, and the configuration."""
    plain = (int, float, str, bool, type(None), tuple)
    found: list[Any] = [model.config.to_json_string()]  # type: ignore[union-attr, operator]
    for name, module in model.named_modules():
        kept = {k: v for k, v in vars(module).items() if isinstance(v, plain)}
        hooks = [list(module._forward_hooks), list(module._forward_pre_hooks)]
        found.append((name, id(module), kept, sorted(vars(module)), hooks))
    return found


def generated(vlm: LoadedVlm, inputs: dict[str, Tensor]) -> tuple[int, ...]:
    """What `generate` of transformers writes."""
    model: Any = vlm.model
    output = model.generate(**inputs, do_sample=False, max_new_tokens=N_TOKENS)
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


def answered(vlm: LoadedVlm, inputs: dict[str, Tensor]) -> tuple[int, ...]:
    """What our engine writes."""
    return answer(vlm, inputs, N_TOKENS).tokens
