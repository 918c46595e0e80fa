"""The folder of journals: which journal a run resumes, and when a journal is no longer needed.

A journal is kept until DVC has recorded the results. Otherwise a run would be measured again if it,
or DVC, is killed after it wrote its results. A later run still measures latency afresh: DVC writes
`dvc.lock` right after a stage, and a finished journal that is older than `dvc.lock` is not used.
"""

import os
from pathlib import Path

from m1.files import cannot_be_written
from m1.kept import path_of
from m1.profiling.journal.entries import JournalKey
from m1.profiling.journal.journal import Journal

FINISHED = ".finished"


class Journals:
    """The journals of a project."""

    def __init__(self, folder: Path, working: Path) -> None:
        """Open no journal yet.

        Args:
            folder: the folder of the journals.
            working: the folder in which DVC runs the stage, and which holds `dvc.lock`.
        """
        self.folder, self.lock = folder, working / "dvc.lock"

    def open(self, key: JournalKey) -> Journal:
        """Open the journal of a run that begins or resumes.

        Raises:
            UserError: if it is damaged, or cannot be written.
        """
        path = path_of(key, self.folder, ".jsonl")
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
        """Keep the journal of a finished run until DVC has recorded the results.

        If DVC does not run the stage, nothing records the results. Then the journal is deleted now.
        """
        # This comes before closing, so that no other run can use the journal in between.
        if "DVC_STAGE" not in os.environ:
            journal.path.unlink(missing_ok=True)
        else:
            journal.path.touch()
            journal.path.rename(journal.path.with_suffix(FINISHED))
        journal.close()

    def _is_taken(self, finished: Path) -> bool:
        """Whether DVC recorded results after a journal was finished."""
        try:
            return self.lock.stat().st_mtime_ns > finished.stat().st_mtime_ns
        except FileNotFoundError:
            return False
