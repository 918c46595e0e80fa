"""The imports between modules of m1 and stages, read from source text without running it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("m1", "stages")


@dataclass(frozen=True)
class Module:
    """One Python file of the project."""

    name: str
    path: str
    source: str
    imports: frozenset[str]


Project = Mapping[str, Module]


def read_project(root: Path = ROOT) -> Project:
    """Every module of the project, by dotted name."""
    files = (file for package in PACKAGES for file in sorted((root / package).rglob("*.py")))
    return make_project({file.relative_to(root).as_posix(): file.read_text() for file in files})


def make_project(sources: Mapping[str, str]) -> Project:
    """A project from source texts, by path."""
    modules = (make_module(path, source) for path, source in sources.items())
    return {module.name: module for module in modules}


def make_module(path: str, source: str) -> Module:
    """The module that lies at `path`."""
    parts = PurePosixPath(path).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    package = ".".join(parts[:-1])
    name = package if is_package else ".".join(parts)
    return Module(name, path, source, frozenset(imported_names(source, package)))


def imported_names(source: str, package: str) -> Iterator[str]:
    """Each dotted name that an import anywhere in `source` may load, functions included.

    `from a import b` yields `a` and `a.b`, since `b` may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_name(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def absolute_name(node: ast.ImportFrom, package: str) -> str:
    """The module a `from` import names, with leading dots resolved against `package`."""
    kept = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    return ".".join([*kept, *([node.module] if node.module else [])])


def closure(name: str, project: Project) -> set[str]:
    """The project modules that importing `name` may load: itself, its imports, their packages."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in project and name not in found:
            found.add(name)
            waiting += [name.rpartition(".")[0], *project[name].imports]
    return found
