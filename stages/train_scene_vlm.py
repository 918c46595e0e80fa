"""Train SceneVLM, the embedded default model, on generated scenes."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import torch
import typer
import yaml

from m1.scene_vlm.architecture import save_model
from m1.scene_vlm.training import SceneVlmParams, Trainer


def main(
    folder: Annotated[Path, typer.Option(help="Folder of params.yaml, and where the model goes.")],
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
) -> None:
    """Train SceneVLM; an interrupted run goes on from its last checkpoint."""
    text = json.dumps(yaml.safe_load((folder / "params.yaml").read_text()))
    params = SceneVlmParams.model_validate_json(text)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = folder / ".checkpoint" / "state.pt"
    trainer = Trainer(params, checkpoint, torch.device(device))
    trainer.train()
    save_model(trainer.model, trainer.processor, folder)
    points = [point.model_dump() for point in trainer.curve]
    (folder / "training_curve.json").write_text(json.dumps(points, indent=1) + "\n")
    shutil.rmtree(checkpoint.parent, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
