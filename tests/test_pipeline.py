"""Each stage in dvc.yaml declares all the code it runs and all the params it reads.

What is not declared does not make a stage stale, so `dvc exp run` would record old results
under new settings.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.stage import Stage
from import_graph import ROOT, Project, closure, make_project, read_project

LOADER = "load_params"
VARIABLE = "params"


@dataclass(frozen=True)
class Step:
    """A pipeline stage, resolved, as far as these checks need it."""

    name: str
    modules: tuple[str, ...]
    deps: tuple[str, ...]
    params: tuple[str, ...]
    in_root: bool


def read_steps(root: Path, project: Path | None = None) -> list[Step]:
    """Every pipeline stage of a DVC project in `root`, with its templates resolved by DVC."""
    with Repo(str(project or root)) as repo:
        stages = [stage for stage in repo.index.stages if not stage.is_data_source]
        return [make_step(one, root) for one in stages]


def make_step(stage: Stage, root: Path) -> Step:
    commands = stage.cmd if isinstance(stage.cmd, list) else [stage.cmd]
    return Step(
        name=stage.name,
        modules=tuple(m for command in commands for m in stage_modules(command)),
        deps=tuple(declared_paths(stage, root)),
        params=tuple(declared_params(stage, root / "params.yaml")),
        in_root=Path(stage.path) == root / "dvc.yaml",
    )


def declared_paths(stage: Stage, root: Path) -> Iterator[str]:
    """The dependencies of a stage that lie in the repository, as paths from its root."""
    paths = (Path(dep.fs_path) for dep in stage.deps)
    return (path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root))


def declared_params(stage: Stage, file: Path) -> Iterator[str]:
    """The keys of `file` that a stage declares; `*` where it declares the whole file."""
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency) and Path(dep.fs_path) == file:
            yield from dep.params or ["*"]


def stage_modules(command: str) -> list[str]:
    """The project modules that a command runs with `python -m`."""
    return re.findall(r"-m ((?:stages|m1)[.\w]*)", command)


def missing_deps(modules: Iterable[str], deps: Sequence[str], project: Project) -> set[str]:
    """The files that `modules` load and no dependency covers."""
    loaded = {project[name].path for module in modules for name in closure(module, project)}
    return {path for path in loaded if not covers_path(deps, path)}


def covers_path(deps: Sequence[str], path: str) -> bool:
    return any(PurePosixPath(path).is_relative_to(dep) for dep in deps)


def missing_params(read: Iterable[str], declared: Sequence[str]) -> set[str]:
    """The keys that are read and lie under no declared key."""
    return {key for key in read if not covers_key(declared, key)}


def covers_key(declared: Sequence[str], key: str) -> bool:
    return "*" in declared or any(f"{key}.".startswith(f"{known}.") for known in declared)


def params_read(source: str) -> set[str]:
    """The dotted keys that `source` reads from the variable `params`.

    `params.a.b` is the key `a.b`; `f(params.a)` may read all of `a`. Other uses of the variable
    cannot be followed and yield an empty key: see `untraceable`.
    """
    tree = ast.parse(source)
    parents = parents_in(tree)
    return {attribute_chain(node, parents) for node in ast.walk(tree) if is_read(node)}


def is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == VARIABLE and isinstance(node.ctx, ast.Load)


def parents_in(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def attribute_chain(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    """The attributes taken from `node`, one after another: `a.b` of `node.a.b`."""
    names = []
    while isinstance(parent := parents.get(node), ast.Attribute):
        names.append(parent.attr)
        node = parent
    return ".".join(names)


def untraceable(source: str) -> list[str]:
    """Uses of params that these checks cannot follow, so they are not allowed."""
    tree = ast.parse(source)
    parents = parents_in(tree)
    wrong = [
        f"line {node.lineno}: write `{VARIABLE} = {LOADER}(...)`"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name_of(node.func) == LOADER
        and not is_plain_assignment(parents[node])
    ]
    if "" in params_read(source):
        wrong.append(f"`{VARIABLE}` used whole: use its sections, as in `{VARIABLE}.knobs`")
    return wrong


def name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_plain_assignment(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and [name_of(t) for t in node.targets] == [VARIABLE]


def reads_behind_the_stage(module: str, project: Project) -> set[str]:
    """Other modules that load params themselves, or a stage that parses YAML on its own."""
    others = closure(module, project) - {module}
    hidden = {n for n in others if LOADER in project[n].source and not n.startswith("m1.params")}
    return hidden | ({module} if "yaml" in project[module].imports else set())


# The embedded model's pipeline is a DVC project of its own.
STEPS = [*read_steps(ROOT), *read_steps(ROOT, ROOT / "data" / "models" / "scene-vlm")]
ROOT_STEPS = [step for step in STEPS if step.in_root]


def test_there_is_one_pipeline() -> None:
    """`dvc status` and `dvc checkout` read every dvc.yaml, not only the one at the root."""
    assert ROOT_STEPS
    assert read_steps(ROOT) == ROOT_STEPS


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_commands_run_stages_as_modules(step: Step) -> None:
    assert step.modules, "write the command as `python -m stages.<name>`"
    assert set(step.modules) <= set(read_project())


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_deps_cover_the_code(step: Step) -> None:
    assert missing_deps(step.modules, step.deps, read_project()) == set()


@pytest.mark.parametrize("step", ROOT_STEPS, ids=lambda step: step.name)
def test_params_cover_what_is_read(step: Step) -> None:
    sources = [read_project()[module].source for module in step.modules]
    assert [line for source in sources for line in untraceable(source)] == []
    read = {key for source in sources for key in params_read(source)}
    assert missing_params(read, step.params) == set()


@pytest.mark.parametrize("step", ROOT_STEPS, ids=lambda step: step.name)
def test_only_the_stage_itself_reads_params(step: Step) -> None:
    project = read_project()
    assert {n for m in step.modules for n in reads_behind_the_stage(m, project)} == set()


PLANTED = make_project(
    {
        "stages/__init__.py": "",
        "stages/count.py": "import numpy\ndef main():\n    from m1.analysis import counting",
        "m1/__init__.py": "",
        "m1/analysis/__init__.py": "",
        "m1/analysis/counting.py": "from .numbers import one",
        "m1/analysis/numbers.py": "one = 1",
        "m1/params/__init__.py": "import yaml\ndef load_params(path): ...",
        "m1/schemas.py": "",
    }
)


def test_folders_cover_all_their_files() -> None:
    assert missing_deps(["stages.count"], ["stages", "m1"], PLANTED) == set()


def test_a_missing_dep_is_found_through_late_relative_and_package_imports() -> None:
    deps = ["stages/count.py", "m1/analysis/counting.py", "data/requests"]
    assert missing_deps(["stages.count"], deps, PLANTED) == {
        "stages/__init__.py",
        "m1/__init__.py",
        "m1/analysis/__init__.py",
        "m1/analysis/numbers.py",
    }


def test_a_dep_covers_no_neighbour_with_a_longer_name() -> None:
    assert not covers_path(["m1/analysis"], "m1/analysis_extra.py")


STAGE = """
def main(path):
    params = load_params(path)
    run(params.profile.seed, params.knobs, seeds=params.e1.seeds[0])
"""


def test_keys_read_are_collected() -> None:
    assert params_read(STAGE) == {"profile.seed", "knobs", "e1.seeds"}
    assert untraceable(STAGE) == []


def test_a_missing_param_is_found() -> None:
    declared = ["profile.seed", "knobs.top_k", "e1"]
    assert missing_params(params_read(STAGE), declared) == {"knobs"}
    assert missing_params(["profile.seeds"], ["profile.seed"]) == {"profile.seeds"}
    assert missing_params(params_read(STAGE), ["*"]) == set()


@pytest.mark.parametrize(
    "use",
    [
        "params = load_params(path)\nrun(params)",
        "params = load_params(path)\nother = params",
        "params = load_params(path)\ngetattr(params, 'knobs')",
        "params = load_params(path)\nparams['knobs']",
        "settings = load_params(path)",
        "run(m1.params.load_params(path).knobs)",
    ],
)
def test_untraceable_uses_are_refused(use: str) -> None:
    assert untraceable(use)


def test_reads_behind_the_stage_are_found() -> None:
    sources = {
        "stages/a.py": "import yaml\nimport m1.files",
        "m1/files.py": "from m1.params import load_params",
        "m1/params/__init__.py": "from m1.params.load import load_params",
        "m1/params/load.py": "def load_params(path): ...",
    }
    found = reads_behind_the_stage("stages.a", make_project(sources))
    assert found == {"stages.a", "m1.files"}


def test_dvc_templates_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("names: [a, b]\nseed: 1\n")
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  count:\n"
        "    matrix: {name: '${names}'}\n"
        "    cmd: python -m stages.count ${item.name}\n"
        "    deps: [stages/count.py]\n"
        "    params: [seed]\n"
    )
    Repo.init(str(tmp_path), no_scm=True).close()
    steps = read_steps(tmp_path)
    assert [step.name for step in steps] == ["count@a", "count@b"]
    assert steps[0].modules == ("stages.count",)
    assert steps[0].deps == ("stages/count.py", "params.yaml")
    assert steps[0].params == ("seed",)
    assert steps[0].in_root
