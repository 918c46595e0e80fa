"""Answers over the grid, and what of them is used again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner
from whole_run import SMALL, command, merged, run_all, tiny_model, write_params

import m1.answering.run as answering_run
from m1.answering.run import Answering, How
from m1.cli import app
from m1.errors import UserError
from m1.files import read_record, read_rows
from m1.params import (
    KnobParams,
    ModelParams,
    PerWorkload,
    QualityParams,
    load_params,
    why_no_answers,
)
from m1.prepared import read_prepared
from m1.progress import CellProgress
from m1.schemas.answers import Answer, AnswersMade, AnswersRun
from m1.schemas.markup import Markup
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import ParetoResult, Summary, WorkloadContrast
from m1.vlm.batching import BatchedAnswer
from m1.vlm.block_policies import first
from m1.vlm.encoding import encode
from m1.vlm.engine import answer, text_of
from m1.vlm.knobs.apply import applied
from m1.vlm.model import LoadedVlm

QUALITY = {"n_requests": {"qa": 7, "captioning": 3}, "batch_size": 4}


@pytest.fixture(scope="module")
def requests(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("requests")
    params_file = write_params(folder, SMALL)
    for workload in WORKLOADS:
        out = folder / workload
        command("prepare", "--workload", workload, "--params", params_file, "--out", out)
    return folder


class World:
    """Everything that decides answers, to be changed piece by piece."""

    def __init__(self, vlm: LoadedVlm, requests: Path, kept: Path) -> None:
        params = load_params(Path("params.yaml"))
        self.vlm, self.requests, self.kept = vlm, requests, kept
        self.how = How(
            params.model,
            KnobParams(vision_tokens=[16], top_k=[4], active_blocks=[8, 4]),
            QualityParams(n_requests=PerWorkload(qa=7, captioning=3), batch_size=4),
            PerWorkload(qa=4, captioning=5),
        )

    def run(self) -> tuple[list[Answer], AnswersMade]:
        return Answering(self.vlm, read_prepared(self.requests), self.how, self.kept).run()

    def cells(self) -> tuple[int, int]:
        """How many cells a run uses again, and how many it answers."""
        _, made = self.run()
        return made.n_cells_reused, made.n_cells_computed


@pytest.fixture
def world(vlm, requests, tmp_path) -> World:
    return World(vlm, requests, tmp_path / "kept")


def test_every_cell_is_answered_as_single_requests_are(world, vlm) -> None:
    answers, made = world.run()
    assert (made.n_cells_reused, made.n_cells_computed) == (0, 4)
    assert made.n_requests == {"qa": 7, "captioning": 3}
    assert made.markup == Markup()
    counts = {(a.workload, a.active_blocks): 0 for a in answers}
    for one in answers:
        counts[one.workload, one.active_blocks] += 1
    assert counts == {("qa", 8): 7, ("qa", 4): 7, ("captioning", 8): 3, ("captioning", 4): 3}
    for one in answers[::5]:
        assert one.output_text == said_alone(world, one)


def said_alone(world: World, one: Answer) -> str:
    prepared = read_prepared(world.requests)[one.workload]
    (request,) = [r for r in prepared.requests if r.request_id == one.request_id]
    setting = next(s for s in world.how.knobs.grid() if s.active_blocks == one.active_blocks)
    inputs = encode(world.vlm, prepared.open_image(request), request.prompt, 16)
    with applied(world.vlm.structure, setting):
        generation = answer(world.vlm, inputs, world.how.max_new_tokens.of(one.workload))
    return text_of(world.vlm, generation)


def test_a_second_run_answers_nothing_and_says_the_same(world, monkeypatch) -> None:
    first, _ = world.run()
    monkeypatch.setattr(answering_run, "answer_in_batches", None)
    again, made = world.run()
    assert (made.n_cells_reused, made.n_cells_computed) == (4, 0)
    assert again == first


def test_a_further_value_of_a_knob_leaves_the_others_as_they_are(world) -> None:
    first, _ = world.run()
    knobs = KnobParams(vision_tokens=[16], top_k=[4], active_blocks=[8, 6, 4])
    world.how = replace(world.how, knobs=knobs)
    more, made = world.run()
    assert (made.n_cells_reused, made.n_cells_computed) == (4, 2)
    assert [one for one in more if one.active_blocks != 6] == first


@pytest.mark.parametrize(
    "change",
    [
        {"max_new_tokens": PerWorkload(qa=3, captioning=4)},
        {"quality": QualityParams(n_requests=PerWorkload(qa=6, captioning=2), batch_size=4)},
        {"quality": QualityParams(n_requests=PerWorkload(qa=7, captioning=3), batch_size=3)},
        {"knobs": KnobParams(vision_tokens=[36], top_k=[4], active_blocks=[8, 4])},
    ],
    ids=["longest output", "requests", "batch size", "knob"],
)
def test_what_changes_answers_makes_new_ones(world, change) -> None:
    world.run()
    world.how = replace(world.how, **change)
    assert world.cells() == (0, 4)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"dtype": "bfloat16"}, (0, 4)),
        ({"experts": "batched_mm"}, (0, 4)),
        ({"n_threads": 2}, (4, 0)),
        ({"source": "a copy of the same model"}, (4, 0)),
    ],
    ids=str,
)
def test_of_the_models_parameters_those_count_that_change_answers(world, change, again) -> None:
    world.run()
    model = ModelParams.model_validate(world.how.model.model_dump() | change)
    world.how = replace(world.how, model=model)
    assert world.cells() == again


def test_changed_code_libraries_prompts_and_weights_make_new_answers(world, monkeypatch) -> None:
    world.run()
    changed: dict[str, object] = {
        "code_fingerprint": lambda: "other",
        "library_versions": lambda: {"torch": "0"},
    }
    for name, value in changed.items():
        with monkeypatch.context() as patch:
            patch.setattr(answering_run, name, value)
            assert world.cells() == (0, 4), name
    with monkeypatch.context() as patch:
        patch.setitem(vars(world.vlm), "fingerprint", "other")
        assert world.cells() == (0, 4)
    with monkeypatch.context() as patch:
        patch.setattr(world.vlm.processor, "chat_template", "<bos><user><image>?<assistant>")
        assert world.cells() == (0, 4)
    assert world.cells() == (4, 0)


def test_other_blocks_that_stay_make_new_answers(world) -> None:
    world.run()
    structure = replace(world.vlm.structure, block_policy=first)
    world.vlm = replace(world.vlm, structure=structure)
    _, made = world.run()
    # With all eight blocks active the policy does not matter.
    assert (made.n_cells_reused, made.n_cells_computed) == (2, 2)
    assert made.kept_blocks == {"4": (0, 1, 2, 7), "8": tuple(range(8))}


@pytest.mark.parametrize("keep", [0, 0.5], ids=["empty", "truncated"])
def test_a_broken_file_is_answered_again(world, keep) -> None:
    first, _ = world.run()
    file = sorted(world.kept.iterdir())[1]
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole))])
    again, made = world.run()
    assert (made.n_cells_reused, made.n_cells_computed) == (3, 1)
    assert again == first
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "change",
    [
        lambda answers: answers[0].update(output_text="red"),
        lambda answers: answers[1].update(n_output_tokens=1, finish_reason="length"),
        lambda answers: answers[0].update(request_id=answers[1]["request_id"]),
        lambda answers: answers.reverse(),
        lambda answers: answers.pop(),
        lambda answers: answers.clear(),
    ],
)
def test_answers_that_were_changed_where_they_are_kept_are_made_again(world, change) -> None:
    first, _ = world.run()
    file = sorted(world.kept.iterdir())[1]
    cell = json.loads(file.read_text())
    change(cell["answers"])
    file.write_text(json.dumps(cell))
    again, made = world.run()
    assert (made.n_cells_reused, made.n_cells_computed) == (3, 1)
    assert again == first


def test_a_file_under_anothers_name_is_not_believed(world) -> None:
    world.run()
    one, other, *_ = sorted(world.kept.iterdir())
    one.write_bytes(other.read_bytes())
    assert world.cells() == (3, 1)


def test_a_killed_run_resumes_from_its_finished_cells(world, monkeypatch) -> None:
    whole = answering_run.answer_in_batches
    calls = 0

    def killed_in_the_third_cell(*arguments) -> list[BatchedAnswer]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(answering_run, "answer_in_batches", killed_in_the_third_cell)
        with pytest.raises(KeyboardInterrupt):
            world.run()
    assert world.cells() == (2, 2)


def test_a_setting_that_the_model_cannot_take_is_refused_before_any_answer(world) -> None:
    knobs = KnobParams(vision_tokens=[16], top_k=[4], active_blocks=[12, 8])
    world.how = replace(world.how, knobs=knobs)
    with pytest.raises(UserError, match=r"knobs\.active_blocks = 12"):
        world.run()
    assert not world.kept.exists()


@pytest.mark.parametrize(
    ("weights", "mode", "told"),
    [
        ("pretrained", "free", None),
        ("pretrained", "both", None),
        ("random", "free", "weights are random"),
        ("random", "both", "weights are random"),
        ("random", "reference_length", "weights are random"),
        ("pretrained", "reference_length", "length of the reference"),
    ],
)
def test_outputs_that_are_no_answers_are_said_to_be_none(weights, mode, told) -> None:
    reason = why_no_answers(weights, mode)
    assert reason is None if told is None else told in str(reason)


def test_without_a_terminal_each_cell_is_a_line_with_the_time_left(capsys) -> None:
    with CellProgress("answers", n_requests=4, n_cells=2) as progress:
        progress.begin()
        progress.requests_done(2)
        progress.cell_done()
        progress.tell("qa 16/4/8: 2 requests")
    assert "qa 16/4/8: 2 requests [1/2 cells, " in capsys.readouterr().err


# Through the command line


def answers_options(folder: Path, requests: Path, params_file: Path) -> list[object]:
    paths = ("--requests", requests, "--kept", folder / "kept", "--out", folder / "answers")
    return ["--params", params_file, *paths]


def test_the_stage_writes_answers_and_how_they_were_made(requests, tmp_path) -> None:
    small = merged(SMALL, {"quality": QUALITY, "knobs": {"vision_tokens": 16}})
    params_file = write_params(tmp_path, small)
    options = answers_options(tmp_path, requests, params_file)
    for n_reused in (0, 4):
        done = command("answers", *options)
        assert done.returncode == 0, done.stderr
        run = read_record(AnswersRun, tmp_path / "answers" / "run.json")
        assert run.made is not None
        assert run.made.n_cells_reused == n_reused
        assert run.made.n_cells_reused + run.made.n_cells_computed == 4
        assert run.made.batch_size == 4
        assert len(read_rows(Answer, tmp_path / "answers" / "answers.parquet")) == 2 * 7 + 2 * 3
    # As soon as outputs are no answers, those of an earlier run are gone.
    write_params(tmp_path, merged(small, {"model": {"weights": "random"}}))
    done = command("answers", *options)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "answers" / "run.json").read_text())
    assert record["made"] is None
    assert "random" in record["not_available"]
    assert not (tmp_path / "answers" / "answers.parquet").exists()


@pytest.fixture(scope="module")
def small_run(requests, tmp_path_factory) -> Path:
    """Every stage from profile to report, without answers."""
    folder = tmp_path_factory.mktemp("small")
    changes = {
        "profile": {"decode_mode": "reference_length"},
        "analysis": {"n_resamples": 100},
    }
    small = merged(SMALL, tiny_model(folder))
    params_file = write_params(folder, merged(small, changes))
    run_all(folder, params_file, requests)
    return folder


def test_a_run_without_answers_goes_through_and_says_why(small_run) -> None:
    why = why_no_answers("pretrained", "reference_length")
    for workload in WORKLOADS:
        result = read_record(ParetoResult, small_run / f"metrics/e2_pareto_{workload}.json")
        assert (result.frontier, result.quality_not_available) == (None, why)
    contrast = read_record(WorkloadContrast, small_run / "metrics/m1_workload_contrast.json")
    assert contrast.quality_not_available == why
    assert contrast.latency["qa"].n == SMALL["profile"]["e1_requests"]["qa"]
    assert [p.value for p in contrast.sensitivity["qa"]["vision_tokens"]] == [16]
    assert {one.reason for one in contrast.not_tested if "frontier" in one.id} == {why}
    assert read_record(Summary, small_run / "metrics/summary.json").qa.reference_quality is None
    shown = CliRunner().invoke(
        app, ["show", "--contrast", str(small_run / "metrics/m1_workload_contrast.json")]
    )
    assert shown.exit_code == 0, shown.output
