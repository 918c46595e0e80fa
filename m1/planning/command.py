"""The command `m1 check`."""

from collections.abc import Sequence
from pathlib import Path

from m1.params import load_params
from m1.plain_text import say, tell


def check_and_tell(path: Path, changes: Sequence[str]) -> bool:
    """Print all mistakes, then what would be measured. Return whether there are no mistakes.

    Args:
        path: the parameters.
        changes: parameters to change, as `load_params` takes them.

    Raises:
        UserError: if the parameters themselves are wrong.
    """
    params = load_params(path, changes)
    # Importing torch takes seconds, so mistakes in parameters are reported first.
    from m1.planning.check import Asked, check
    from m1.planning.told import lines_about

    asked = Asked(
        params.data,
        params.model,
        params.knobs,
        params.profile,
        params.quality,
        params.validity,
        params.analysis.confidence,
        params.analysis.min_clusters,
    )
    checked = check(asked)
    for line in checked.problems.lines:
        tell(f"error: {line}")
    say(*lines_about(checked))
    if n := len(checked.problems.lines):
        tell(f"error: {n} {'thing' if n == 1 else 'things'} to correct: see above")
    return not checked.problems.lines
