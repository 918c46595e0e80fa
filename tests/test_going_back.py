"""The outputs of dvc.yaml under real DVC: earlier runs come back, and a failed stage loses none.

The stages are stand-ins that write what no two runs have in common, so that a run that came back
is told from one that was made again.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import forked
import pytest
import yaml
from import_graph import ROOT

STAND_IN = """
import sys, uuid
from pathlib import Path

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
Path("log").open("a").write(NAME + " ")
if Path("fails").exists() and Path("fails").read_text() == NAME:
    sys.exit("error: on purpose")

def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)

def read(path):
    return Path(path).read_text()
"""
# Like the real ones, all but `profile` and `answers` follow from what they read.
STAGES = {
    "check": """
import json, yaml
params = yaml.safe_load(read(options["--params"]))
write(options["--out"] + "/plan.json", json.dumps(params))
write(options["--out"] + "/requests.json", json.dumps(params["data"], sort_keys=True))
""",
    "prepare": """
workload = options["--workload"]
write(options["--out"] + "/requests.json", workload)
write(options["--sample"], workload)
""",
    "profiling": """
write(options["--out"] + "/rows.parquet", uuid.uuid4().hex)
write(options["--out"] + "/run.json", read(options["--params"]))
""",
    "answers": """
write(options["--out"] + "/answers.parquet", uuid.uuid4().hex)
""",
    "pareto": """
made = read("data/profile/rows.parquet") + read("data/answers/answers.parquet")
for name in ("--scores", "--out"):
    write(options[name], made)
""",
    "contrast": """
for name in ("e1_stage_latency", "m1_workload_contrast", "summary"):
    write(f"metrics/{name}.json", '{"of": "' + read("metrics/e2_pareto_qa.json") + '"}')
for name in (
    "stage_breakdown", "latency_cdf", "frontier_qa", "frontier_captioning", "knob_sensitivity",
    "decode_split", "knob_coupling",
):
    write(f"plots/data/{name}.json", read("metrics/e2_pareto_qa.json"))
""",
    "figures": """
write("plots/figures/m1.png", read("metrics/summary.json"))
""",
    "report": """
write(options["--out"], read(options["--contrast"]))
""",
}
RESULTS = (
    "metrics", "plots/data", "plots/figures", "data/scores", "data/samples", "data/report",
)  # fmt: skip
MEASURED = ("data/profile", "data/answers")


class Project:
    """A git repository with M1's own dvc.yaml and params.yaml, and stages that take no time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self) -> None:
        """Make the project, which has not run yet."""
        root = self.root
        shutil.copy(ROOT / "dvc.yaml", root)
        shutil.copy(ROOT / "params.yaml", root)
        self.git("init", "-q")
        self.dvc("init", "-q")
        pipeline = yaml.safe_load((root / "dvc.yaml").read_text())
        for stage in pipeline["stages"].values():
            self._make_deps(stage.get("do", stage)["deps"])
        for name, source in STAGES.items():
            (root / f"stages/{name}.py").write_text(f"NAME = {name!r}\n{STAND_IN}{source}")
        (root / ".gitignore").write_text("/log\n/fails\n" + (ROOT / ".gitignore").read_text())
        self.commit()

    def _make_deps(self, deps: list[str]) -> None:
        """The code and the model that the stages depend on; a name is enough."""
        for dep in deps:
            if not dep.startswith(("m1/", "stages/", "data/models/", ".dvc/plots/")):
                continue
            path = self.root / dep
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.touch()
            else:
                path.mkdir(exist_ok=True)
                (path / "code.py").touch()
        for root in ("data/raw/vqa-v2.json", "data/raw/coco-captions.json"):
            (self.root / root).parent.mkdir(parents=True, exist_ok=True)
            (self.root / root).write_text("{}")

    def environment(self) -> dict[str, str]:
        names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@a"}
        names |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@a"}
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = os.environ | names | {"DVC_NO_ANALYTICS": "1", "PATH": programs}
        environment.pop("PYTHONPATH", None)
        return environment

    def git(self, *words: str) -> None:
        environment = self.environment()
        subprocess.run(("git", *words), cwd=self.root, env=environment, check=True)

    def run_dvc(self, *words: str) -> subprocess.CompletedProcess[str]:
        return forked.run(forked.Program("dvc", words, self.root, self.environment()))

    def dvc(self, *words: str) -> str:
        """Run DVC, which must succeed; the stages that really ran."""
        log = self.root / "log"
        log.unlink(missing_ok=True)
        self.say(*words)
        return log.read_text() if log.exists() else ""

    def say(self, *words: str) -> str:
        """What DVC prints, and what it warns of; it must succeed."""
        done = self.run_dvc(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout + done.stderr

    def dvc_fails(self, *words: str) -> None:
        """Run DVC, in which a stage fails that was told to."""
        done = self.run_dvc(*words)
        assert done.returncode != 0
        assert "on purpose" in done.stderr

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "all", "--allow-empty")

    def contents(self, *folders: str) -> dict[str, str]:
        """What is in the files of some folders."""
        files = (path for name in folders for path in (self.root / name).rglob("*"))
        return {
            path.relative_to(self.root).as_posix(): path.read_text()
            for path in files
            if path.is_file() and path.name != ".gitignore"
        }

    def fail_in(self, stage: str) -> None:
        (self.root / "fails").write_text(stage)

    def set(self, key: str, value: object) -> None:
        """Change a parameter by hand."""
        path = self.root / "params.yaml"
        raw = yaml.safe_load(path.read_text())
        section, name = key.split(".")
        raw[section][name] = value
        path.write_text(yaml.safe_dump(raw))


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first run, which is not committed."""
    made = Project(tmp_path_factory.mktemp("first"))
    made.make()
    ran = made.dvc("repro")
    assert set(ran.split()) == {*STAGES}
    return made.root


@pytest.fixture
def project(first_run: Path, tmp_path: Path) -> Project:
    """The same in a folder of its own."""
    return Project(shutil.copytree(first_run, tmp_path / "project"))


def test_after_a_run_nothing_is_said_to_be_missing(project: Project) -> None:
    assert project.say("status") == "Data and pipelines are up to date.\n"
    assert project.say("checkout") == ""


def test_an_experiment_does_not_destroy_the_run_before_it(project: Project) -> None:
    first = project.contents(*RESULTS, *MEASURED)
    ran = project.dvc("exp", "run", "-S", "knobs.top_k=2")
    assert {"profiling", "answers"} <= set(ran.split())
    second = project.contents(*RESULTS, *MEASURED)
    assert second["data/profile/rows.parquet"] != first["data/profile/rows.parquet"]
    project.git("checkout", "params.yaml")
    ran = project.dvc("repro")
    assert not {"profiling", "answers"} & set(ran.split())
    assert project.contents(*RESULTS, *MEASURED) == first
    # And forward again.
    ran = project.dvc("exp", "run", "-S", "knobs.top_k=2")
    assert not {"profiling", "answers"} & set(ran.split())
    assert project.contents(*RESULTS, *MEASURED) == second


def test_a_raised_session_measures_again_and_going_back_does_not(project: Project) -> None:
    first = project.contents("data/profile")["data/profile/rows.parquet"]
    project.set("profile.session", 2)
    assert "profiling" in project.dvc("repro")
    assert project.contents("data/profile")["data/profile/rows.parquet"] != first
    project.set("profile.session", 1)
    assert "profiling" not in project.dvc("repro")
    assert project.contents("data/profile")["data/profile/rows.parquet"] == first


def test_the_check_comes_first_and_makes_nothing_run_again_needlessly(project: Project) -> None:
    project.set("analysis.n_resamples", 100)
    assert project.dvc("repro").split() == ["pareto", "pareto", "contrast", "report"]
    project.set("profile.seed", 2)
    ran = project.dvc("repro").split()
    assert ran[0] == "check"
    assert "profiling" in ran
    assert not {"prepare", "answers"} & set(ran)


def test_what_the_check_refuses_costs_nothing(project: Project) -> None:
    before = project.contents(*RESULTS, *MEASURED, "data/requests", "data/plan")
    project.fail_in("check")
    project.set("knobs.top_k", 2)
    project.dvc_fails("repro")
    assert project.contents(*RESULTS, *MEASURED, "data/requests", "data/plan") == before


@pytest.mark.parametrize("stage", ["prepare", "pareto", "contrast", "figures"])
def test_a_failed_stage_leaves_all_earlier_results_in_place(project: Project, stage: str) -> None:
    before = project.contents(*RESULTS, "data/requests")
    project.fail_in(stage)
    project.set("data.seed" if stage == "prepare" else "analysis.seed", 7)
    if stage == "figures":
        (project.root / "m1/figures/code.py").write_text("changed")
    project.dvc_fails("repro")
    assert project.contents(*RESULTS, "data/requests") == before


@pytest.mark.parametrize("stage", ["profiling", "answers"])
def test_what_dvc_removed_before_a_failed_measurement_comes_back(
    project: Project, stage: str
) -> None:
    before = project.contents(*RESULTS, *MEASURED)
    project.fail_in(stage)
    project.set("knobs.top_k", 2)
    project.dvc_fails("repro")
    # By hand ...
    project.dvc("checkout", "data/profile", "data/answers")
    assert project.contents(*RESULTS, *MEASURED).items() >= before.items() - {
        (name, text) for name, text in before.items() if name.startswith("data/profile")
    }
    # ... or by going back to the parameters.
    project.git("checkout", "params.yaml")
    (project.root / "fails").unlink()
    assert not {"profiling", "answers"} & set(project.dvc("repro").split())
    assert project.contents(*RESULTS, *MEASURED) == before


def test_a_model_folder_that_changes_is_measured_again(project: Project, tmp_path: Path) -> None:
    model = tmp_path / "mine"
    model.mkdir()
    (model / "generation_config.json").write_text("{}")
    project.set("model.source", str(model))
    project.set("model.watched", str(model))
    project.dvc("repro")
    assert project.dvc("repro") == ""
    (model / "generation_config.json").write_text('{"repetition_penalty": 1.5}')
    assert {"profiling", "answers"} <= set(project.dvc("repro").split())


def test_every_stage_names_where_its_outputs_stay() -> None:
    """What takes long is in the run cache; what is made in seconds stays until it is replaced."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kept = {
        name: {
            json.dumps(out) if isinstance(out, str) else next(iter(out.values())).get("persist")
            for out in (*stage.get("do", stage)["outs"], *stage.get("metrics", []))
        }
        for name, stage in stages.items()
    }
    assert kept.pop("profile") == {'"data/profile"'}
    assert kept.pop("answers") == {'"data/answers"'}
    assert all(persists == {True} for persists in kept.values()), kept
