"""What is kept beside DVC's outputs is found again, and no longer once the code is another."""

from pathlib import Path

from m1.kept import PACKAGE, shared_folder, source_fingerprint


def test_source_counts_and_nothing_else(tmp_path) -> None:
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


def test_queued_experiments_keep_things_with_the_project() -> None:
    project, kept = Path("/home/user/project"), Path(".m1/answers")
    assert shared_folder(kept, project) == project / kept
    assert shared_folder(kept, project / ".dvc/tmp/exps/tmp1234") == project / kept
    assert shared_folder(Path("/elsewhere"), project) == Path("/elsewhere")
