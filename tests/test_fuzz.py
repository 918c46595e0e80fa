"""Hostile files: whatever they contain, the error is one line that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated import World, simulate_requests, simulate_rows, simulate_run

from m1.checked_lines import CheckedLines
from m1.errors import UserError
from m1.files import read_lines, read_record, read_rows, write_record, write_rows
from m1.params import load_params
from m1.schemas.answers import AnswersRun
from m1.schemas.datasets import FetchManifest, JsonlRequest
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import RequestSet, Sample
from m1.schemas.results import ParetoResult, StageResult, Summary, WorkloadContrast

ROOT = Path(__file__).parent.parent
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
RECORDS = (AnswersRun, FetchManifest, ParetoResult, ProfileRun, RequestSet, Sample)
RECORDS += (StageResult, Summary, WorkloadContrast)
SMALL = World(n_images=4, e1_requests=2, e2_requests=2, observer_requests=1, n_trials=2)

fuzzed = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def read_or_told(read: Callable[[], object], path: Path) -> bool:
    """Whether the file was read; if not, each mistake must have a line that names the file."""
    told: tuple[str, ...] = ()
    try:
        read()
    except UserError as error:
        told = error.told
        assert told
    assert all("\n" not in line and line.startswith(f"{path}:") for line in told)
    return not told


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every entry of nested mappings and lists."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [way for key, v in inner for way in ((*here, key), *places(v, (*here, key)))]


def changed(whole: Any, way: tuple[Any, ...], new: Any) -> Any:
    """A copy with one other entry."""
    copy = json.loads(json.dumps(whole))
    target = copy
    for key in way[:-1]:
        target = target[key]
    target[way[-1]] = new
    return copy


@fuzzed
@given(way=st.sampled_from(places(PARAMS)), new=json_values)
def test_any_value_of_any_parameter_is_accepted_or_reported(tmp_path, way, new) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps(changed(PARAMS, way, new)), encoding="utf-8")
    read_or_told(lambda: load_params(path), path)


@fuzzed
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_no_parameters(tmp_path, content) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    assert not read_or_told(lambda: load_params(path), path)


@fuzzed
@given(kind=st.sampled_from(RECORDS), content=st.binary(max_size=80) | json_values)
def test_any_content_is_no_record(tmp_path, kind, content) -> None:
    path = tmp_path / "record.json"
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.write_bytes(data)
    assert not read_or_told(lambda: read_record(kind, path), path)


@pytest.mark.parametrize("made", [simulate_run(SMALL), simulate_requests("qa", SMALL)], ids=type)
@fuzzed
@given(data=st.data())
def test_any_entry_of_a_record_is_accepted_or_reported(tmp_path, made, data) -> None:
    whole = json.loads(made.model_dump_json())
    path = tmp_path / "record.json"
    write_record(made, path)
    assert read_or_told(lambda: read_record(type(made), path), path)
    way = data.draw(st.sampled_from(places(whole)))
    path.write_text(json.dumps(changed(whole, way, data.draw(json_values))), encoding="utf-8")
    read_or_told(lambda: read_record(type(made), path), path)


@fuzzed
@given(lines=st.lists(json_values.map(json.dumps) | st.text(max_size=30), max_size=4))
def test_any_lines_are_requests_or_reported(tmp_path, lines) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    read_or_told(lambda: read_lines(JsonlRequest, path), path)


@fuzzed
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_table_is_read_or_reported(tmp_path, at, byte, cut) -> None:
    path = tmp_path / "rows.parquet"
    write_rows(simulate_rows(0, SMALL)[:20], path)
    content = bytearray(path.read_bytes())
    place = int(at * len(content))
    content[place] = byte
    path.write_bytes(content[:place] if cut else content)
    read_or_told(lambda: read_rows(MeasuredRequest, path), path)


@fuzzed
@given(content=st.binary(max_size=120))
def test_any_bytes_are_no_journal_or_an_empty_one(tmp_path, content) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)

    def read() -> None:
        with CheckedLines(path) as lines:
            assert lines.texts == []

    read_or_told(read, path)
