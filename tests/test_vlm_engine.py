"""The greedy engine writes the same text as `generate`, and reports what it did."""

import copy
from dataclasses import replace

import pytest
import torch
from families.common import photo
from families.registry import FAMILIES
from tokenizers.processors import TemplateProcessing

from m1.schemas.settings import Setting
from m1.vlm.batching import answer_in_batches
from m1.vlm.encoding import encode
from m1.vlm.engine import answer, text_of, token_ids
from m1.vlm.knobs.apply import applied
from m1.vlm.loading.load import ready
from m1.vlm.processing import count_visual_tokens
from m1.workloads.scene_language import CAPTION_PROMPT, captions


@torch.inference_mode()
def generated(vlm, inputs, max_new_tokens) -> tuple[int, ...]:
    output = vlm.model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
    return tuple(output[0, inputs["input_ids"].shape[1] :].tolist())


SETTINGS = [
    Setting(),
    Setting(vision_tokens=144, top_k=4, active_blocks=8),
    Setting(vision_tokens=16, top_k=1, active_blocks=4),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.label)
@pytest.mark.parametrize("captioning", [False, True], ids=["qa", "captioning"])
def test_tokens_equal_those_of_generate(vlm, held_out, setting, captioning) -> None:
    n, longest = (3, 80) if captioning else (12, 10)
    for image, question in list(zip(held_out.images, held_out.questions, strict=True))[:n]:
        prompt = CAPTION_PROMPT if captioning else question.text
        inputs = encode(vlm, image, prompt, setting.vision_tokens)
        with applied(vlm.structure, setting):
            ours = answer(vlm, inputs, longest)
            assert ours.tokens == generated(vlm, inputs, longest)


def test_a_caption_of_a_held_out_scene_is_right(vlm, held_out) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    generation = answer(vlm, inputs, 80)
    assert text_of(vlm, generation) == captions(held_out.scenes[0])[0]
    assert generation.finish_reason == "stop"


def test_an_answer_is_cut_at_the_longest_output(vlm, held_out) -> None:
    generation = answer(vlm, encode(vlm, held_out.images[0], CAPTION_PROMPT), 5)
    assert len(generation.tokens) == 5
    assert generation.finish_reason == "length"


def test_the_first_token_is_announced_once_before_decoding(vlm, held_out) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    calls: list[str] = []
    hook = vlm.structure.language_model.register_forward_hook(lambda *_: calls.append("forward"))
    answer(vlm, inputs, 3, on_first_token=lambda: calls.append("first token"))
    hook.remove()
    assert calls == ["forward", "first token", "forward", "forward"]


def test_encoding_leaves_as_many_placeholders_as_asked_for(vlm, held_out) -> None:
    whole = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    fewer = encode(vlm, held_out.images[0], CAPTION_PROMPT, 16)
    assert count_visual_tokens(vlm, whole) == 144
    assert count_visual_tokens(vlm, fewer) == 16
    image = vlm.structure.image_token_id
    for name in ("input_ids", "attention_mask"):
        assert fewer[name].shape == (1, whole[name].shape[1] - 128)
    texts = [inputs["input_ids"][inputs["input_ids"] != image] for inputs in (whole, fewer)]
    assert torch.equal(*texts)


@pytest.mark.parametrize("n_active", [8, 5, 2])
def test_skipped_blocks_leave_no_keys_in_the_cache(vlm, held_out, n_active) -> None:
    inputs = encode(vlm, held_out.images[0], "Is there a star?")
    with applied(vlm.structure, Setting(active_blocks=n_active)):
        generation = answer(vlm, inputs, 4)
    layers = generation.cache.layers
    assert sum(layer.keys is not None for layer in layers) == n_active
    assert {layer.get_seq_length() for layer in layers} == {
        inputs["input_ids"].shape[1] + len(generation.tokens) - 1
    }


def test_an_output_of_fixed_length_continues_after_the_end(vlm, held_out) -> None:
    inputs = encode(vlm, held_out.images[0], "Is there a star?")
    free = answer(vlm, inputs, 9)
    fixed = answer(vlm, inputs, 9, stops_at_end=False)
    assert (free.finish_reason, fixed.finish_reason) == ("stop", "length")
    assert len(fixed.tokens) == 9
    assert fixed.tokens[: len(free.tokens)] == free.tokens


WISHES = [{"repetition_penalty": 50.0}, {"no_repeat_ngram_size": 2}]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_a_models_generation_settings_are_followed_as_in_generate(
    vlm, held_out, monkeypatch, wish
) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    plain = answer(vlm, inputs, 30).tokens
    config = copy.deepcopy(vlm.model.generation_config)
    config.update(**wish)
    monkeypatch.setattr(vlm.model, "generation_config", config)
    assert answer(vlm, inputs, 30).tokens == generated(vlm, inputs, 30)
    assert answer_in_batches(vlm, [inputs], 30, 1)[0].tokens == generated(vlm, inputs, 30)
    assert answer(vlm, inputs, 30).tokens != plain


def test_batches_do_nothing_more_than_the_engine(vlm, held_out, monkeypatch) -> None:
    inputs = encode(vlm, held_out.images[0], CAPTION_PROMPT)
    plain = answer(vlm, inputs, 10).tokens
    config = copy.deepcopy(vlm.model.generation_config)
    config.update(suppress_tokens=[plain[0]], return_dict_in_generate=True, do_sample=True)
    monkeypatch.setattr(vlm.model, "generation_config", config)
    assert answer(vlm, inputs, 10).tokens == plain
    assert answer_in_batches(vlm, [inputs], 10, 1)[0].tokens == plain
    assert vlm.model.generation_config is config


def test_a_first_token_is_put_in_front_unless_the_template_has_it() -> None:
    model, processor = FAMILIES["llava"]()
    tokenizer = processor.tokenizer
    bos = tokenizer.bos_token_id
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A", special_tokens=[(tokenizer.bos_token, bos)]
    )
    own = ready(model, processor, torch.device("cpu"))
    for template in (processor.chat_template, processor.chat_template.removeprefix("<bos>")):
        processor.chat_template = template
        ids = encode(own, photo(64, 64), "What is this?")["input_ids"][0].tolist()
        assert ids[0] == bos
        assert ids.count(bos) == 1


def test_a_text_counted_by_itself_has_no_special_tokens(vlm) -> None:
    tokenizer = copy.deepcopy(vlm.processor.tokenizer)
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{end} $A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    processor = copy.copy(vlm.processor)
    processor.tokenizer = tokenizer
    adding = replace(vlm, processor=processor)
    assert len(tokenizer("red")["input_ids"]) == len(tokenizer.tokenize("red")) + 2
    assert token_ids(adding, "red") == token_ids(vlm, "red") != []
