"""Check that DVC sees changes of a model: DVC watches the folder in `model.watched`."""

import os
from pathlib import Path

from m1.errors import UserError
from m1.params import ModelParams
from m1.reading import is_folder

# This folder is a DVC project and cannot be watched as a whole. So dvc.yaml names its files.
EMBEDDED = Path("data/models/scene-vlm")


def check_watched(params: ModelParams) -> None:
    """Like `refuse_unwatched`, but only in a stage that DVC runs, since only DVC watches files."""
    if "DVC_STAGE" in os.environ:
        refuse_unwatched(params)


def refuse_unwatched(params: ModelParams) -> None:
    """Check that DVC runs a stage again when the files of its model change.

    The files of a hub model cannot be watched.

    Raises:
        UserError: if the model is a folder that DVC does not watch.
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
