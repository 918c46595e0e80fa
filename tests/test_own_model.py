"""A user's own model and photographs go through the whole pipeline, with only params changed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from families.common import save
from families.registry import FAMILIES
from whole_run import ROOT, SMALL, merged, prepare, run_all, write_params

from m1.files import read_record, read_rows
from m1.schemas.profile import MeasuredRequest, ProfileRun
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import ParetoResult, WorkloadContrast


@pytest.fixture(scope="module")
def questions(captioned_photos, tmp_path_factory) -> Path:
    """Questions about the same photographs, one a line."""
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    lines = [
        {"image": str(image), "prompt": "What is this?", "references": ["a photo", "photo"]}
        for image in sorted(captioned_photos.glob("*.jpg"))
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def own(folder: Path, photos: Path, questions: Path, **model: Any) -> Path:
    """Run everything on a user's own model, photographs and questions."""
    changes = {
        "data": {
            "qa": {"source": "jsonl", "root": str(questions), "n_requests": 6},
            "captioning": {"source": "coco-captions", "root": str(photos), "n_requests": 6},
        },
        "model": model,
        "profile": {
            "e1_requests": {"qa": 6, "captioning": 6},
            "max_new_tokens": {"qa": 6, "captioning": 12},
        },
        "quality": {"n_requests": {"qa": 6, "captioning": 6}, "batch_size": 4},
        "analysis": {"n_resamples": 100},
    }
    knobs = {"knobs": {"vision_tokens": [16, 4], "top_k": None, "active_blocks": [6, 3]}}
    params = write_params(folder, merged(merged(SMALL, changes), knobs))
    run_all(folder, params, prepare(folder, params))
    return folder


def contrast_of(folder: Path) -> WorkloadContrast:
    return read_record(WorkloadContrast, folder / "metrics/m1_workload_contrast.json")


def test_a_saved_model_goes_through_the_whole_pipeline(
    tmp_path, captioned_photos, questions
) -> None:
    source = save(FAMILIES["gemma3"], tmp_path / "model")
    folder = own(tmp_path, captioned_photos, questions, source=str(source))
    rows = read_rows(MeasuredRequest, folder / "profile/rows.parquet")
    marked = rows[rows.marked]
    assert set(marked.observed_vision_tokens) == {16, 4}
    turned = marked[marked.experiment != "anchor"]
    assert (turned.observed_active_blocks == turned.active_blocks).all()
    run = read_record(ProfileRun, folder / "profile/run.json")
    assert run.provenance.model_class == "Gemma3ForConditionalGeneration"
    for workload in WORKLOADS:
        result = read_record(ParetoResult, folder / f"metrics/e2_pareto_{workload}.json")
        # A model that was never trained may say nothing right: then that is the result.
        if result.frontier is None:
            assert "at the reference setting" in str(result.quality_not_available)
        else:
            assert len(result.frontier.points) == 4
    assert len(list((folder / "figures").glob("*.png"))) >= 4
    assert {p.value for p in contrast_of(folder).sensitivity["qa"]["vision_tokens"]} == {4}


def test_an_architecture_without_weights_is_compared_in_latency(
    tmp_path, captioned_photos, questions
) -> None:
    (tmp_path / "model").mkdir()
    shutil.copy(ROOT / "data/models/scene-vlm/config.json", tmp_path / "model")
    depth = {"text_config": {"num_hidden_layers": 6}}
    source = {"source": str(tmp_path / "model"), "weights": "random", "config": depth}
    folder = own(tmp_path, captioned_photos, questions, **source)
    contrast = contrast_of(folder)
    why = "The weights are random, so answers mean nothing."
    assert contrast.quality_not_available == why
    assert contrast.frontiers is None
    assert why in {one.reason for one in contrast.not_tested}
    rows = read_rows(MeasuredRequest, folder / "profile/rows.parquet")
    lengths = rows.groupby("workload").n_output_tokens
    # As long as the reference: "a photo" and its end, or a caption up to the longest output.
    assert set(lengths.get_group("qa")) == {3}
    assert lengths.get_group("captioning").between(8, 12).all()
    assert (rows.finish_reason == "length").all()
    assert read_record(ProfileRun, folder / "profile/run.json").decode_mode == "reference_length"
    assert contrast.stage_breakdown["captioning"]["decode"].share.value > 0
    assert len(list((folder / "figures").glob("*.png"))) >= 4
