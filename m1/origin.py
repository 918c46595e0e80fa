"""Fingerprints of tables and records, and the error for files that do not belong together."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m1.errors import UserError
from m1.schemas.base import Record

# Only tables need these. Their import takes longer than all other imports of `m1 --help`.
if TYPE_CHECKING:
    import pandas as pd


def table_fingerprint(table: "pd.DataFrame") -> str:
    """SHA-256 of the values of a table, whatever library wrote its file.

    The order of rows counts; the order of columns does not. Numbers count as 64-bit floating point,
    since integers become such numbers in a column with missing values.
    """
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(table.columns):
        column = table[name]
        there = column.notna().to_numpy()
        digest.update(f"{name} {len(there)} ".encode())
        digest.update(np.packbits(there).tobytes())
        digest.update(_content(column[there]))
    return digest.hexdigest()


def _content(values: "pd.Series[Any]") -> bytes:
    import numpy as np
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype="<f8").tobytes()
    texts = values.to_list()
    lengths = np.fromiter(map(len, texts), dtype="<i8", count=len(texts))
    return lengths.tobytes() + "".join(texts).encode()


def rows_fingerprint(rows: Sequence[Record | Mapping[str, Any]]) -> str:
    """The fingerprint of the table with these rows."""
    import pandas as pd

    plain = (row.model_dump() if isinstance(row, Record) else row for row in rows)
    return table_fingerprint(pd.DataFrame(list(plain)))


def joint_fingerprint(record: Record, table: str) -> str:
    """SHA-256 of a record and the fingerprint of its table.

    Default values are left out, so a field that is added later does not change fingerprints.
    """
    text = f"{table} {record.model_dump_json(exclude_defaults=True)}"
    return hashlib.sha256(text.encode()).hexdigest()


def apart(one: Path, other: Path, difference: str, fix: str) -> UserError:
    """One line about two files that do not belong together."""
    return UserError(f"{one} and {other} do not belong together: {difference}: {fix}")
