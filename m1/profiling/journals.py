"""The folder of journals: which journal a run resumes, and when a journal is no longer needed.

A journal is kept until DVC has recorded the results. A run that is killed after it wrote them, or
whose DVC is, would else be measured again. Latency is measured afresh all the same: DVC writes
`dvc.lock` right after a stage, so a finished journal that is older than it is not used again.
"""

import hashlib
import os
from pathlib import Path

from m1.files import cannot_be_written
from m1.profiling.entries import JournalKey
from m1.profiling.journal import Journal

FINISHED = ".finished"


class Journals:
    """The journals of a project."""

    def __init__(self, folder: Path, working: Path) -> None:
        """Nothing is opened yet.

        Args:
            folder: where the journals are.
            working: where DVC runs the stage, beside `dvc.lock`.
        """
        self.folder, self.lock = folder, working / "dvc.lock"

    def open(self, key: JournalKey) -> Journal:
        """The journal of a run, to be begun or resumed.

        Raises:
            UserError: if it is damaged, or cannot be written.
        """
        path = self.folder / f"{hashlib.sha256(key.model_dump_json().encode()).hexdigest()}.jsonl"
        finished = path.with_suffix(FINISHED)
        try:
            if finished.exists() and not self._is_taken(finished):
                finished.rename(path)
            for other in self.folder.glob(f"*{FINISHED}"):
                other.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_be_written(self.folder, error) from None
        return Journal(path, key)

    def finish(self, journal: Journal) -> None:
        """Keep a journal whose results are written until they are recorded.

        Where the stage is not run by DVC nobody will record them, and the journal goes at once.
        """
        # Before it is closed, so that no other run takes it over in between.
        if "DVC_STAGE" not in os.environ:
            journal.path.unlink(missing_ok=True)
        else:
            journal.path.touch()
            journal.path.rename(journal.path.with_suffix(FINISHED))
        journal.close()

    def _is_taken(self, finished: Path) -> bool:
        """Whether DVC recorded what it ran after a journal was finished."""
        try:
            return self.lock.stat().st_mtime_ns > finished.stat().st_mtime_ns
        except FileNotFoundError:
            return False
