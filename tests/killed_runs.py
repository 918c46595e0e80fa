"""Kill the profile stage at random moments, again and again, and report what came of it.

Run as a program: libraries and model are loaded once, the device's rates and the work of cells are
found once, and every run is a fork of this process. So most of a run is requests, which kills hit.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet  # noqa: F401 (every fork would load it anew)

from m1.files import read_record, read_rows
from m1.params import load_params
from m1.prepared import read_prepared
from m1.profiling import whole
from m1.profiling.timing.request import Attempt, measure
from m1.profiling.whole import Places
from m1.schemas.profile import MeasuredRequest, ProfileRun


def start(folder: Path) -> int:
    """Run the stage in a process of its own, which notes every request that it begins and ends."""
    child = os.fork()
    if child:
        return child
    log = os.open(folder / "requests.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    output = os.open(folder / "output.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)

    def noted(vlm, planned, *rest) -> Attempt:
        os.write(log, f"begin {planned.order}\n".encode())
        attempt = measure(vlm, planned, *rest)
        os.write(log, f"end {planned.order}\n".encode())
        return attempt

    code = 1
    try:
        places = Places(*(folder / place for place in ("requests", "journal", "out")))
        p = load_params(folder / "params.yaml")
        whole.profile(places, p.model, p.knobs, p.profile, p.validity, noted)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def finished(folder: Path) -> dict[str, object]:
    """The result of a finished run; all its files are removed."""
    rows = read_rows(MeasuredRequest, folder / "out" / "rows.parquet")
    run = read_record(ProfileRun, folder / "out" / "run.json")
    log = (folder / "requests.log").read_text().split("\n")
    begun = Counter(line for line in log if line.startswith("begin ") and line != "begin -1")
    report = {
        "orders": rows["order"].tolist(),
        "n_resumed": len(run.provenance.resumed_at),
        "n_begun": begun.total(),
        "most_begun": max(begun.values()),
        "journals_left": len(list((folder / "journal").iterdir())),
    }
    for path in (folder / "requests.log", folder / "out/rows.parquet", folder / "out/run.json"):
        path.unlink()
    return report


def kill_often(folder: Path, n_kills: int, seed: int) -> dict[str, object]:
    """Start and kill runs until there are enough kills, then let the last run finish."""
    delays = random.Random(seed)
    params = load_params(folder / "params.yaml")
    vlm = whole.load_vlm(params.model)
    facts = whole.gather_facts(vlm, read_prepared(folder / "requests"), params.knobs.grid())
    whole.load_vlm = lambda _: vlm
    whole.gather_facts = lambda *_: facts
    begun = time.monotonic()
    os.waitpid(start(folder), 0)
    whole_s = time.monotonic() - begun
    first, runs, kills, kills_of_run = finished(folder), [], 0, 0
    while kills < n_kills or kills_of_run:
        child = start(folder)
        if kills < n_kills:
            time.sleep(delays.uniform(0, whole_s))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills, kills_of_run = kills + 1, kills_of_run + 1
        elif os.waitstatus_to_exitcode(status):
            return {"output": (folder / "output.log").read_text()}
        else:
            runs.append(finished(folder) | {"n_kills": kills_of_run})
            kills_of_run = 0
    return {"whole": first, "runs": runs, "n_kills": kills}


if __name__ == "__main__":
    print(json.dumps(kill_often(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
