"""Prompts as the model was trained on them: whose template, one image, the user's text whole."""

import importlib
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from families.common import photo
from families.registry import FAMILIES
from tokenizers.processors import TemplateProcessing

from m1.errors import UserError
from m1.files import write_record
from m1.params import ModelParams, load_params
from m1.prepared import PreparedRequests
from m1.profiling.provenance import provenance
from m1.schemas.requests import WORKLOADS, Request, RequestSet
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.knobs import pooling_place
from m1.vlm.loading.load import load_vlm, ready
from m1.vlm.model import LoadedVlm
from m1.vlm.prompts import Prompts, check_prompts
from m1.vlm.structure import StructureError

MODEL = Path("data/models/scene-vlm")
OWN = (MODEL / "chat_template.jinja").read_text(encoding="utf-8")
ROLES = "{% for m in messages %}{{ '<' + m['role'] + '>' }}"
END = "{% endfor %}<assistant>"
# Templates of tokenizers, which often know text alone.
STRING = f"<bos>{ROLES}{{{{ m['content'] }}}}{END}"
JOINED = f"<bos>{ROLES}{{{{ m['content'] + '' }}}}{END}"
TEXT_PARTS = (
    f"<bos>{ROLES}{{% for p in m['content'] %}}{{% if p['type'] == 'text' %}}{{{{ p['text'] }}}}"
    f"{{% endif %}}{{% endfor %}}{END}"
)
DROPS_PROMPT = f"<bos>{ROLES}<image>?{END}"
TWO_IMAGES = OWN.replace("<image>", "<image><image>")
RAISES = "{{ raise_exception('A system message is needed') }}"
QUESTION = "What color is the circle?"

Place = Callable[[Path], None]


def in_tokenizer_config(template: object) -> Place:
    def put(folder: Path) -> None:
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(config | {"chat_template": template}), encoding="utf-8")

    return put


def as_jinja(template: str) -> Place:
    def put(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")

    return put


def as_json(folder: Path) -> None:
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": OWN}), "utf-8")


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": n, "template": OWN if n == "default" else RAISES} for n in names]


def nowhere(folder: Path) -> None:
    assert not (folder / "chat_template.jinja").exists()


@pytest.fixture
def model(tmp_path) -> Callable[[Place], LoadedVlm]:
    def made(place: Place) -> LoadedVlm:
        folder = tmp_path / "model"
        shutil.copytree(MODEL, folder)
        (folder / "chat_template.jinja").unlink()
        place(folder)
        return load_vlm(
            ModelParams(
                source=str(folder),
                weights="pretrained",
                dtype="float32",
                device="cpu",
                experts="eager",
                n_threads=1,
            )
        )

    return made


PICTURE = b"opened by nobody"


def requests(*prompts: str) -> tuple[Request, ...]:
    return tuple(
        Request(
            request_id=f"q{i}",
            image_id="a",
            image="a.png",
            prompt=prompt,
            references=("red",),
            kind=None,
        )
        for i, prompt in enumerate(prompts)
    )


def request_set(*prompts: str) -> RequestSet:
    digests = {"a.png": sha256(PICTURE).hexdigest()}
    return RequestSet.of("qa", "jsonl", requests(*prompts), digests, {})


@pytest.mark.parametrize(
    ("place", "whose"),
    [
        (in_tokenizer_config(OWN), "tokenizer"),
        (in_tokenizer_config(named("tool_use", "default")), "tokenizer"),
        (as_jinja(OWN), "processor"),
        (as_json, "processor"),
    ],
    ids=["tokenizer_config.json", "of several names", "jinja", "json"],
)
def test_wherever_the_template_lies_inputs_and_answers_are_the_same(
    vlm, model, held_out, place, whose
) -> None:
    other = model(place)
    assert other.prompts.template == whose
    for image in held_out.images[:3]:
        inputs, expected = (encode(one, image, QUESTION) for one in (other, vlm))
        assert inputs.keys() == expected.keys()
        assert all(torch.equal(inputs[name], expected[name]) for name in expected)
        assert answer(other, inputs, 8).tokens == answer(vlm, expected, 8).tokens


def test_without_a_template_the_prompt_is_raw_and_that_is_recorded(model) -> None:
    raw = model(nowhere)
    assert raw.prompts.template == "none"
    assert raw.prompts.write(QUESTION) == f"<image>{QUESTION}"
    model_params = load_params(Path("params.yaml")).model
    prepared = dict.fromkeys(WORKLOADS, PreparedRequests(request_set(QUESTION), Path()))
    assert provenance(raw, model_params, prepared, "", 0.0).prompt_template == "none"


@pytest.mark.parametrize("put", [in_tokenizer_config, as_jinja], ids=["tokenizer", "processor"])
@pytest.mark.parametrize(
    "template", [STRING, JOINED, TEXT_PARTS], ids=["string", "joined", "text parts"]
)
def test_a_template_that_knows_text_alone_gets_the_image_in_the_text(model, template, put) -> None:
    other = model(put(template))
    assert other.prompts.write(QUESTION) == f"<bos><user><image>\n{QUESTION}<assistant>"
    ids = encode(other, photo(96, 96), QUESTION)["input_ids"][0].tolist()
    tokenizer = other.processor.tokenizer
    assert ids.count(other.structure.image_token_id) == 144
    assert ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (in_tokenizer_config(DROPS_PROMPT), "tokenizer cannot be used .it leaves out the image or"),
        (in_tokenizer_config(TWO_IMAGES), "tokenizer .* more than one place"),
        (in_tokenizer_config(RAISES), "tokenizer cannot be used .A system message is needed."),
        (in_tokenizer_config(named("rag", "tool_use")), "multiple chat templates"),
        (as_jinja(DROPS_PROMPT), "processor cannot be used .it leaves out"),
        (as_jinja(TWO_IMAGES), "processor .* more than one place"),
        (as_jinja(RAISES), "processor cannot be used .A system message is needed."),
        (as_jinja("{% for %}"), "processor cannot be used"),
        (as_jinja(TEXT_PARTS.replace("['text']", "['txt']")), "processor cannot be used"),
    ],
)
def test_a_template_that_cannot_be_used_is_one_line_at_loading(model, place, told) -> None:
    with pytest.raises(UserError, match=told) as refused:
        model(place)
    assert "\n" not in str(refused.value)


def test_a_processor_whose_prompt_has_no_place_for_the_image_is_refused(vlm, monkeypatch) -> None:
    blank = {"input_ids": torch.tensor([[1, 5, 6]]), "pixel_values": torch.zeros(1, 3, 96, 96)}
    monkeypatch.setattr(pooling_place, "blank_request", lambda _: blank)
    with pytest.raises(StructureError, match="a prompt has no place for the image"):
        ready(vlm.model, vlm.processor, vlm.device)


def test_a_processor_that_cannot_apply_its_template_has_the_tokenizer_do_it(vlm) -> None:
    bare = SimpleNamespace(
        chat_template=OWN, tokenizer=vlm.processor.tokenizer, image_token="<image>"
    )
    prompts = Prompts(bare, 3)
    assert prompts.template == "processor"
    assert prompts.write(QUESTION) == vlm.prompts.write(QUESTION)


@pytest.mark.parametrize("has_bos", [True, False])
def test_around_its_own_template_a_tokenizer_puts_no_more_tokens(has_bos) -> None:
    net, processor = FAMILIES["llava"]()
    tokenizer: Any = processor.tokenizer
    tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{tokenizer.bos_token} $A",
        special_tokens=[(tokenizer.bos_token, tokenizer.bos_token_id)],
    )
    template = processor.chat_template
    tokenizer.chat_template = template if has_bos else template.removeprefix("<bos>")
    processor.chat_template = None
    own = ready(net, processor, torch.device("cpu"))
    assert own.prompts.template == "tokenizer"
    ids = encode(own, photo(64, 64), QUESTION)["input_ids"][0].tolist()
    assert ids.count(tokenizer.bos_token_id) == has_bos
    assert (ids[0] == tokenizer.bos_token_id) == has_bos


def test_no_tokenizers_setting_cuts_a_prompt(vlm, model) -> None:
    def short(folder: Path) -> None:
        in_tokenizer_config(OWN)(folder)
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        limits = {"truncation": True, "max_length": 20, "model_max_length": 20}
        file.write_text(json.dumps(config | limits), encoding="utf-8")

    long = " ".join([QUESTION] * 9)
    inputs, expected = (encode(one, photo(96, 96), long) for one in (model(short), vlm))
    assert torch.equal(inputs["input_ids"], expected["input_ids"])


@pytest.mark.parametrize("text", ["<image>", "<bos>", "<eos>", "<assistant>", "<user>", "<pad>"])
def test_a_prompt_with_a_token_that_is_no_text_is_refused(vlm, text) -> None:
    told = f"qa: request 'q1': its prompt holds '{text}'"
    with pytest.raises(UserError, match=told):
        check_prompts(vlm.prompts, {"qa": requests(QUESTION, f"{text}\n{QUESTION}")})


def test_ordinary_text_is_no_token(vlm) -> None:
    plain = ("Is a < b > c?", "[INST] <img> </s> <|im_end|> {x} | <Image>", "  What? \n", "a\r\nb")
    check_prompts(vlm.prompts, {"qa": requests(*plain), "captioning": requests("Describe.")})


def test_a_pad_token_that_is_ordinary_text_is_no_token(vlm) -> None:
    tokenizer = SimpleNamespace(
        chat_template=OWN,
        all_special_tokens=["!", "What", "</s>"],
        apply_chat_template=lambda messages, **_: str(
            vlm.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ),
    )
    prompts = Prompts(SimpleNamespace(tokenizer=tokenizer, image_token="<image>"), 3)
    prompts.check("What is this!")
    with pytest.raises(UserError, match="</s>"):
        prompts.check("What is </s>?")


def test_without_a_template_the_users_own_form_is_let_through_but_for_images(model) -> None:
    raw = model(nowhere)
    check_prompts(raw.prompts, {"qa": requests("<user>What?<assistant>")})
    with pytest.raises(UserError, match="'q0': its prompt holds '<image>'"):
        check_prompts(raw.prompts, {"qa": requests("<image>What?")})


def test_a_template_that_changes_some_prompt_is_found(model) -> None:
    shouting = OWN.replace("part['text']", "part['text'] | replace('?!', '')")
    with pytest.raises(UserError, match=r"'q1': .* changes the prompt 'What\?!'"):
        check_prompts(model(as_jinja(shouting)).prompts, {"qa": requests("Who?", "What?!")})


def test_a_prompt_longer_than_the_model_was_made_for_is_refused_at_once(vlm, monkeypatch) -> None:
    assert vlm.prompts.most_tokens == 512
    # Of as many bytes as the model has positions, and of more, but of fewer tokens.
    check_prompts(vlm.prompts, {"qa": requests("a" * 512, "star " * 500)})
    with pytest.raises(UserError, match=r"'q1': its prompt has 60\d tokens, .* made for 512"):
        check_prompts(vlm.prompts, {"qa": requests(QUESTION, "star " * 600)})
    language = vlm.structure.language_model.config
    scaled = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}
    monkeypatch.setattr(language, "rope_parameters", scaled)
    stretched = replace(vlm)
    assert stretched.prompts.most_tokens is None
    check_prompts(stretched.prompts, {"qa": requests("star " * 600)})


@pytest.mark.parametrize(
    ("stage", "package"), [("profiling", "profiling"), ("answers", "answering")]
)
def test_a_stage_refuses_such_a_prompt_before_anything_else(
    vlm, tmp_path, monkeypatch, stage, package
) -> None:
    module = importlib.import_module(f"m1.{package}.whole")
    monkeypatch.setattr(module, "load_vlm", lambda _: vlm)
    monkeypatch.setattr(module, "device_lock", lambda _: nullcontext())
    monkeypatch.setattr(module, "calibrated", None)
    sets = {w: request_set(QUESTION, f"<image>\n{QUESTION}", QUESTION) for w in WORKLOADS}
    for workload, one in sets.items():
        write_record(one, tmp_path / workload / "requests.json")
        (tmp_path / workload / "a.png").write_bytes(PICTURE)
    main = importlib.import_module(f"stages.{stage}").main
    with pytest.raises(UserError, match="qa: request 'q1': its prompt holds '<image>'"):
        main(tmp_path, Path("params.yaml"), tmp_path / "kept", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
