"""Results kept beside DVC's outputs are found again, but not after the code has changed."""

from pathlib import Path

import pytest
from import_graph import ROOT, closure, read_project
from simulated import simulate_requests

from m1.answering import cache
from m1.answering import whole as answering
from m1.errors import UserError
from m1.kept import PACKAGE, find, keep, path_of, shared_folder, source_fingerprint
from m1.prepared import PreparedRequests
from m1.profiling import whole as profile
from m1.profiling.journal import journal
from m1.schemas.importance import BlockImportance, ImportanceKey
from m1.schemas.requests import WORKLOADS
from m1.vlm.loading import block_importance as importance
from stages import answers, profiling

KEY = ImportanceKey(
    model_fingerprint="0",
    requests="16",
    device_type="cpu",
    dtype="torch.float32",
    attention="sdpa",
    experts=None,
    code="0",
    versions={},
)


def test_only_source_text_counts(tmp_path) -> None:
    (tmp_path / "deeper").mkdir()
    for name in ("engine.py", "deeper/knobs.py", "notes.txt"):
        (tmp_path / name).write_text("1")
    before = source_fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("2")
    assert source_fingerprint(tmp_path) == before
    for name in ("engine.py", "deeper/knobs.py"):
        (tmp_path / name).write_text("2")
        after = source_fingerprint(tmp_path)
        assert after != before
        before = after
    assert source_fingerprint(PACKAGE / "vlm") != source_fingerprint(PACKAGE / "vlm", tmp_path)


def test_a_kept_file_that_cannot_be_read_is_reported(tmp_path, capsys) -> None:
    record = BlockImportance(key=KEY, n_requests=1, scores=(0.5,))
    assert find(BlockImportance, KEY, tmp_path) is None
    keep(record, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path == path_of(KEY, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert find(BlockImportance, KEY, tmp_path) == record
    assert capsys.readouterr().err == ""
    path.write_text("{")
    assert find(BlockImportance, KEY, tmp_path) is None
    told = capsys.readouterr().err
    assert told.startswith(f"{path}: not JSON")
    assert told.endswith(": damaged, so it is made again\n")


def test_a_file_under_the_name_of_another_key_is_not_used(tmp_path, capsys) -> None:
    other = KEY.model_copy(update={"requests": "others"})
    keep(BlockImportance(key=other, n_requests=1, scores=(0.5,)), tmp_path)
    (path,) = tmp_path.iterdir()
    path.rename(path_of(KEY, tmp_path))
    assert find(BlockImportance, KEY, tmp_path) is None
    assert "changed since it was written, so it is made again" in capsys.readouterr().err


def test_queued_experiments_use_the_folder_of_the_project() -> None:
    project, kept = Path("/home/user/project"), Path(".m1/answers")
    assert shared_folder(kept, project) == project / kept
    assert shared_folder(kept, project / ".dvc/tmp/exps/tmp1234") == project / kept
    assert shared_folder(Path("/elsewhere"), project) == Path("/elsewhere")


def test_a_module_counts_by_its_path_and_a_file_alone(tmp_path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "deeper").mkdir(parents=True)
        (tmp_path / name / "deeper" / "code.py").write_text("1")
    before = source_fingerprint(tmp_path / "one")
    (tmp_path / "one" / "deeper" / "code.py").rename(tmp_path / "one" / "code.py")
    moved = source_fingerprint(tmp_path / "one")
    alone = source_fingerprint(tmp_path / "one" / "code.py")
    assert len({before, moved, alone, source_fingerprint(tmp_path / "other")}) == 4


# Parse, read, write and tell: nothing of what a model is given or says.
WITHOUT_EFFECT = ("m1.errors", "m1.files", "m1.kept", "m1.params", "m1.progress", "m1.schemas")
WITHOUT_EFFECT += (
    "m1.checked_lines",
    "m1.robust_spread",
    "m1.machine_course",
    "m1.prepared",
    "m1.together",
    "m1.origin",
)
WITHOUT_EFFECT += ("m1.reading", "m1.reasons", "m1.yaml_text", "m1.stopping")
WITHOUT_EFFECT += ("m1.plain_text", "m1.terminal")


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("m1.answering.run", cache.CODE),
        ("m1.profiling.run", journal.CODE),
        ("m1.vlm.loading.block_importance", importance.CODE),
    ],
)
def test_all_code_that_makes_kept_results_counts(module, code) -> None:
    project = read_project()
    inside = [project[name] for name in closure(module, project) if name != "m1"]
    forgotten = {
        one.name
        for one in inside
        if not one.name.startswith(WITHOUT_EFFECT)
        and not any((ROOT / one.path).is_relative_to(place) for place in code)
    }
    assert not forgotten


@pytest.mark.parametrize(
    ("stage", "option"),
    [(answers, "kept"), (answers, "out"), (profiling, "journal_folder"), (profiling, "out")],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_a_place_that_is_no_folder_is_reported_before_the_model_is_loaded(
    stage, option, tmp_path, monkeypatch
) -> None:
    # What a stage does beside reading parameters.
    work = {answers: answering, profiling: profile}[stage]
    prepared = {w: PreparedRequests(simulate_requests(w), tmp_path) for w in WORKLOADS}
    monkeypatch.setattr(work, "read_prepared", lambda _: prepared)
    monkeypatch.setattr(work, "load_vlm", lambda _: pytest.fail("loaded"))
    (tmp_path / option).touch()
    places = {"out": tmp_path / "new"} | {option: tmp_path / option}
    with pytest.raises(UserError, match=rf"{option}: cannot be written .*: something else is"):
        stage.main(params_file=Path("params.yaml"), **places)
