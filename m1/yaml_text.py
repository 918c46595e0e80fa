"""Read parameters from YAML: small, not deeply nested, with text keys that do not repeat."""

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from m1.errors import MistakesError, Problems, UserError
from m1.reading import read_text, shown
from m1.schemas.base import Record, describe, mistakes, nearest

R = TypeVar("R", bound=Record)

# A file of parameters has about 8,000; PyYAML takes a second for 100,000.
MOST_BYTES = 100_000
MOST_DEPTH = 20
MOST_VALUES = 20_000
STR_TAG, MERGE_TAG = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class NotTakenError(Exception):
    """Valid YAML that is not accepted as parameters. The message has the reason and the line."""

    def __init__(self, what: str, at: Any) -> None:  # noqa: ANN401 (a node or event of PyYAML)
        """Take the reason and the place."""
        super().__init__(f"{what}, in line {at.start_mark.line + 1}")


def read_yaml(kind: type[R], path: Path, changes: Sequence[str] = ()) -> R:
    """Read a file of parameters.

    Args:
        kind: the type of record to make from them.
        path: the file.
        changes: parameters to change, each a dotted key, `=` and a YAML value.

    Raises:
        UserError: naming each wrong key, its value and what is allowed.
    """
    raw = parse_yaml(read_text(path, MOST_BYTES), shown(path))
    problems = Problems()
    for change in changes:
        with problems.noted():
            _set(raw, change)
    try:
        read = kind.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        told = (f"{shown(path)}: {line}" for line in mistakes(kind, error))
        raise MistakesError([*problems.lines, *told]) from None
    problems.refuse()
    return read


def _set(raw: Any, change: str) -> None:  # noqa: ANN401 (whatever YAML holds)
    """Change one parameter. An unknown key is found later, by strict validation."""
    key, equals, value = change.partition("=")
    *sections, name = key.split(".")
    place = f"--set {shown(change)}"
    hint = ""
    for section in sections:
        inside = raw.get(section) if isinstance(raw, dict) else None
        if inside is None and isinstance(raw, dict) and (near := nearest(section, raw)):
            hint = f"; did you mean {near}?"
        raw = inside
    if not equals or not isinstance(raw, dict):
        raise UserError(f"{place}: give section.key=value, such as model.device=cuda{hint}")
    raw[name] = parse_yaml(value, place)


def parse_yaml(text: str, place: str) -> Any:  # noqa: ANN401 (whatever YAML holds)
    """Parse YAML into values that JSON has, too. Dates become texts, and aliases become copies.

    Args:
        text: the YAML.
        place: the source of the text, for errors.

    Raises:
        UserError: if it is not YAML, is too large or too deep, or is not accepted as parameters.
    """
    if len(text) > MOST_BYTES:
        raise UserError(
            f"{place}: {len(text):,} characters, but at most {MOST_BYTES:,} are allowed"
        )
    try:
        return json.loads(json.dumps(yaml.load(text, Loader=_Loader), default=_as_text))
    except (NotTakenError, TypeError) as error:
        reason = str(error)
    except yaml.YAMLError as error:
        reason = f"not YAML: {error}"
    except Exception as error:  # odd numbers and dates make PyYAML raise almost anything
        reason = f"not YAML: {describe(error)}"
    raise UserError(f"{place}: {shown(' '.join(reason.split()))}")


def _as_text(value: object) -> str:
    """A date as text. If a date is wrong there, validation can then name the key."""
    if isinstance(value, datetime.date):
        return str(value)
    raise TypeError(f"a parameter cannot have a value of type {type(value).__name__}")


class _Loader(yaml.SafeLoader):
    """A loader that refuses YAML that would take much time or memory."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node as PyYAML does, but refuse one that is nested too deep."""
        if self.depth >= MOST_DEPTH:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise NotTakenError(f"nested deeper than {MOST_DEPTH} levels", event)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_document(self, node: yaml.Node) -> Any:  # noqa: ANN401 (whatever YAML holds)
        """Construct a document as PyYAML does, but refuse too many values, aliases written out."""
        for n_values, _ in enumerate(_written_out(node), start=1):
            if n_values > MOST_VALUES:
                raise NotTakenError(f"more than {MOST_VALUES:,} values with all aliases", node)
        return super().construct_document(node)


def _written_out(node: yaml.Node, depth: int = 0) -> Iterator[yaml.Node]:
    """A node and all nodes below it. A node is repeated as often as aliases repeat it."""
    if depth > MOST_DEPTH:
        raise NotTakenError(f"nested deeper than {MOST_DEPTH} levels, or in itself", node)
    yield node
    below = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        _check_keys([key for key, _ in node.value])
        below = [value for _, value in node.value]
    for child in below:
        yield from _written_out(child, depth + 1)


def _check_keys(keys: list[yaml.Node]) -> None:
    """Check that each key is text and is not repeated. PyYAML would silently use the last one."""
    seen: set[str] = set()
    for key in keys:
        if key.tag not in (STR_TAG, MERGE_TAG):
            raise NotTakenError(f"keys must be text, not {_written(key)}", key)
        if key.value in seen:
            raise NotTakenError(f"key {_written(key)} is given twice", key)
        seen.add(key.value)


def _written(node: yaml.Node) -> str:
    return shown(str(node.value)) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
