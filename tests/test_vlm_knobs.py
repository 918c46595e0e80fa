"""Knobs do what they say, and leave no trace."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from m1.errors import UserError
from m1.schemas.settings import Setting
from m1.vlm.block_policies import by_importance, evenly_spaced, first
from m1.vlm.encoding import encode
from m1.vlm.knobs.apply import applied
from m1.vlm.knobs.pooling import n_pooled, pool_images, pool_to
from m1.vlm.structure import find_structure


@pytest.fixture
def inputs(vlm, held_out) -> dict[str, Tensor]:
    return encode(vlm, held_out.images[0], held_out.questions[0].text)


@torch.inference_mode()
def logits(model, inputs) -> Tensor:
    return model(**inputs, use_cache=False).logits


def state_of(model) -> tuple[list[Any], list[Any]]:
    hooks = [
        (name, len(m._forward_hooks), len(m._forward_pre_hooks))
        for name, m in model.named_modules()
    ]
    kinds = [
        (name, type(m).__name__, getattr(m, "top_k", None)) for name, m in model.named_modules()
    ]
    return hooks, kinds


@pytest.mark.parametrize("n_active", [6, 4, 2])
def test_fewer_blocks_equal_a_model_built_without_the_others(vlm, inputs, n_active) -> None:
    stay = evenly_spaced(8, n_active, frozenset({0, 7}))
    config = copy.deepcopy(vlm.model.config)
    config.text_config.num_hidden_layers = n_active
    smaller = LlavaForConditionalGeneration(config).eval()
    blocks = find_structure(smaller).blocks
    smaller_state = dict(vlm.model.state_dict())
    smaller.load_state_dict(
        {
            name: t
            for name, t in smaller_state.items()
            if ".layers." not in name or "vision" in name
        },
        strict=False,
    )
    for block, index in zip(blocks, stay, strict=True):
        block.load_state_dict(vlm.structure.blocks[index].state_dict())
    with applied(vlm.structure, Setting(active_blocks=n_active)):
        ours = logits(vlm.model, inputs)
    torch.testing.assert_close(ours, logits(smaller, inputs))


@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_top_k_equals_a_model_built_with_so_many_experts_a_token(vlm, inputs, top_k) -> None:
    config = copy.deepcopy(vlm.model.config)
    config.text_config.num_experts_per_tok = top_k
    other = LlavaForConditionalGeneration(config).eval()
    other.load_state_dict(vlm.model.state_dict())
    with applied(vlm.structure, Setting(top_k=top_k)):
        ours = logits(vlm.model, inputs)
    torch.testing.assert_close(ours, logits(other, inputs))
    assert not torch.allclose(ours, logits(vlm.model, inputs))


def test_the_native_setting_changes_nothing(vlm, inputs) -> None:
    before = logits(vlm.model, inputs)
    with applied(vlm.structure, Setting(vision_tokens=144, top_k=4, active_blocks=8)):
        assert torch.equal(logits(vlm.model, inputs), before)


def test_pooling_averages_neighbours_on_the_grid() -> None:
    features = torch.arange(16.0).reshape(1, 16, 1)
    assert pool_to(features, 4).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


@pytest.mark.parametrize("fails", [False, True], ids=["after a run", "after an error"])
def test_the_model_is_untouched_afterwards(vlm, inputs, fails) -> None:
    before, outputs = state_of(vlm.model), logits(vlm.model, inputs)
    try:
        with applied(vlm.structure, Setting(vision_tokens=16, top_k=1, active_blocks=3)):
            assert state_of(vlm.model) != before
            if fails:
                raise RuntimeError("planted")
    except RuntimeError:
        pass
    assert state_of(vlm.model) == before
    assert torch.equal(logits(vlm.model, inputs), outputs)


@pytest.mark.parametrize(
    ("n_blocks", "n_active", "expected"),
    [
        (8, 8, tuple(range(8))),
        (8, 4, (0, 2, 5, 7)),
        (8, 2, (0, 7)),
        (1, 1, (0,)),
        (5, 3, (0, 2, 4)),
    ],
)
def test_active_blocks_are_evenly_spaced(n_blocks, n_active, expected) -> None:
    assert evenly_spaced(n_blocks, n_active, frozenset({0, n_blocks - 1})) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (evenly_spaced, (0, 3, 5, 7)),
        (first, (0, 1, 3, 7)),
        (by_importance([0, 1, 2, 3, 9, 5, 4, 1]), (0, 3, 4, 7)),
    ],
    ids=["evenly spaced", "first", "importance"],
)
def test_a_policy_keeps_what_must_stay(policy, expected) -> None:
    assert policy(8, 4, frozenset({0, 3, 7})) == expected
    with pytest.raises(UserError, match=r"0, 3, 7 always stay .* allowed are 3 to 8"):
        policy(8, 2, frozenset({0, 3, 7}))


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (Setting(active_blocks=12), "knobs.active_blocks = 12: the model has 8 blocks"),
        (Setting(active_blocks=1), "allowed are 2 to 8"),
        (Setting(top_k=5), "knobs.top_k = 5: allowed are 1 to 4"),
    ],
)
def test_an_impossible_value_is_refused_with_what_is_allowed(vlm, setting, told) -> None:
    with pytest.raises(UserError, match=told), applied(vlm.structure, setting):
        pass


def test_a_dense_model_has_no_top_k(vlm) -> None:
    dense = dataclasses.replace(vlm.structure, top_k_holders=())
    with (
        pytest.raises(UserError, match=r"no experts; set knobs\.top_k to null"),
        applied(dense, Setting(top_k=1)),
    ):
        pass


@pytest.mark.parametrize(
    ("n_native", "asked", "given"),
    [(144, 200, 144), (144, 145, 144), (144, 100, 100), (144, 50, 49), (144, 20, 20), (60, 7, 7)],
)
def test_pooling_gives_the_requested_number_or_the_nearest(n_native, asked, given) -> None:
    assert n_pooled(n_native, asked) == given
    assert pool_to(torch.rand(2, n_native, 3), asked).shape == (2, given, 3)


def test_tiles_of_an_image_are_pooled_as_one_sequence() -> None:
    tiles = torch.arange(12.0).reshape(3, 4, 1)
    assert pool_images(tiles, 1, 6).flatten().tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]
    flat = pool_images(tiles.reshape(12, 1), 1, 6)
    assert flat.shape == (6, 1)
    with pytest.raises(UserError, match="5 equal images"):
        pool_images(tiles, 5, 2)


def test_a_missing_part_is_named_with_what_is_there() -> None:
    model = nn.Module()
    model.vision_tower = nn.Linear(1, 1)
    model.decoder = nn.Linear(1, 1)
    with pytest.raises(UserError, match=r"a language model was not found.*vision_tower, decoder"):
        find_structure(model)


def test_nested_settings_are_undone_one_by_one(vlm) -> None:
    def skipped() -> int:
        pairs = zip(vlm.structure.block_list, vlm.structure.blocks, strict=True)
        return sum(now is not own for now, own in pairs)

    with applied(vlm.structure, Setting(active_blocks=3)):
        with applied(vlm.structure, Setting(active_blocks=5)):
            assert skipped() == 3
        assert skipped() == 5
    assert skipped() == 0
