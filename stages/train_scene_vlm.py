"""Train SceneVLM, the embedded default model, on generated scenes."""

import json
import shutil
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer

from m1.errors import run_command
from m1.files import write_text
from m1.scene_vlm.architecture import save_model
from m1.scene_vlm.training import SceneVlmParams, Trainer
from m1.yaml_text import read_yaml


def main(
    folder: Annotated[Path, typer.Option(help="Folder of params.yaml, and where the model goes.")],
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="cpu, cuda, or auto.")
    ] = "auto",
) -> None:
    """Train SceneVLM; an interrupted run resumes from its last checkpoint."""
    params = read_yaml(SceneVlmParams, folder / "params.yaml")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = folder / ".checkpoint" / "state.pt"
    trainer = Trainer(params, checkpoint, torch.device(device))
    trainer.train()
    save_model(trainer.model, trainer.processor, folder)
    points = [point.model_dump() for point in trainer.curve]
    write_text(json.dumps(points, indent=1) + "\n", folder / "training_curve.json")
    shutil.rmtree(checkpoint.parent, ignore_errors=True)


if __name__ == "__main__":
    run_command(main)
