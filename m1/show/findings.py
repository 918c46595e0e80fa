"""The findings, and what could not be tested."""

from rich.table import Table

from m1.schemas.results import WorkloadContrast


def findings_table(result: WorkloadContrast) -> Table:
    """A table with a row for each expectation."""
    level = f"{result.confidence:.0%} interval"
    columns = ("Finding", "Verdict", "Effect", level, "Matters above")
    table = Table(*columns, title="Expected findings, tested")
    for one in result.findings:
        interval = f"{one.low:.3g} to {one.high:.3g}"
        smallest = f"{one.smallest_effect:.3g}"
        table.add_row(one.claim, one.verdict, f"{one.effect:.3g}", interval, smallest)
    for other in result.not_tested:
        table.add_row(other.claim, "not tested")
    return table


def why_not_tested(result: WorkloadContrast) -> list[str]:
    """The reasons why findings were not tested. Each is listed once, since most are the same."""
    return list(dict.fromkeys(other.reason for other in result.not_tested))
