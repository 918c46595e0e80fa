"""Batches are built and split again so that answers equal those of single requests."""

import pytest
import torch
from torch import Tensor, tensor

from m1.schemas.settings import Setting
from m1.vlm.batching import answer_in_batches, batches, collate, cut, pad_token_id
from m1.vlm.encoding import encode
from m1.vlm.engine import answer, text_of
from m1.vlm.knobs.apply import applied
from m1.workloads.scene_language import CAPTION_PROMPT

PAD = 9


def request(
    n_tokens: int, pixels: tuple[int, ...] = (1, 3, 4, 4), **more: Tensor
) -> dict[str, Tensor]:
    """An encoded request: tokens 1, 2, 3 ..., without padding."""
    return {
        "input_ids": torch.arange(1, n_tokens + 1)[None],
        "attention_mask": torch.ones(1, n_tokens, dtype=torch.long),
        "pixel_values": torch.full(pixels, float(n_tokens)),
        **more,
    }


# Putting together


def test_prompts_end_together_and_padding_is_masked() -> None:
    batch = collate([request(2), request(4)], PAD)
    assert batch["input_ids"].tolist() == [[PAD, PAD, 1, 2], [1, 2, 3, 4]]
    assert batch["attention_mask"].tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]


def test_every_tensor_with_a_value_per_position_is_padded() -> None:
    kinds = [{"token_type_ids": torch.ones(1, n, dtype=torch.long)} for n in (2, 3)]
    batch = collate([request(2, **kinds[0]), request(3, **kinds[1])], PAD)
    assert batch["token_type_ids"].tolist() == [[0, 1, 1], [1, 1, 1]]


def test_pixels_are_joined_in_the_order_of_the_prompts() -> None:
    batch = collate([request(2), request(4), request(3)], PAD)
    assert batch["pixel_values"].shape == (3, 3, 4, 4)
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [2.0, 4.0, 3.0]


def test_patches_of_all_images_are_one_row_after_another() -> None:
    # As in models of the Qwen kind: patches of every image, and a grid that says whose they are.
    wide, high = (request(3, (n, 8), image_grid_thw=tensor([[1, n // 2, 2]])) for n in (6, 4))
    batch = collate([wide, high], PAD)
    assert batch["pixel_values"].shape == (10, 8)
    assert batch["image_grid_thw"].tolist() == [[1, 3, 2], [1, 2, 2]]
    assert batches([wide, high], 8) == [[0, 1]]


def test_a_missing_attention_mask_is_made() -> None:
    bare = [{"input_ids": torch.ones(1, n, dtype=torch.long)} for n in (1, 2)]
    assert collate(bare, PAD)["attention_mask"].tolist() == [[0, 1], [1, 1]]


def test_one_request_stays_as_it_is() -> None:
    one = request(5)
    assert all(torch.equal(one[name], value) for name, value in collate([one], PAD).items())


def test_requests_that_cannot_be_joined_go_to_different_batches() -> None:
    crops = (1, 5, 3, 4, 4), (1, 3, 3, 4, 4)
    encoded = [request(2, crops[0]), request(2, crops[1]), request(3, crops[0])]
    assert sorted(batches(encoded, 8)) == [[0, 2], [1]]
    for places in batches(encoded, 8):
        collate([encoded[i] for i in places], PAD)


def test_requests_with_and_without_a_tensor_go_to_different_batches() -> None:
    encoded = [request(2), request(2, more=torch.ones(1, 7)), request(2)]
    assert sorted(batches(encoded, 8)) == [[0, 2], [1]]


def test_similar_lengths_go_together() -> None:
    lengths = [9, 2, 8, 3, 1, 7, 4]
    found = batches([request(n) for n in lengths], 2)
    assert [[lengths[i] for i in places] for places in found] == [[1, 2], [3, 4], [7, 8], [9]]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_every_request_is_in_one_batch_of_at_most_the_size(batch_size: int) -> None:
    encoded = [request(n % 4 + 1, (1, 1 + n % 2, 4)) for n in range(11)]
    found = batches(encoded, batch_size)
    assert sorted(i for places in found for i in places) == list(range(11))
    assert max(map(len, found)) <= batch_size


# Taking apart


@pytest.mark.parametrize(
    ("written", "tokens", "reason"),
    [
        ([5, 6, 2, 0, 0], (5, 6, 2), "stop"),
        ([5, 2, 6, 2], (5, 2), "stop"),
        ([5, 6, 7], (5, 6, 7), "length"),
        ([3, 9], (3,), "stop"),
    ],
)
def test_an_answer_ends_with_its_first_end(written, tokens, reason) -> None:
    assert cut(written, frozenset({2, 3})) == (tokens, reason)


def test_padding_is_never_the_placeholder_of_images(vlm, monkeypatch) -> None:
    assert pad_token_id(vlm) == vlm.processor.tokenizer.pad_token_id
    image = vlm.structure.image_token_id
    monkeypatch.setattr(vlm.model.generation_config, "pad_token_id", image)
    assert pad_token_id(vlm) not in (image, None)


# The embedded model

SETTINGS = [
    Setting(),
    Setting(vision_tokens=144, top_k=4, active_blocks=8),
    Setting(vision_tokens=36, top_k=2, active_blocks=6),
    Setting(vision_tokens=16, top_k=1, active_blocks=4),
]


def both_ways(vlm, held_out, setting: Setting, prompts: list[str], longest: int) -> None:
    encoded = [
        encode(vlm, image, prompt, setting.vision_tokens)
        for image, prompt in zip(held_out.images, prompts, strict=False)
    ]
    with applied(vlm.structure, setting):
        batched = answer_in_batches(vlm, encoded, longest, batch_size=5)
        single = [answer(vlm, one, longest) for one in encoded]
    assert [one.tokens for one in batched] == [one.tokens for one in single]
    assert [one.finish_reason for one in batched] == [one.finish_reason for one in single]
    assert [one.text for one in batched] == [text_of(vlm, one) for one in single]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.label)
def test_batches_answer_as_single_requests_do(vlm, held_out, setting) -> None:
    questions = [question.text for question in held_out.questions]
    assert len({len(text.split()) for text in questions}) > 1
    both_ways(vlm, held_out, setting, questions, 10)
    both_ways(vlm, held_out, setting, [CAPTION_PROMPT] * 4, 80)


def test_a_batch_is_cut_at_the_longest_output(vlm, held_out) -> None:
    encoded = [encode(vlm, image, CAPTION_PROMPT) for image in held_out.images[:3]]
    answers = answer_in_batches(vlm, encoded, 5, batch_size=2)
    assert [(len(one.tokens), one.finish_reason) for one in answers] == [(5, "length")] * 3


def test_a_models_generation_settings_are_ignored(vlm, held_out, monkeypatch) -> None:
    # The engine that is timed takes the most likely token, so batches must.
    monkeypatch.setattr(vlm.model.generation_config, "repetition_penalty", 5.0)
    monkeypatch.setattr(vlm.model.generation_config, "no_repeat_ngram_size", 2)
    both_ways(vlm, held_out, Setting(), [CAPTION_PROMPT] * 2, 80)
