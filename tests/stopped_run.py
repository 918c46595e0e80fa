"""The profile stage, which stops itself during some requests; another process must continue it.

Run as a program. One request of warm-up is stopped, and the first of each experiment.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from torch import Tensor

from m1.params import load_params
from m1.profiling.timing.request import Attempt, measure
from m1.profiling.whole import Places, profile
from m1.vlm.engine import Picker

STOP_S = 1


def main(folder: Path) -> None:
    """Run the stage."""
    pick = Picker.__call__
    stopped: set[str] = set()
    due = False

    def noted(vlm, planned, one, *rest) -> Attempt:
        nonlocal due
        what = "warm-up" if planned.order < 0 else one.experiment
        due = what not in stopped
        stopped.add(what)
        return measure(vlm, planned, one, *rest)

    def stopping(picker: Picker, logits: Tensor) -> Tensor:
        nonlocal due
        if due:
            due = False
            subprocess.Popen(("sh", "-c", f"sleep {STOP_S}; kill -CONT {os.getpid()}"))
            os.kill(os.getpid(), signal.SIGSTOP)
        return pick(picker, logits)

    Picker.__call__ = stopping
    places = Places(*(folder / place for place in ("requests", "journal", "out")))
    p = load_params(folder / "params.yaml")
    profile(places, p.model, p.knobs, p.profile, p.validity, noted)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
