"""`m1 answers`: the scored outputs in the wanted order, without danger for the terminal."""

import contextlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dvc.repo import Repo
from scored_example import (
    WHY_NONE,
    request,
    write_made,
    write_none_made,
    write_picture,
    write_scored,
)
from typer.testing import CliRunner

from m1.cli import app
from m1.schemas.markup import Marks, Markup
from m1.show import answers_page

HOSTILE = "</dd><script>alert(1)</script>[bold red]\x1b[31m\u202egpj {{ 7 * 7 }} \"'&"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scored(tmp_path_factory.mktemp("scored"))


def run(project: Path, *options: str, code: int = 0, columns: int = 80) -> str:
    """The output of the command in a project."""
    runner = CliRunner(env={"COLUMNS": str(columns), "NO_COLOR": "1"})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        result = runner.invoke(app, ["answers", *options])
    assert result.exit_code == code, result.output
    return result.output


def fails(project: Path, *options: str) -> str:
    """The single line of the command's error."""
    (line,) = run(project, *options, code=1).splitlines()
    assert line.startswith("error: ")
    return line


def outputs(said: str) -> list[str]:
    """The outputs in the printed text, in their order."""
    return re.findall(r"(?:qa|captioning) output \d at \S+", said)


def test_the_worst_of_each_workload_come_first_at_the_reference_setting(scored: Path) -> None:
    said = run(scored)
    expected = [f"{w} output {n} at 144/-/8" for w in ("qa", "captioning") for n in range(4)]
    assert outputs(said) == expected
    assert "Question answering at 144/-/8: 4 of 4 requests, worst first; mean VQA" in said
    assert "accuracy 0.65 of 1" in " ".join(said.split())
    assert "Captioning at 144/-/8: 4 of 4 requests, worst first; mean CIDEr-D 0.65 of 10" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--workload", "qa", "--n", "1"], ["qa output 0 at 144/-/8"]),
        (["--workload", "captioning", "--n", "1"], ["captioning output 0 at 144/-/8"]),
        (
            ["--workload", "qa", "--best", "--n", "2"],
            ["qa output 3 at 144/-/8", "qa output 2 at 144/-/8"],
        ),
        (["--workload", "qa", "--setting", "16/-/8", "--n", "1"], ["qa output 0 at 16/-/8"]),
        (
            ["--workload", "qa", "--setting", "all", "--n", "1"],
            ["qa output 0 at 16/-/8", "qa output 0 at 144/-/8"],
        ),
        (["--request", "qa-2"], ["qa output 2 at 16/-/8", "qa output 2 at 144/-/8"]),
        (
            ["--request", "qa-2", "--best"],
            ["qa output 2 at 144/-/8", "qa output 2 at 16/-/8"],
        ),
        (["--request", "qa-2", "--setting", "16/-/8"], ["qa output 2 at 16/-/8"]),
    ],
)
def test_options_choose_what_is_shown(scored: Path, options, expected) -> None:
    assert outputs(run(scored, *options)) == expected


def test_zero_shows_all_of_more_than_usual(scored: Path) -> None:
    assert len(outputs(run(scored, "--n", "0"))) == 8
    assert "2 of 4 requests" in run(scored, "--n", "2")


def test_each_block_has_all_that_a_reader_needs(scored: Path) -> None:
    said = run(scored, "--workload", "qa", "--n", "1").splitlines()
    assert [" ".join(line.split()) for line in said[2:] if line] == [
        "request qa-0",
        "prompt What is in picture 0?",
        "0.50 qa output 0 at 144/-/8",
        "references - cup (9 times)",
        "- mug",
    ]


def test_the_scored_part_is_shown_if_it_is_not_the_whole_output(tmp_path: Path) -> None:
    whole = {"output_text": "<think>a cup?</think>\ncup", "scored_text": "cup"}
    said = run(write_scored(tmp_path, of_answer=whole), "--workload", "qa", "--n", "1")
    assert "<think>a cup?</think>" in said
    assert " scored cup" in " ".join(said.split())
    assert "scored" not in run(tmp_path, "--workload", "qa", "--best", "--n", "1")


def test_an_output_that_was_cut_or_is_empty_says_so(tmp_path: Path) -> None:
    changes = {"output_text": "", "scored_text": "", "finish_reason": "length"}
    said = run(write_scored(tmp_path, of_answer=changes), "--workload", "qa", "--n", "1")
    assert "(nothing) [cut at the longest output]" in said


def test_no_text_controls_the_terminal_or_is_read_as_markup(tmp_path: Path) -> None:
    write_scored(
        tmp_path,
        of_request={"prompt": HOSTILE, "references": (HOSTILE,)},
        of_answer={"output_text": HOSTILE, "scored_text": HOSTILE},
    )
    said = run(tmp_path, "--workload", "qa", "--n", "1", columns=200)
    assert said.count(r"[bold red]\x1b[31m\u202egpj") == 3
    assert not {"\x1b", "\u202e"} & set(said)


def test_a_long_output_is_cut_and_says_how_much_is_left(tmp_path: Path) -> None:
    long = {"output_text": "x" * 5000, "scored_text": "x" * 5000}
    said = run(write_scored(tmp_path, of_answer=long), "--workload", "qa", "--n", "1")
    assert said.count("x") == 2000
    assert "(3,000 more characters)" in " ".join(said.split())


def test_lines_fit_into_80_columns(tmp_path: Path) -> None:
    wide = {"output_text": "word " * 100 + "y" * 300, "scored_text": "word"}
    said = run(write_scored(tmp_path, of_answer=wide), "--setting", "all")
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--setting", "1/2/3"], "give one of 2 settings (144/-/8, 16/-/8) or all"),
        (["--request", "nix"], "not among the scored requests of qa and captioning"),
        (["--request", "qa-1", "--workload", "captioning"], "requests of captioning, such as"),
    ],
)
def test_missing_files_are_reported_in_one_line(scored: Path, options, told) -> None:
    assert told in fails(scored, *options)


def test_a_run_without_quality_says_why(tmp_path: Path) -> None:
    project = write_none_made(write_scored(tmp_path))
    assert fails(project) == f"error: no outputs were scored: {WHY_NONE}"


@pytest.mark.parametrize(
    "missing",
    [
        "data/answers/run.json",
        "data/scores/qa.parquet",
        "data/requests/qa/requests.json",
        "metrics/e2_pareto_qa.json",
    ],
)
def test_before_any_run_it_says_what_to_do(scored: Path, tmp_path: Path, missing: str) -> None:
    project = shutil.copytree(scored, tmp_path / "project")
    (project / missing).unlink()
    reason = "cannot be read (it is not there)"
    assert fails(project) == f"error: {missing}: {reason}; run `dvc repro` first"


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("data/scores/qa.parquet", "with other scores"),
        ("data/requests/qa", "that of other requests"),
        ("metrics/e2_pareto_qa.json", "changed after the frontier was found"),
    ],
)
def test_files_of_two_runs_are_not_shown_together(
    scored: Path, tmp_path: Path, file: str, told: str
) -> None:
    project = shutil.copytree(scored, tmp_path / "project")
    changed = {"of_request": {"prompt": "Else?"}, "of_answer": {"output_text": "else"}}
    other = write_scored(tmp_path / "other", **changed)
    if file.endswith(".json"):
        raw = json.loads((project / file).read_text())
        (project / file).write_text(json.dumps(raw | {"quality_not_available": "Else."}))
    elif file.endswith(".parquet"):
        shutil.copy(other / file, project / file)
    else:
        shutil.copytree(other / file, project / file, dirs_exist_ok=True)
    assert told in fails(project)


def test_answers_made_again_are_not_shown_with_old_scores(scored: Path, tmp_path: Path) -> None:
    project = write_made(
        shutil.copytree(scored, tmp_path / "project"), answers_fingerprint="b" * 64
    )
    assert "that of other answers" in fails(project)


class Reader(HTMLParser):
    """The elements, links and texts of a page, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data) -> None:
        self.texts.append(data)


def page_of(project: Path, place: Path, *options: str) -> Reader:
    said = run(project, "--html", str(place), *options)
    page = Reader(place.read_text())
    assert said.startswith(f"{place}: {page.tags.count('article')} of ")
    return page


def test_the_page_has_each_request_with_its_picture(scored: Path, tmp_path: Path) -> None:
    page = page_of(scored, tmp_path / "page.html", "--setting", "all")
    assert page.tags.count("article") == 8
    assert page.tags.count("img") == 8
    assert all(link.startswith("data:image/jpeg;base64,") for link in page.links)
    said = "".join(page.texts)
    assert outputs(said)[:2] == ["qa output 0 at 16/-/8", "qa output 0 at 144/-/8"]
    assert len(outputs(said)) == 16
    assert "cup (9 times)" in said
    assert "What is in picture 3?" in said
    assert "models/mine" in said


def test_texts_on_the_page_stay_texts_whatever_they_contain(tmp_path: Path) -> None:
    write_scored(
        tmp_path,
        of_request={
            "request_id": HOSTILE,
            "image": "images/\"onerror='x'<b>.png",
            "prompt": HOSTILE,
            "references": (HOSTILE,),
        },
        of_answer={"output_text": HOSTILE, "scored_text": HOSTILE + "!"},
        model=HOSTILE,
        markup=Markup(reasoning=(Marks(opening="<i>", closing="</i>"),)),
    )
    page = page_of(tmp_path, tmp_path / "page.html", "--workload", "qa")
    assert not {"script", "b", "i"} & set(page.tags)
    assert "".join(page.texts).count("<script>alert(1)</script>[bold red]") >= 6
    assert "".join(page.texts).count("{{ 7 * 7 }}") >= 6
    assert "text in <i>...</i> is not scored" in "".join(page.texts)
    assert "Content-Security-Policy" in (tmp_path / "page.html").read_text()


def test_pictures_are_made_small(tmp_path: Path) -> None:
    write_picture(tmp_path / "large.png", 1, size=(3000, 2000))
    outputs_ = type("Outputs", (), {"folder": tmp_path})
    picture = answers_page.thumbnail(outputs_, request("qa", 1, image="large.png"))
    assert (picture.width, picture.height) == (384, 256)


def test_a_page_without_more_room_ends_and_says_so(
    scored: Path, tmp_path: Path, monkeypatch
) -> None:
    place = tmp_path / "page.html"
    assert "no room" not in "".join(page_of(scored, place).texts)
    monkeypatch.setattr(answers_page, "MOST_BYTES", 10_000)
    page = page_of(scored, place)
    n_shown = page.tags.count("article") // 2
    assert 0 < n_shown < 4
    told = f"The first {n_shown} of these are here: the page has no room for more."
    assert "".join(page.texts).count(told) == 2


def test_a_picture_that_has_changed_is_refused(scored: Path, tmp_path: Path) -> None:
    project = shutil.copytree(scored, tmp_path / "project")
    write_picture(project / "data/requests/qa/images/2.png", 5)
    said = fails(project, "--html", "page.html")
    assert "not the image that the requests were prepared with" in said
    assert not (project / "page.html").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a library under DVC
def test_earlier_outputs_come_out_of_git_and_the_cache(scored: Path, tmp_path: Path) -> None:
    project = shutil.copytree(scored, tmp_path / "project")
    commit_results(project)
    write_scored(project, of_answer={"output_text": "another", "scored_text": "another"})
    options = ("--workload", "qa", "--n", "1")
    assert "another" in run(project, *options)
    assert outputs(run(project, *options, "--rev", "HEAD")) == ["qa output 0 at 144/-/8"]
    run(project, *options, "--rev", "HEAD", "--html", "page.html")
    assert "another" not in (project / "page.html").read_text()
    assert "unknown Git revision 'nix'" in fails(project, *options, "--rev", "nix")
    shutil.rmtree(project / ".dvc/cache")
    assert "neither in git nor in DVC's cache" in fails(project, *options, "--rev", "HEAD")


def commit_results(project: Path) -> None:
    """Put small files into git, and data into DVC's cache."""

    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@a", *words], check=True)

    with contextlib.chdir(project):
        git("init", "-q")
        with Repo.init() as repo:
            repo.add(["data/requests", "data/scores", "data/answers"])
        git("add", "-A")
        git("commit", "-qm", "results")
