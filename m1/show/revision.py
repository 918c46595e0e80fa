"""The results of another revision or experiment, out of git and DVC's cache."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from m1.errors import UserError
from m1.reading import shown


@contextlib.contextmanager
def project_at(revision: str | None, paths: Sequence[Path]) -> Iterator[Path]:
    """A folder with some files and folders of a revision, as the workspace has them.

    Args:
        revision: what git or DVC has a name for, such as an experiment; `None` for the workspace.
        paths: what is needed, from the root of the project.

    Raises:
        UserError: if there is no such revision, or it does not have them.
    """
    if revision is None:
        yield Path()
        return
    with tempfile.TemporaryDirectory() as folder:
        _fetch(revision, paths, Path(folder))
        yield Path(folder)


def _fetch(revision: str, paths: Sequence[Path], folder: Path) -> None:
    # Seconds to import, for those alone who look back.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    place = f"--rev {shown(revision)}"
    try:
        files = DVCFileSystem(str(Path.cwd()), rev=revision)
        for path in paths:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.get(path.as_posix(), str(folder / path), recursive=True)
    except FileNotFoundError as error:
        raise UserError(f"{place}: {shown(str(error))}: not there") from None
    except (DvcException, SCMError) as error:
        raise UserError(f"{place}: {shown(str(error))}") from None
