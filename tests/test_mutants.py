"""Small changes to a module, which show what the tests notice."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import mutants
from m1.errors import UserError


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a = b + c", {"a = b - c"}),
        ("a = b < c", {"a = b <= c"}),
        ("a = min(b)", {"a = max(b)"}),
        ("a = b and c", {"a = b or c"}),
        ("a = True", {"a = False"}),
        ("a = 100", {"a = 101", "a = 101.0"}),
        ("a = 0", {"a = 1"}),
        ("if a:\n    b()", {"if not a:\n    b()"}),
        ("a = 'x' if b else c", {"a = 'x' if not b else c"}),
        ("a = b(c)", set()),
    ],
)
def test_each_change_is_made_by_itself(text, changed) -> None:
    assert {one.module for one in mutants.mutants(text)} == changed


def test_a_change_knows_its_line_and_shows_what_it_changed() -> None:
    changes = list(mutants.mutants("x = 1\nif x < 2:\n    y = 0\n"))
    assert [c.line for c in changes if c.after == "x <= 2"] == [2]
    assert all("\n" not in c.before + c.after for c in changes)


MODULE = "def larger(a, b):\n    return a if a > b else b\n"
TEST = "from house.room.module import larger\ndef test_larger():\n    assert larger(1, 2) == {}\n"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A repository of one module, and one test file that names it."""
    (tmp_path / "house/room").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "house/room/module.py").write_text(MODULE)
    (tmp_path / "conftest.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    subprocess.run(["git", "init", "-q"], check=True)
    return tmp_path


def test_changes_that_no_test_notices_are_named_and_files_stay(project, capsys) -> None:
    (project / "tests/test_module.py").write_text(TEST.format(2))
    mutants.main(Path("house/room/module.py"), n=20)
    shown = capsys.readouterr().out
    assert "NOT NOTICED: house/room/module.py:2: a > b -> a >= b" in shown
    assert "1 of 2 changes noticed (2 possible)" in shown
    assert (project / "house/room/module.py").read_text() == MODULE


def test_tests_that_fail_without_a_change_are_refused(project) -> None:
    (project / "tests/test_module.py").write_text(TEST.format(1))
    with pytest.raises(UserError, match="the tests fail without a change"):
        mutants.main(Path("house/room/module.py"), n=20)


def test_a_module_that_no_test_names_is_refused(project) -> None:
    with pytest.raises(UserError, match="no file in tests names it"):
        mutants.main(Path("house/room/module.py"), n=20)
