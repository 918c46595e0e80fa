"""Small changes to a module, one at a time: does a test fail for each of them?

This helps people who change statistics or timing. If no test notices a change, the tests have a
gap, or the change makes no difference. The tests run in a copy of the project's files, with changes
that are not committed yet. So the files here stay as they are.
"""

import ast
import copy
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from m1.errors import UserError, run_command

SLOWER = 10
"""With a change, the tests may take this many times as long as without, plus half a minute."""

SWAPPED: dict[type[ast.AST], ast.operator | ast.cmpop | ast.boolop] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(),
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
}
RENAMED = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Mutant:
    """A module with one small change."""

    line: int
    before: str
    after: str
    module: str
    """The changed module, as text."""


def main(
    module: Annotated[
        Path, typer.Argument(help="A module, such as m1/analysis/latency/jitter.py.")
    ],
    tests: Annotated[
        list[Path] | None,
        typer.Argument(help="Test files to run; by default those that name the module."),
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="Number of changes, drawn at random.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the random draw.")] = 0,
) -> None:
    """Make small changes to a module, one at a time, and report those that no test notices."""
    if not module.is_file():
        raise UserError(f"{module}: no such file; name a module of m1")
    tests = tests or naming(module)
    if not tests:
        raise UserError(f"{module}: no file in tests names it; name the tests to run")
    changes = list(mutants(module.read_text()))
    drawn = random.Random(seed).sample(changes, min(n, len(changes)))
    with tempfile.TemporaryDirectory() as folder:
        missed = sum(survives for survives in tried(drawn, module, tests, copied(Path(folder))))
    print(f"{len(drawn) - missed} of {len(drawn)} changes noticed ({len(changes)} possible)")


def naming(module: Path) -> list[Path]:
    """The test files that import a module, or have its name in their names."""
    dotted, name = ".".join(module.with_suffix("").parts), f"{module.parent.name}_{module.stem}"
    files = sorted(Path("tests").glob("test_*.py"))
    return [file for file in files if name in file.stem or f"{dotted} import" in file.read_text()]


def mutants(text: str) -> Iterator[Mutant]:
    """Every possible change: another operator or function, another number, a negated condition."""
    whole = ast.parse(text)
    for place, node in enumerate(ast.walk(whole)):
        for change in changes_of(node):
            changed = copy.deepcopy(whole)
            here = next(n for i, n in enumerate(ast.walk(changed)) if i == place)
            change(here)
            line = getattr(node, "lineno", 0)
            yield Mutant(line, first_line(node), first_line(here), ast.unparse(changed))


def first_line(node: ast.AST) -> str:
    """The first line of a piece of code, as it is shown."""
    return ast.unparse(node).splitlines()[0]


def changes_of(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    """The possible changes of a node. Each is a function that changes a copy of the node."""
    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            yield lambda n: setattr(n, "op", SWAPPED[type(op)])
        case ast.Compare(ops=[first, *rest]) if type(first) in SWAPPED:
            yield lambda n: setattr(n, "ops", [SWAPPED[type(first)], *rest])
        case ast.Call(func=ast.Name(id=name)) if name in RENAMED:
            yield lambda n: setattr(n, "func", ast.Name(RENAMED[name]))
        case ast.Constant(value=bool(truth)):
            yield lambda n: setattr(n, "value", not truth)
        case ast.Constant(value=int(number) | float(number)):
            yield lambda n: setattr(n, "value", number + 1)
            if number:
                yield lambda n: setattr(n, "value", number * 1.01)
        case ast.If(test=test) | ast.IfExp(test=test):
            yield lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), test))
        case ast.UnaryOp(op=ast.USub()):
            yield lambda n: setattr(n, "op", ast.UAdd())


def copied(folder: Path) -> Path:
    """Copy the files that git tracks or would add, and return the folder of the copies."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in subprocess.check_output(listed, text=True).split("\0"):
        if name and Path(name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, folder / name)
    return folder


def tried(changes: list[Mutant], module: Path, tests: list[Path], folder: Path) -> Iterator[bool]:
    """Whether each change stays unnoticed. The result for each change is printed.

    Raises:
        UserError: if the tests fail without any change.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", *map(str, tests)]
    started = perf_counter()
    plain = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = perf_counter() - started
    if plain.returncode:
        last = (plain.stdout.strip() or plain.stderr.strip()).splitlines()[-1]
        raise UserError(f"the tests fail without a change: {last}; make them pass first")
    print(f"{module}: {', '.join(map(str, tests))} take {seconds:.0f} s")
    for number, change in enumerate(changes, 1):
        (folder / module).write_text(change.module)
        try:
            run = subprocess.run(
                command, cwd=folder, capture_output=True, timeout=30 + SLOWER * seconds
            )
            unnoticed = run.returncode == 0
        except subprocess.TimeoutExpired:
            unnoticed = False
        verdict = "NOT NOTICED" if unnoticed else "noticed"
        where = f"{module}:{change.line}"
        print(f"{number}/{len(changes)} {verdict}: {where}: {change.before} -> {change.after}")
        yield unnoticed


if __name__ == "__main__":
    run_command(main)
