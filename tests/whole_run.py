"""The whole pipeline, stage by stage on the command line, with folder and params of its own."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import forked
import yaml
from families.common import finish, save
from transformers import PreTrainedTokenizerFast

from m1.scene_vlm.architecture import Architecture, build_model, build_processor
from m1.schemas.requests import WORKLOADS

ROOT = Path(__file__).parent.parent
SMALL: dict[str, Any] = {
    "data": {"scenes": {"n_images": 12}, "qa": {"n_requests": 12}, "captioning": {"n_requests": 6}},
    "knobs": {"vision_tokens": [144, 16], "top_k": 4, "active_blocks": [8, 4]},
    "profile": {
        "e1_requests": {"qa": 12, "captioning": 6},
        "e2_requests": {"qa": 4, "captioning": 2},
        "observer_requests": {"qa": 3, "captioning": 2},
        "anchor_requests": {"qa": 1, "captioning": 1},
        "n_trials": 2,
        "max_new_tokens": {"qa": 3, "captioning": 6},
        "warmup_window": 2,
        "warmup_s": 0.1,
        "warmup_limit": 2,
    },
}


def tiny_model(folder: Path) -> dict[str, Any]:
    """Changes to `SMALL` for a saved LLaVA that turns all knobs, and was never trained.

    It has the tokenizer of the embedded model, and takes a fraction of its time.
    """
    sizes = Architecture(
        hidden_size=32, patch_size_px=16, n_vision_layers=1, n_blocks=4, n_heads=2, n_experts=4,
        top_k=2, expert_width=32, max_position=512,
    )  # fmt: skip
    tokenizer = PreTrainedTokenizerFast.from_pretrained(ROOT / "data/models/scene-vlm")
    processor = build_processor(tokenizer, sizes.patch_size_px)
    source = save(lambda: finish(build_model(sizes, tokenizer), processor), folder / "model")
    knobs = {"vision_tokens": [36, 16], "top_k": 2, "active_blocks": [4, 2]}
    return {"model": {"source": str(source)}, "knobs": knobs}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    deeper = {k: merged(base.get(k, {}), v) for k, v in changes.items() if isinstance(v, Mapping)}
    return {**base, **changes, **deeper}


def write_params(folder: Path, changes: Mapping[str, Any]) -> Path:
    base = yaml.safe_load((ROOT / "params.yaml").read_text())
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(merged(base, changes)))
    return path


def command(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return forked.run(forked.Program(f"stages.{module}", [str(one) for one in arguments], ROOT))


def succeed(module: str, *arguments: object) -> str:
    """Run a stage that must not fail; what it said."""
    done = command(module, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def prepare(folder: Path, params: Path) -> Path:
    """The requests of both workloads; their folder."""
    for workload in WORKLOADS:
        out = folder / "requests" / workload
        succeed("prepare", "--workload", workload, "--params", params, "--out", out)
    return folder / "requests"


def run_all(folder: Path, params: Path, requests: Path) -> None:
    """Every stage from profile to report."""
    shared = ("--params", params, "--requests", requests)
    succeed("profiling", *shared, "--journal", folder / "journal", "--out", folder / "profile")
    succeed("answers", *shared, "--kept", folder / "kept", "--out", folder / "answers")
    for workload in WORKLOADS:
        succeed(
            "pareto", "--workload", workload, "--params", params,
            "--requests", requests / workload / "requests.json",
            "--profile", folder / "profile", "--answers", folder / "answers",
            "--scores", folder / f"scores/{workload}.parquet",
            "--out", folder / f"metrics/e2_pareto_{workload}.json",
        )  # fmt: skip
    succeed(
        "contrast", "--params", params, "--rows", folder / "profile/rows.parquet",
        "--run", folder / "profile/run.json", "--scores", folder / "scores",
        "--frontiers", folder / "metrics", "--out", folder / "metrics",
        "--plots", folder / "plots",
    )  # fmt: skip
    succeed(
        "figures", "--contrast", folder / "metrics/m1_workload_contrast.json",
        "--cdf", folder / "plots/latency_cdf.json", "--out", folder / "figures",
    )  # fmt: skip
    succeed(
        "report", "--contrast", folder / "metrics/m1_workload_contrast.json",
        "--cdf", folder / "plots/latency_cdf.json", "--params", params,
        "--templates", ROOT / ".dvc/plots", "--out", folder / "report.html",
    )  # fmt: skip
