"""Whether DVC sees that a model changed: it looks where `model.watched` says."""

import os
from pathlib import Path

from m1.errors import UserError
from m1.params import ModelParams
from m1.reading import is_folder

# A DVC project of its own, which cannot be watched as a whole: dvc.yaml names its files one by one.
EMBEDDED = Path("data/models/scene-vlm")


def check_watched(params: ModelParams) -> None:
    """As `refuse_unwatched`, in a stage that DVC runs: nowhere else does it matter."""
    if "DVC_STAGE" in os.environ:
        refuse_unwatched(params)


def refuse_unwatched(params: ModelParams) -> None:
    """Whether DVC runs a stage again when the files of its model change.

    Of a hub model nothing can be watched.

    Raises:
        UserError: if the model is a folder that DVC does not look into.
    """
    folder = Path(params.source)
    if not is_folder(folder):
        return
    if folder.resolve() == EMBEDDED.resolve():
        return
    watched = Path(params.watched or "")
    if not params.watched or watched.resolve() != folder.resolve():
        raise UserError(
            f"model.watched = {params.watched}: DVC would not see a change of the model; set it to "
            f"the folder of model.source (-S model.watched={params.source})"
        )
    if (folder / ".dvc").is_dir():
        raise UserError(
            f"model.source = {params.source}: DVC does not look into a folder that is a DVC "
            "project of its own; copy the model's files to another folder"
        )
