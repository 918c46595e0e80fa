"""The results of the workspace, or of a revision or experiment from git and DVC's cache."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from m1.errors import UserError
from m1.reading import is_file, is_folder, shown


@contextlib.contextmanager
def project_at(revision: str | None, paths: Sequence[Path]) -> Iterator[Path]:
    """A folder with some files and folders of a project.

    Args:
        revision: a name that git or DVC knows, such as an experiment; `None` is the workspace.
        paths: the needed files and folders, from the root of the project.

    Raises:
        UserError: if one of them does not exist.
    """
    if revision is None:
        for path in paths:
            if not (is_file(path) or is_folder(path)):
                raise UserError(
                    f"{shown(path)}: cannot be read (it is not there); run `dvc repro` first"
                )
        yield Path()
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            for path in paths:
                _fetch(revision, path, Path(folder))
            yield Path(folder)
        except UserError as error:
            told = str(error).replace(f"{folder}/", "")
            raise UserError(f"--rev {shown(revision)}: {told}") from None


def _fetch(revision: str, path: Path, folder: Path) -> None:
    """Copy a file or folder out of a revision."""
    # These imports take time, and only a look at a revision needs them.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        files = DVCFileSystem(str(Path.cwd()), rev=revision)
        files.get(path.as_posix(), str(place), recursive=True)
    except (FileNotFoundError, DataIndexDirError):
        raise UserError(
            f"{shown(path)}: neither in git nor in DVC's cache; run the experiment again"
        ) from None
    except (DvcException, SCMError, OSError) as error:
        raise UserError(shown(str(error))) from None
