"""The journal of a run: whatever stops a run, the next run resumes from it.

DVC does not track it. It is no longer needed once the results are recorded. Every run measures
latency afresh, except for requests that the same run measured before it was interrupted.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import torch
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from m1.checked_lines import CheckedLines
from m1.errors import UserError
from m1.kept import PACKAGE, source_fingerprint
from m1.params import KnobParams, ModelParams, ProfileParams
from m1.prepared import Prepared
from m1.profiling.journal.entries import (
    Agreed,
    Entry,
    Failed,
    Interrupted,
    JournalKey,
    Look,
    Opened,
    Retry,
    Row,
    Warm,
)
from m1.profiling.provenance import identity
from m1.profiling.warmup import WarmUp
from m1.schemas.base import describe
from m1.schemas.profile import FailedCell, Interruption, MeasuredRequest, RuntimeAgreement
from m1.vlm.knobs.apply import kept_blocks
from m1.vlm.model import LoadedVlm

ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)
CODE = tuple(PACKAGE / name for name in ("vlm", "profiling", "schemas", "images.py"))
"""The source code that makes rows."""


def journal_key(
    vlm: LoadedVlm,
    prepared: Prepared,
    model: ModelParams,
    knobs: KnobParams,
    profile: ProfileParams,
) -> JournalKey:
    """Everything that decides what a row of a run means."""
    return JournalKey(
        origin=to_jsonable_python(identity(vlm, model, prepared)),
        device=_which(vlm.device),
        model=model.model_dump(mode="json", exclude={"watched"}),
        knobs=knobs.model_dump(mode="json"),
        profile=profile.model_dump(mode="json", exclude={"strict"}),
        kept_blocks=kept_blocks(vlm.structure, knobs.grid()),
        code=source_fingerprint(*CODE),
    )


def _which(device: torch.device) -> str:
    if device.type != "cuda":
        return device.type
    return str(torch.cuda.get_device_properties(device).uuid)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Journal:
    """What a run has done so far. Each step is on the disk as soon as it is done."""

    def __init__(self, path: Path, key: JournalKey) -> None:
        """Open the journal of a run that begins or resumes.

        Raises:
            UserError: if it is damaged, or cannot be written.
        """
        self.path = path
        self.lines = CheckedLines(path)
        self.entries = [self._parsed(text) for text in self.lines.texts]
        if not self.entries:
            self._add(Opened(key=key, at=_now()))
        opened = self.entries[0]
        if not isinstance(opened, Opened) or opened.key != key:
            self.close()
            raise self._not_of_this_run("it is of another run")
        self.started_at = opened.at

    def __enter__(self) -> Self:
        """Return this journal. Its file was opened when the journal was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file. It stays on the disk for a later run."""
        self.close()

    def close(self) -> None:
        """Close the file. It stays on the disk for a later run."""
        self.lines.close()

    def _parsed(self, text: str) -> Entry:
        try:
            return ENTRY.validate_json(text)
        except ValidationError as error:
            raise self._not_of_this_run(describe(error)) from None

    def _not_of_this_run(self, reason: str) -> UserError:
        return UserError(
            f"{self.path}: not the journal of this run ({reason}): delete it to start anew"
        )

    def _add(self, entry: Entry) -> None:
        self.lines.append(ENTRY.dump_json(entry).decode())
        self.entries.append(entry)

    def warm(self, end: WarmUp, process: int = 0) -> None:
        """Note that a process begins to measure or resumes, and how warm-up ended."""
        self._add(Warm(at=_now(), change=end.change, n_windows=end.n_windows, process=process))

    def agree(self, agreement: RuntimeAgreement) -> None:
        """Note how the compiled runtime of this process agrees with the eager one."""
        self._add(Agreed(agreement=agreement))

    def add(self, row: MeasuredRequest) -> None:
        """Note a measured request."""
        self._add(Row(row=row))

    def interrupted(self, interruption: Interruption) -> None:
        """Note a measurement that was interrupted."""
        self._add(Interrupted(interruption=interruption))

    def fail(self, cell: FailedCell) -> None:
        """Note a cell that could not be measured."""
        self._add(Failed(cell=cell))

    def look(self, look: Look) -> None:
        """Note a look at the machine."""
        self._add(look)

    def retry(self) -> None:
        """Note that the next run should try again the cells that failed."""
        self._add(Retry())

    @property
    def rows(self) -> dict[int, MeasuredRequest]:
        """Every measured request by its place in the order of measurement."""
        return {e.row.order: e.row for e in self.entries if isinstance(e, Row)}

    @property
    def interruptions(self) -> tuple[Interruption, ...]:
        """Every measurement that was interrupted, in their order."""
        return tuple(e.interruption for e in self.entries if isinstance(e, Interrupted))

    @property
    def failed(self) -> tuple[FailedCell, ...]:
        """The cells that could not be measured, in the order in which they failed."""
        cells: list[FailedCell] = []
        for entry in self.entries:
            if isinstance(entry, Failed):
                cells.append(entry.cell)
            elif isinstance(entry, Retry):
                cells.clear()
        return tuple(cells)

    @property
    def warm_ups(self) -> tuple[Warm, ...]:
        """When measuring began and resumed, and how warm-up ended."""
        return tuple(e for e in self.entries if isinstance(e, Warm))

    @property
    def resumed_at(self) -> tuple[str, ...]:
        """When measuring resumed after an interruption."""
        processes = [warm.process for warm in self.warm_ups]
        return tuple(
            warm.at for i, warm in enumerate(self.warm_ups) if warm.process in processes[:i]
        )

    @property
    def agreements(self) -> tuple[RuntimeAgreement, ...]:
        """How the compiled runtime of each process agrees with the eager one."""
        return tuple(e.agreement for e in self.entries if isinstance(e, Agreed))

    @property
    def looks(self) -> list[list[Look]]:
        """Looks at the machine, in one list for each time that measuring began or resumed."""
        parts: list[list[Look]] = []
        for entry in self.entries:
            if isinstance(entry, Warm):
                parts.append([])
            elif isinstance(entry, Look):
                parts[-1].append(entry)
        return parts
