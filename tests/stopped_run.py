"""The profile stage, which stops itself during some requests; another process must continue it.

Run as a program. One request of warm-up is stopped, and the first of each experiment.
"""

import os
import signal
import sys
from pathlib import Path

from torch import Tensor

from m1.profiling import run as profiling_run
from m1.profiling.measure import Attempt
from m1.vlm.engine import Picker
from stages import profiling


def main(folder: Path) -> None:
    """Run the stage."""
    measure, pick = profiling_run.measure, Picker.__call__
    stopped: set[str] = set()
    due = False

    def noted(vlm, planned, one, order, *rest) -> Attempt:
        nonlocal due
        what = "warm-up" if order < 0 else one.experiment
        due = what not in stopped
        stopped.add(what)
        return measure(vlm, planned, one, order, *rest)

    def stopping(picker: Picker, logits: Tensor) -> Tensor:
        nonlocal due
        if due:
            due = False
            os.kill(os.getpid(), signal.SIGSTOP)
        return pick(picker, logits)

    profiling_run.measure, Picker.__call__ = noted, stopping
    places = ("requests", "params.yaml", "journal", "out")
    profiling.main(*(folder / place for place in places))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
