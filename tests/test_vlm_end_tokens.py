"""The end tokens are those of `generate`, or else those that the tokenizer puts after a text."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
from whole_run import ROOT

from m1.errors import UserError
from m1.params import load_params
from m1.profiling.run import Profiler
from m1.schemas.settings import EndTokens
from m1.vlm.batching import answer_in_batches
from m1.vlm.encoding import encode
from m1.vlm.end_tokens import find_end_tokens, refuse_endless
from m1.vlm.engine import answer
from m1.workloads.scene_language import CAPTION_PROMPT


def holder(eos: object) -> SimpleNamespace:
    return SimpleNamespace(eos_token_id=eos)


def model(generation: object, config: object, text: object = None) -> SimpleNamespace:
    of_text = SimpleNamespace(eos_token_id=config, get_text_config=lambda: holder(text))
    return SimpleNamespace(generation_config=holder(generation), config=of_text)


@pytest.mark.parametrize(
    ("given", "tokenizer", "expected"),
    [
        (model(5, 2), 7, ((5,), "generation_config")),
        (model([9, 5], 2), 7, ((5, 9), "generation_config")),
        (model(0, 2), 7, ((0,), "generation_config")),
        (model(None, 2), 7, ((7,), "tokenizer")),
        (model([], None), 7, ((7,), "tokenizer")),
        (model(None, 2, 3), None, ((2,), "config")),
        (model(None, None, [3, 4]), None, ((3, 4), "config")),
        (model(None, None), None, ((), None)),
    ],
)
def test_the_first_source_with_end_tokens_is_used(given, tokenizer, expected) -> None:
    processor = SimpleNamespace(tokenizer=holder(tokenizer))
    found = find_end_tokens(given, processor)
    assert (found.ids, found.source) == expected


def test_without_a_generation_config_the_tokenizer_ends_answers(vlm, held_out, monkeypatch) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    plain = answer(vlm, inputs, 80)
    assert (vlm.end_tokens.source, plain.finish_reason) == ("generation_config", "stop")
    config = copy.deepcopy(vlm.model.generation_config)
    config.eos_token_id = None
    monkeypatch.setattr(vlm.model, "generation_config", config)
    # `generate` would write on until the longest output.
    longest = vlm.model.generate(**inputs, do_sample=False, max_new_tokens=80)
    assert longest.shape[1] - inputs["input_ids"].shape[1] == 80 > len(plain.tokens)
    assert vlm.end_tokens.source == "tokenizer"
    assert answer(vlm, inputs, 80).tokens == plain.tokens
    (batched,) = answer_in_batches(vlm, [inputs], 80, 1)
    assert (batched.tokens, batched.finish_reason) == (plain.tokens, "stop")


def test_a_model_without_end_tokens_is_refused_before_anything_is_measured(
    vlm, monkeypatch
) -> None:
    nobody = EndTokens(ids=(), source=None)
    with pytest.raises(UserError, match=r"no end-of-sequence token is known.*reference_length"):
        refuse_endless(nobody)
    monkeypatch.setattr("m1.vlm.model.find_end_tokens", lambda *_: nobody)
    monkeypatch.setattr(Profiler, "check_grid", lambda _: None)
    params = load_params(ROOT / "params.yaml")
    for mode, weights, refused in (
        ("free", "pretrained", True),
        ("both", "pretrained", True),
        ("reference_length", "pretrained", False),
        ("free", "random", False),
    ):
        profile = params.profile.model_copy(update={"decode_mode": mode})
        given = replace(vlm, weights=weights)
        profiler = Profiler(given, {}, params.knobs.grid(), profile)
        if refused:
            with pytest.raises(UserError, match="no end-of-sequence token"):
                profiler.check_and_reserve()
        else:
            profiler.check_and_reserve()
