"""Fingerprints of tables: of their values, and of nothing else."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from simulated import World, simulate_answers, simulate_rows, simulate_run

from m1.files import read_rows, write_rows
from m1.origin import joint_fingerprint, rows_fingerprint, table_fingerprint
from m1.schemas.answers import Answer
from m1.schemas.base import Record
from m1.schemas.profile import MeasuredRequest

# One knob that is never there, and rows without marks, whose stages and observations are missing.
WORLD = World(
    top_k=(None,), n_images=6, e1_requests=3, e2_requests=2, observer_requests=2, n_trials=2
)
ROWS = simulate_rows(0, WORLD)
TABLE = pd.DataFrame(
    {"text": ["a", "é", None], "n": [1, 2, 3], "ms": [0.1, float("nan"), 3.0], "is": [True] * 3}
)
CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "last digit": lambda table: table.assign(ms=[0.1, float("nan"), 3.0000000000000004]),
    "missing for zero": lambda table: table.assign(ms=[0.1, 0.0, 3.0]),
    "text": lambda table: table.assign(text=["a", "e", None]),
    "text beside it": lambda table: table.assign(text=["aé", "", None]),
    "missing text": lambda table: table.assign(text=["a", None, "é"]),
    "truth": lambda table: table.assign(**{"is": [True, True, False]}),
    "name": lambda table: table.rename(columns={"ms": "s"}),
    "order": lambda table: table.iloc[::-1],
    "fewer": lambda table: table.iloc[:2],
    "none": lambda table: table.iloc[:0],
}


@pytest.mark.parametrize(
    ("kind", "rows"), [(MeasuredRequest, ROWS), (Answer, simulate_answers(ROWS, WORLD))]
)
def test_a_table_read_back_has_the_fingerprint_of_its_rows(
    tmp_path: Path, kind: type[Record], rows: list[Record]
) -> None:
    write_rows(rows, tmp_path / "rows.parquet")
    frame = read_rows(kind, tmp_path / "rows.parquet")
    assert table_fingerprint(frame) == rows_fingerprint(rows)
    frame.iloc[:, ::-1].to_parquet(tmp_path / "other.parquet", engine="pyarrow", compression="gzip")
    assert table_fingerprint(pd.read_parquet(tmp_path / "other.parquet")) == rows_fingerprint(rows)


def test_the_fingerprint_is_the_same_in_every_process_and_version() -> None:
    expected = "90e55455"
    assert table_fingerprint(TABLE)[:8] == expected
    as_floats = TABLE.assign(n=TABLE["n"].astype("float64"))
    assert table_fingerprint(as_floats)[:8] == expected


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_another_fingerprint(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    assert table_fingerprint(change(TABLE)) != table_fingerprint(TABLE)


def test_a_run_is_its_record_and_its_rows() -> None:
    run = simulate_run(WORLD)
    one = joint_fingerprint(run, "0")
    assert one == joint_fingerprint(type(run).model_validate_json(run.model_dump_json()), "0")
    again = run.provenance.model_copy(update={"started_at": "2025-01-01T00:00:01+00:00"})
    others = (
        joint_fingerprint(run, "1"),
        joint_fingerprint(run.model_copy(update={"provenance": again}), "0"),
    )
    assert len({one, *others}) == 3
