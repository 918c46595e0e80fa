"""A model that the machine cannot hold is refused before any of it is in memory."""

from pathlib import Path

import psutil
import pytest
import torch
from families.common import save
from families.registry import FAMILIES
from test_vlm_loading import params

from m1.errors import UserError
from m1.vlm.loading import memory_check
from m1.vlm.loading.load import load_vlm


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return save(FAMILIES["qwen3_vl_moe"], tmp_path_factory.mktemp("saved"))


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_a_configuration_far_beyond_the_machine_is_refused_at_once(
    folder, monkeypatch, weights
) -> None:
    monkeypatch.setattr(memory_check, "memory_bytes", lambda: 100 * 1024**3)
    huge = {"text_config": {"moe_intermediate_size": 1_000_000, "hidden_size": 100_000}}
    with pytest.raises(UserError, match=r"take [\d.]+ GB in float32, .* has 100\.0 GB") as told:
        load_vlm(params(folder, weights=weights, config=huge))
    assert "\n" not in str(told.value)


def test_what_fits_exactly_is_loaded(folder, monkeypatch) -> None:
    model = load_vlm(params(folder)).model
    size = sum(one.numel() * 4 for one in model.parameters())
    monkeypatch.setattr(memory_check, "memory_bytes", lambda: size)
    load_vlm(params(folder))
    load_vlm(params(folder, dtype="bfloat16"))
    monkeypatch.setattr(memory_check, "memory_bytes", lambda: size - 1)
    with pytest.raises(UserError, match=r"set model\.dtype to bfloat16"):
        load_vlm(params(folder))


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_on_a_gpu_its_own_memory_decides_and_the_hosts_does_not(
    folder, monkeypatch, weights
) -> None:
    config, cuda = FAMILIES["llava"]()[0].config, torch.device("cuda")
    asked = params(folder, weights=weights)
    monkeypatch.setattr(memory_check, "memory_bytes", lambda: 0)
    monkeypatch.setattr(memory_check, "gpu_bytes", lambda _: 1024**3)
    memory_check.check_memory(asked, config, cuda)
    monkeypatch.setattr(memory_check, "gpu_bytes", lambda _: 1024)
    with pytest.raises(UserError, match=r"and cuda has 0\.0 GB of memory"):
        memory_check.check_memory(asked, config, cuda)


def test_a_model_that_cannot_be_built_without_memory_is_not_judged(folder, monkeypatch) -> None:
    def needs_memory(*_: object) -> None:
        raise RuntimeError("Tensor.item() cannot be called on meta tensors")

    monkeypatch.setattr(memory_check, "random_model", needs_memory)
    monkeypatch.setattr(memory_check, "memory_bytes", lambda: 0)
    load_vlm(params(folder))


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory_check, "CONTAINER", limit)
    whole = memory_check.memory_bytes()
    assert whole >= psutil.virtual_memory().total
    for text, expected in (("max\n", whole), ("4096\n", 4096), (f"{2**70}\n", whole)):
        limit.write_text(text, encoding="ascii")
        assert memory_check.memory_bytes() == expected
