"""Evaluate SceneVLM on held-out scenes, for its model card."""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.files import write_record
from m1.params import ModelParams
from m1.scene_vlm.evaluation import HeldOut, evaluate
from m1.schemas.settings import Setting
from m1.vlm.loading.load import load_vlm

NATIVE = Setting(vision_tokens=144, top_k=4, active_blocks=8)
SHRUNK = (
    {"vision_tokens": 36},
    {"vision_tokens": 16},
    {"vision_tokens": 9},
    {"top_k": 3},
    {"top_k": 2},
    {"top_k": 1},
    {"active_blocks": 6},
    {"active_blocks": 5},
    {"active_blocks": 4},
    {"vision_tokens": 16, "top_k": 1, "active_blocks": 4},
)


def main(
    folder: Annotated[Path, typer.Option(help="Folder of the model.")],
    n_scenes: Annotated[int, typer.Option(help="Held-out scenes.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed that they are drawn with.")] = 99,
) -> None:
    """Write evaluation.json: quality at the native setting and as each knob shrinks."""
    model = ModelParams(
        source=str(folder),
        weights="pretrained",
        dtype="float32",
        device="auto",
        experts="eager",
        n_threads=None,
    )
    settings = [NATIVE, *(NATIVE.model_copy(update=change) for change in SHRUNK)]
    result = evaluate(load_vlm(model), settings, HeldOut.draw(n_scenes, seed))
    write_record(result, folder / "evaluation.json")


if __name__ == "__main__":
    run_command(main)
