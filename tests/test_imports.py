"""Imports point one way, and only the code that runs models loads torch."""

import subprocess
import sys

import pytest
from import_graph import Module, Project, closure, make_module, read_project

# An area may import areas of a smaller number, and itself.
LAYERS = {
    "m1": 0,
    "m1.plain_text": 0,
    "m1.reasons": 0,
    "m1.stopping": 0,
    "m1.errors": 1,
    "m1.origin": 2,
    "m1.progress": 2,
    "m1.schemas": 1,
    "m1.robust_spread": 1,
    "m1.machine_course": 2,
    "m1.terminal": 1,
    "m1.together": 1,
    "m1.reading": 2,
    "m1.files": 3,
    "m1.yaml_text": 3,
    "m1.checked_lines": 4,
    "m1.prepared": 4,
    "m1.images": 3,
    "m1.pages": 4,
    "m1.kept": 4,
    "m1.params": 4,
    "m1.quality": 4,
    "m1.workloads": 5,
    "m1.vlm": 5,
    "m1.profiling": 5,
    "m1.answering": 5,
    "m1.scene_vlm": 5,
    "m1.planning": 5,
    "m1.analysis": 5,
    "m1.figures": 5,
    "m1.show": 5,
    "m1.report": 6,
    "m1.cli": 7,
    "m1.__main__": 8,
    "stages": 7,
}
# Profiling and answering run models; the embedded model is trained on the generated scenes; scored
# outputs are shown as the analysis read them; a plan says how all would take what is asked for.
SIBLINGS = {
    ("m1.planning", "m1.vlm"),
    ("m1.planning", "m1.workloads"),
    ("m1.planning", "m1.profiling"),
    ("m1.planning", "m1.analysis"),
    ("m1.profiling", "m1.vlm"),
    ("m1.answering", "m1.vlm"),
    ("m1.scene_vlm", "m1.vlm"),
    ("m1.scene_vlm", "m1.workloads"),
    ("m1.show", "m1.analysis"),
}
TORCH_AREAS = {"m1.vlm", "m1.profiling", "m1.answering", "m1.scene_vlm", "m1.planning"}
TORCH_PACKAGES = {"torch", "transformers"}


def area(name: str) -> str:
    """The part of the project a dotted name lies in; each stage is a part of its own."""
    head = ".".join(name.split(".")[:2])
    return head if head in LAYERS or name.startswith("stages.") else name.split(".")[0]


def layer(name: str) -> int:
    return LAYERS.get(area(name), LAYERS["stages"])


def may_import(importer: str, imported: str) -> bool:
    pair = area(importer), area(imported)
    return pair[0] == pair[1] or pair in SIBLINGS or layer(importer) > layer(imported)


def loads_torch(module: Module) -> bool:
    return any(name.split(".")[0] in TORCH_PACKAGES for name in module.imports)


def may_load_torch(module: Module) -> bool:
    areas = {area(name) for name in module.imports}
    of_a_stage = module.name.startswith("stages.") and bool(areas & TORCH_AREAS)
    return area(module.name) in TORCH_AREAS or of_a_stage


def violations(module: Module) -> list[str]:
    """The wrong imports of one module, one line each."""
    project_names = (n for n in sorted(module.imports) if n.split(".")[0] in ("m1", "stages"))
    wrong = [
        f"{module.path}: must not import {name}"
        for name in project_names
        if not may_import(module.name, name)
    ]
    if loads_torch(module) and not may_load_torch(module):
        wrong.append(f"{module.path}: must not import torch or transformers")
    return wrong


def without_torch(project: Project) -> list[str]:
    """The modules that must not load torch: all that never reach vlm or profiling."""
    return [
        name
        for name in project
        if not {area(reached) for reached in closure(name, project)} & TORCH_AREAS
    ]


def loaded_with(modules: list[str]) -> set[str]:
    """The top-level packages in memory after importing `modules` in a fresh interpreter."""
    code = f"import sys, {', '.join(modules)}; print(*(n for n in sys.modules if '.' not in n))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_every_module_belongs_to_a_layer() -> None:
    strays = [n for n in read_project() if area(n) == "m1" and n != "m1"]
    assert strays == [], "give these a place in LAYERS"


def test_imports_point_one_way() -> None:
    wrong = [line for module in read_project().values() for line in violations(module)]
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    "part", ["analysis", "figures", "quality", "report", "schemas", "show", "workloads"]
)
def test_nothing_reachable_from_a_torch_free_area_names_torch(part: str) -> None:
    project = read_project()
    names = [name for name in project if area(name) == f"m1.{part}"]
    assert names, f"m1.{part} is gone: nothing was checked"
    reached = {module for name in names for module in closure(name, project)}
    assert [name for name in sorted(reached) if loads_torch(project[name])] == []


def test_torch_free_modules_start_without_torch() -> None:
    # Third-party packages can load torch too, which no reading of our source shows.
    assert not loaded_with(without_torch(read_project())) & TORCH_PACKAGES


def test_command_line_starts_without_torch() -> None:
    assert not loaded_with(["m1.cli"]) & TORCH_PACKAGES


def test_command_line_starts_without_what_only_tables_need() -> None:
    assert not loaded_with(["m1.cli"]) & {"pandas", "pyarrow"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("m1/analysis/frontier/frontier.py", "import stages.contrast"),
        ("m1/cli.py", "from stages import contrast"),
        ("stages/contrast.py", "from stages.figures import main"),
        ("m1/schemas/base.py", "from m1.params import Params"),
        ("m1/figures/bars.py", "from m1 import analysis"),
        ("m1/figures/bars.py", "from ..analysis import frontiers"),
        ("m1/vlm/engine.py", "def late():\n    import m1.profiling.timing.clocks"),
        ("m1/workloads/scenes.py", "from m1.scene_vlm.architecture import Scene"),
        ("m1/analysis/frontier/frontier.py", "def late():\n    from torch import nn"),
        ("m1/cli.py", "import transformers"),
        ("stages/contrast.py", "import torch\nfrom m1.analysis import findings"),
    ],
)
def test_checker_fires_on(path: str, source: str) -> None:
    assert violations(make_module(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("m1/profiling/run.py", "import torch\nfrom m1.vlm.engine import decode"),
        ("m1/scene_vlm/batches.py", "from m1.workloads.scenes import draw_scene"),
        ("m1/analysis/frontier/frontier.py", "from . import bootstrap\nfrom m1.quality import vqa"),
        ("m1/params/data.py", "from m1.schemas.base import Record"),
        ("m1/cli.py", "from m1 import __version__, params"),
        ("stages/profiling.py", "import torch\nfrom m1.profiling.run import profile"),
    ],
)
def test_checker_accepts(path: str, source: str) -> None:
    assert violations(make_module(path, source)) == []
