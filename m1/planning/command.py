"""What `m1 check` does."""

from collections.abc import Sequence
from pathlib import Path

from m1.params import load_params
from m1.plain_text import say, tell


def check_and_tell(path: Path, changes: Sequence[str]) -> bool:
    """Print everything that is wrong, then what would be measured; whether nothing is wrong.

    Args:
        path: the parameters.
        changes: parameters to change, as `load_params` takes them.

    Raises:
        UserError: if the parameters themselves are wrong.
    """
    params = load_params(path, changes)
    # torch takes seconds to import, and mistakes in parameters are told before.
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
