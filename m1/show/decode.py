"""Changes of decode time: the parts that come from length and from speed."""

from collections.abc import Iterator, Mapping

from rich.table import Table

from m1.schemas.requests import WORKLOADS, Workload
from m1.schemas.results import Estimate, WorkloadContrast
from m1.schemas.results.decode import DecodeSplit, DecodeSplits
from m1.schemas.settings import KNOBS
from m1.show.numbers import with_interval

NO_STEP = "no decode step"


def decode_table(result: WorkloadContrast) -> Table:
    """Each knob alone at its smallest value, and all together; a column for each workload."""
    splits = result.decode_split
    title = f"Change of decode time from the reference setting {result.reference.label}"
    table = Table("", *WORKLOADS, title=title)
    for row in _reference_rows(splits):
        table.add_row(*row)
    for both in zip(*(smallest(splits[w]) for w in WORKLOADS), strict=True):
        table.add_section()
        for row in _split_rows(both):
            table.add_row(*row)
    return table


def _reference_rows(splits: Mapping[Workload, DecodeSplits]) -> Iterator[tuple[str, ...]]:
    """Rows about the reference: the number of steps, and the time of a step."""
    both = [splits[w] for w in WORKLOADS]
    yield "steps at the reference", *(with_interval(s.reference_n_steps, ".1f") for s in both)
    yield "ms a step", *(said(s.reference_ms_per_step, ".2f") for s in both)


def smallest(splits: DecodeSplits) -> Iterator[DecodeSplit]:
    """Each knob alone at its smallest value; and all together, if that was measured."""
    ends = {knob: splits.knobs[knob][-1] for knob in KNOBS if splits.knobs.get(knob)}
    yield from ends.values()
    if len(ends) > 1:
        lowest = {knob: getattr(split.setting, knob) for knob, split in ends.items()}
        yield from (s for s in splits.settings if lowest.items() <= s.setting.model_dump().items())


def _split_rows(both: tuple[DecodeSplit, ...]) -> Iterator[tuple[str, ...]]:
    """The change of each workload at a setting, and the parts that sum to it."""
    percents = [split.percent for split in both]
    for part, name in (
        ("change", f"{both[0].label}, %"),
        ("length", "  by length of outputs"),
        ("speed", "  by speed of tokens"),
    ):
        yield name, *(said(getattr(percent, part, None), "+.1f") for percent in percents)


def said(estimate: Estimate | None, form: str) -> str:
    """A number, or a text that outputs of single tokens have none."""
    return NO_STEP if estimate is None else with_interval(estimate, form)
