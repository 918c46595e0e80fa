"""Logits that are not finite are errors, in every runtime and in batches."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from families.common import photo, save
from families.registry import FAMILIES
from simulated import prepared_in
from torch import Tensor
from whole_run import SMALL, command, merged, prepare, write_params

import m1.answering.run as answering_run
from m1.answering.run import Answering, How
from m1.errors import UserError
from m1.params import load_params
from m1.profiling.facts.gather import tried
from m1.profiling.facts.runtime_comparison import compare_runtimes
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing.request import OutputLimit, measure
from m1.schemas.requests import WORKLOADS, Request
from m1.schemas.settings import Setting, Weights
from m1.vlm.batching import answer_in_batches
from m1.vlm.encoding import encode
from m1.vlm.engine import NotFiniteError, answer
from m1.vlm.loading.block_importance import block_influence
from m1.vlm.loading.load import ready
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.compiled import CompiledRuntime

NAN, INF = float("nan"), float("inf")
EVERYWHERE = slice(None)
Places = slice | int | list[int]
Change = Callable[[int, Tensor], Tensor]

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")


def built(name: str = "llava", dtype: torch.dtype = torch.float32) -> LoadedVlm:
    """A separate small model, which tests break."""
    model, processor = FAMILIES[name]()
    return ready(model.to(dtype), processor, torch.device("cpu"))


def inputs_of(vlm: LoadedVlm) -> dict[str, Tensor]:
    return encode(vlm, photo(64, 48), "a red one")


@contextmanager
def logits_become(vlm: LoadedVlm, change: Change) -> Iterator[None]:
    """Change the logits of the head, depending on the number of its call (from 1)."""
    calls = 0

    def hook(_: object, __: object, logits: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return change(calls, logits.clone())

    handle = vlm.model.get_output_embeddings().register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def set_to(value: float, first_call: int = 1, places: Places = EVERYWHERE) -> Change:
    def change(call: int, logits: Tensor) -> Tensor:
        if call >= first_call:
            logits[..., places] = value
        return logits

    return change


@pytest.mark.parametrize(
    ("change", "token"),
    [
        (set_to(NAN), 1),
        (set_to(NAN, places=7), 1),
        (set_to(-INF), 1),
        (set_to(INF, places=7), 1),
        (set_to(NAN, first_call=3), 3),
    ],
    ids=["all NaN", "one NaN", "all -inf", "one +inf", "later"],
)
def test_a_token_chosen_from_nan_is_found(change, token) -> None:
    vlm = built()
    with logits_become(vlm, change):
        generation = answer(vlm, inputs_of(vlm), 5, stops_at_end=False)
        told = rf"the logits of output token {token} are not finite in float32"
        with pytest.raises(NotFiniteError, match=told):
            generation.check_finite(vlm)
    with logits_become(vlm, change), pytest.raises(NotFiniteError, match=told):
        # Nothing ends the answer early but the model's own end token, which NaN never is.
        answer_in_batches(vlm, [inputs_of(vlm)] * 2, 5, 2)


def test_masks_that_leave_some_tokens_are_no_error(vlm, held_out) -> None:
    inputs = encode(vlm, held_out.images[0], "Is there a star?")
    plain = answer(vlm, inputs, 5)
    hidden = [i for i in range(len(vlm.processor.tokenizer)) if i not in plain.tokens]
    with logits_become(vlm, set_to(-INF, places=hidden)):
        masked = answer(vlm, inputs, 5)
        masked.check_finite(vlm)
        (batched,) = answer_in_batches(vlm, [inputs], 5, 1)
    assert masked.tokens == plain.tokens == batched.tokens


def test_values_after_the_end_of_an_answer_do_not_matter(vlm, held_out) -> None:
    pairs = zip(held_out.images, held_out.questions, strict=True)
    encoded = [encode(vlm, image, question.text) for image, question in pairs]
    whole = [answer(vlm, one, 10).tokens for one in encoded]
    lengths = list(map(len, whole))
    short, long = lengths.index(min(lengths)), lengths.index(max(lengths))
    assert lengths[short] < lengths[long]

    def broken_after_the_end(call: int, logits: Tensor) -> Tensor:
        if call > lengths[short]:
            logits[rows.index(short)] = NAN
        return logits

    # Batches are ordered by length of prompt.
    rows = sorted((short, long), key=lambda i: encoded[i]["input_ids"].shape[1])
    with logits_become(vlm, broken_after_the_end):
        answers = answer_in_batches(vlm, [encoded[i] for i in rows], 10, 2)
    assert [one.tokens for one in answers] == [whole[i] for i in rows]


def test_compiled_steps_are_checked_too() -> None:
    vlm = built()
    torch._dynamo.reset()
    quick = replace(vlm, runtime=CompiledRuntime(vlm.structure, backend="eager"))
    answer(quick, inputs_of(vlm), 5, stops_at_end=False).check_finite(quick)
    vlm.model.get_output_embeddings().weight.data[3] = NAN
    with pytest.raises(NotFiniteError, match="output token 1"):
        answer(quick, inputs_of(vlm), 5, stops_at_end=False).check_finite(quick)
    with pytest.raises(NotFiniteError, match="logits are not finite"):
        compare_runtimes(quick, inputs_of(vlm), 4)
    assert tried(lambda: compare_runtimes(quick, inputs_of(vlm), 4), "agreement") is None


def test_an_overflow_of_float16_is_found_where_float32_holds() -> None:
    for dtype, overflows in ((torch.float32, False), (torch.float16, True)):
        vlm = built(dtype=dtype)
        vlm.model.get_output_embeddings().weight.data.mul_(3e4)
        generation = answer(vlm, inputs_of(vlm), 3, stops_at_end=False)
        if overflows:
            with pytest.raises(NotFiniteError, match="not finite in float16") as caught:
                generation.check_finite(vlm)
            assert caught.value.advice.startswith("set model.dtype to bfloat16 or float32")
        else:
            generation.check_finite(vlm)


def test_blocks_cannot_be_scored_with_nan() -> None:
    vlm = built()
    next(vlm.structure.blocks[1].parameters()).data[0] = NAN
    with pytest.raises(
        UserError, match=r"importance: what passes through .* check the model's weights"
    ):
        block_influence(vlm, [inputs_of(vlm)])


# Through the stages


REQUEST = Request(
    request_id="1", image_id="1", image="1.png", prompt="a", references=("b",), kind=None
)


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("marked", [True, False])
def test_a_request_that_is_not_finite_makes_no_row(tmp_path, weights: Weights, marked) -> None:
    vlm = replace(built(), weights=weights)
    photo(64, 48).save(tmp_path / "1.png")
    one = Round("e1", 0, "qa", Setting(), "free", ())
    planned, prepared = Planned(REQUEST, marked, order=0), prepared_in(tmp_path, REQUEST)
    given = (planned, one, prepared, OutputLimit("free", 4))
    assert measure(vlm, *given).row.order == 0
    with logits_become(vlm, set_to(NAN)), pytest.raises(NotFiniteError):
        measure(vlm, *given)


def test_the_stage_ends_in_one_line_that_says_what_to_do(tmp_path) -> None:
    folder = tmp_path / "model"
    save(FAMILIES["llava"], folder)
    vlm = ready(*FAMILIES["llava"](), torch.device("cpu"))
    vlm.model.get_output_embeddings().weight.data[5] = NAN
    vlm.model.save_pretrained(folder)
    knobs = {"vision_tokens": 16, "top_k": None, "active_blocks": None}
    params = merged(SMALL, {"model": {"source": str(folder)}, "knobs": knobs})
    params_file = write_params(tmp_path, params)
    requests = prepare(tmp_path, params_file)
    shared = ("--params", params_file, "--requests", requests)
    done = command("profiling", *shared, "--journal", tmp_path / "j", "--out", tmp_path / "out")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert "reference setting 16/-/- cannot be measured (NotFiniteError: the logits of" in line
    assert "nothing to compare with: check the model's weights" in line
    assert not (tmp_path / "out" / "rows.parquet").exists()


def test_answers_end_in_one_line_that_says_what_to_do(vlm, tmp_path, monkeypatch) -> None:
    params = load_params(write_params(tmp_path, SMALL))
    photo(64, 48).save(tmp_path / "1.png")
    prepared = {w: prepared_in(tmp_path, REQUEST, workload=w) for w in WORKLOADS}
    how = How(params.model, params.knobs, params.quality, params.profile.max_new_tokens)
    answering = Answering(vlm, prepared, how, tmp_path / "kept")
    told = (
        r"qa at setting 144/4/8 cannot be answered \(the logits .* leave the setting out of knobs"
    )
    with logits_become(vlm, set_to(NAN)), pytest.raises(UserError, match=told):
        answering.run()

    def without_memory(*_) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB.")

    monkeypatch.setattr(answering_run, "answer_in_batches", without_memory)
    told = r"\(CUDA out of memory. Tried to allocate 2.00 GiB.\): make quality.batch_size or the"
    with pytest.raises(UserError, match=told):
        answering.run()
