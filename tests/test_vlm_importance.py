"""Blocks are scored by how much they change, once for a model and its requests."""

import pytest
from torch import Tensor

from m1.files import write_record
from m1.params import KnobParams
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.knobs.apply import applied
from m1.vlm.loading import block_importance as importance
from m1.vlm.loading.block_importance import block_influence, cached_importance, with_block_policy

BY_IMPORTANCE = KnobParams.model_validate(
    {"vision_tokens": None, "top_k": None, "active_blocks": 4, "block_policy": "importance"}
)


@pytest.fixture
def requests(vlm, held_out) -> list[dict[str, Tensor]]:
    pairs = zip(held_out.images[:2], held_out.questions[:2], strict=True)
    return [encode(vlm, image, question.text) for image, question in pairs]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importance, "CACHE", tmp_path / "importance")


def test_a_block_that_changes_nothing_has_no_influence(vlm, requests, monkeypatch) -> None:
    idle = vlm.structure.blocks[3]
    monkeypatch.setattr(idle, "forward", lambda hidden_states, *_, **__: hidden_states)
    scores = block_influence(vlm, requests)
    assert scores[3] == pytest.approx(0, abs=1e-6)
    assert all(score > 1e-4 for index, score in enumerate(scores) if index != 3)


def test_the_score_is_the_mean_over_requests(vlm, requests) -> None:
    both = block_influence(vlm, requests)
    alone = [block_influence(vlm, [request]) for request in requests]
    assert both == pytest.approx([sum(pair) / 2 for pair in zip(*alone, strict=True)])


def test_scores_are_made_once_for_a_model_and_its_requests(vlm, requests) -> None:
    made: list[str] = []

    def encoded(name) -> list[dict[str, Tensor]]:
        made.append(name)
        return requests

    first = cached_importance(vlm, lambda: encoded("a"), "a")
    assert cached_importance(vlm, lambda: encoded("a"), "a") == first
    assert made == ["a"]
    cached_importance(vlm, lambda: encoded("b"), "b")
    assert made == ["a", "b"]


def test_a_cut_cache_file_is_made_again(vlm, requests) -> None:
    first = cached_importance(vlm, lambda: requests, "a")
    (path,) = importance.CACHE.iterdir()
    path.write_text(path.read_text()[:40])
    assert cached_importance(vlm, lambda: requests, "a") == first


def test_the_least_important_blocks_are_left_out(vlm, requests) -> None:
    scores = block_influence(vlm, requests)
    ranked = sorted(range(1, 7), key=lambda index: -scores[index])
    chosen = with_block_policy(vlm, BY_IMPORTANCE, lambda: requests, "a")
    stay = {0, 7, *ranked[:2]}
    with applied(chosen.structure, Setting(active_blocks=4)):
        kept = {i for i, b in enumerate(vlm.structure.block_list) if b is vlm.structure.blocks[i]}
    assert kept == stay


def test_other_policies_run_no_request(vlm) -> None:
    for policy in ("evenly_spaced", "first"):
        knobs = BY_IMPORTANCE.model_copy(update={"block_policy": policy})
        with_block_policy(vlm, knobs, lambda: pytest.fail("looked at requests"), "a")


def test_scores_are_kept_under_a_key_of_all_that_decides_them(vlm, requests, monkeypatch) -> None:
    made: list[str] = []

    def scored(name: str) -> None:
        cached_importance(vlm, lambda: made.append(name) or requests, "a")

    scored("first")
    changed = {
        "source_fingerprint": lambda *_: "other",
        "library_versions": lambda: {"torch": "0"},
    }
    for name, value in changed.items():
        with monkeypatch.context() as patch:
            patch.setattr(importance, name, value)
            scored(name)
    with monkeypatch.context() as patch:
        patch.setitem(vars(vlm), "fingerprint", "other")
        scored("fingerprint")
    ways = {"_attn_implementation": "eager", "_experts_implementation": "batched_mm"}
    for name, way in ways.items():
        with monkeypatch.context() as patch:
            patch.setattr(vlm.structure.language_model.config, f"{name}_internal", way)
            scored(name)
    scored("again")
    assert made == ["first", *changed, "fingerprint", *ways]


def test_scores_with_the_key_of_others_are_made_again(vlm, requests) -> None:
    first = cached_importance(vlm, lambda: requests, "a")
    (path,) = importance.CACHE.iterdir()
    key = first.key.model_copy(update={"requests": "b"})
    other = first.model_copy(update={"key": key, "scores": (0.0,) * 8})
    write_record(other, path)
    assert cached_importance(vlm, lambda: requests, "a") == first
