"""The answers stage as a whole: load, check, answer, write."""

from pathlib import Path

from m1.answering.run import Answering, How
from m1.files import check_writable, written_together
from m1.kept import shared_folder
from m1.plain_text import say
from m1.prepared import read_prepared
from m1.schemas.answers import AnswersRun
from m1.vlm.device_lock import device_lock
from m1.vlm.loading.block_importance import calibrated
from m1.vlm.loading.load import find_device, load_vlm
from m1.vlm.prompts import check_prompts


def answer_requests(requests: Path, kept: Path, out: Path, how: How) -> None:
    """Answer the requests of both workloads over the grid.

    Args:
        requests: folder with both request sets.
        kept: folder of answers made before.
        out: folder for answers.parquet and run.json.
        how: everything else that decides answers.

    Raises:
        UserError: with the mistake and how to fix it.
    """
    prepared = read_prepared(requests)
    kept_folder = shared_folder(kept, Path.cwd())
    for folder in (out, kept_folder):
        check_writable(folder)
    # Answers are never made while another run is timed.
    with device_lock(find_device(how.model.device)):
        loaded = load_vlm(how.model)
        check_prompts(loaded.prompts, {w: one.requests for w, one in prepared.items()})
        vlm = calibrated(loaded, how.knobs, prepared)
        answers, made = Answering(vlm, prepared, how, kept_folder).run()
    with written_together() as results:
        results.rows(answers, out / "answers.parquet")
        results.record(AnswersRun(made=made, not_available=None), out / "run.json")
    say(f"{len(answers)} answers; {made.n_cells_reused} cells were answered before")
    for line in how.quality.beyond({w: len(one.requests) for w, one in prepared.items()}):
        say(f"  {line}")
    if loaded.markup.told:
        say(loaded.markup.told)
