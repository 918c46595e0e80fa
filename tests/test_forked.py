"""Programs that run as forks of a server of imports are like programs in new interpreters."""

import os
from importlib.util import find_spec
from pathlib import Path

import forked
import pytest

PROGRAM = """
import os, signal, sys
print(os.getcwd(), os.environ["GREETING"], *sys.argv[1:])
print(f"name {__name__}", file=sys.stderr)
if sys.argv[1] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_what_is_imported_beforehand_is_there() -> None:
    # The server passes over a module that it cannot find, and every run would import it anew.
    assert all(find_spec(name) for name in forked.PRELOADED)


def test_a_program_has_folder_environment_words_and_outputs_of_its_own(folder: Path) -> None:
    environment = os.environ | {"GREETING": "hello"}
    done = forked.run(forked.Program("program", ["3", "more words"], folder, environment))
    assert done.returncode == 3
    assert done.stdout == f"{folder} hello 3 more words\n"
    assert done.stderr == "name __main__\n"
    assert "GREETING" not in os.environ
    assert Path.cwd() != folder


def test_a_program_that_a_signal_ends_has_its_negative_number_as_status(folder: Path) -> None:
    environment = os.environ | {"GREETING": "hello"}
    assert forked.run(forked.Program("program", ["dies"], folder, environment)).returncode == -9
