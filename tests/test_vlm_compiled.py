"""The compiled runtime writes what the eager one writes."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from families import parts, sizes
from families.common import photo
from families.registry import FAMILIES, PLAIN_CACHES
from family_report import family
from torch._inductor.runtime.cache_dir_utils import cache_dir

from m1.errors import UserError
from m1.params import ModelParams
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.knobs.apply import applied
from m1.vlm.loading.load import load_vlm, ready
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.compiled import CACHES, CompiledRuntime, compiler_choosing_anew

# One graph of a step is traced as on a GPU; making kernels of it takes minutes on a CPU.
TRACED = "eager"
OTHER_CACHES = ("gemma3", "gemma4", "qwen3_5_moe", "lfm2_vl", "cohere2_vision")
N_TOKENS = 5

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")


@cache
def shallow(name: str) -> LoadedVlm:
    """A tiny family with three blocks: tracing takes as long for each further block."""
    depth = {"num_hidden_layers": 3}
    with patch.dict(parts.TEXT, depth), patch.dict(sizes.TEXT, depth):
        return ready(*FAMILIES[name](), torch.device("cpu"))


def compiled(vlm: LoadedVlm, backend: str = TRACED) -> LoadedVlm:
    """The same model with a compiled decode step, and experts that a graph can hold."""
    torch._dynamo.reset()
    if vlm.structure.experts:
        vlm.structure.language_model.set_experts_implementation("grouped_mm")
    return replace(vlm, runtime=CompiledRuntime(vlm.structure, backend=backend))


def written(vlm: LoadedVlm, prompt: str = "a red one", width: int = 64) -> tuple[int, ...]:
    inputs = encode(vlm, photo(width, 48), prompt)
    return answer(vlm, inputs, N_TOKENS, stops_at_end=False).tokens


def reduced(vlm: LoadedVlm) -> Setting:
    """One block and all experts but one less."""
    blocks = max(len(vlm.structure.required_blocks), len(vlm.structure.blocks) - 1)
    return Setting(active_blocks=blocks, top_k=1 if vlm.structure.top_k_holders else None)


@pytest.mark.parametrize("name", PLAIN_CACHES)
def test_compiled_steps_write_the_eager_tokens_at_every_state_of_the_knobs(name) -> None:
    eager = shallow(name)
    quick = compiled(eager)
    assert written(quick) == written(eager)
    with applied(eager.structure, reduced(eager)):
        assert written(quick) == written(eager)
    assert written(quick) == written(eager), "back at the native setting"
    assert len(quick.runtime.steps) == 2, "each state was compiled once"


@pytest.mark.parametrize("name", OTHER_CACHES)
def test_models_with_other_caches_are_refused_in_one_line(name) -> None:
    with pytest.raises(UserError, match=r"model\.runtime = compiled: .* keeps .*; use eager"):
        written(compiled(family(name)))


def test_requests_of_other_lengths_use_the_same_step() -> None:
    eager = shallow("llava")
    quick = compiled(eager)
    quick.runtime.make_room(400)
    for prompt in ("red", "is there a small red square on the left of it?", "blue"):
        assert written(quick, prompt) == written(eager, prompt)
    assert len(quick.runtime.steps) == 1


def test_a_request_longer_than_the_cache_gets_a_larger_one() -> None:
    eager = shallow("llava")
    quick = compiled(eager)
    quick.runtime.make_room(1)
    assert quick.runtime.room < encode(eager, photo(64, 48), "red")["input_ids"].shape[1]
    assert written(quick) == written(eager)


@pytest.mark.skipif(
    " " in torch.__file__, reason="a C++ compiler cannot link a PyTorch under a path with a space"
)
# Inductor's own use of what torch is about to drop.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_the_default_compiler_makes_a_step_that_writes_the_eager_tokens() -> None:
    eager = shallow("llava")
    assert written(compiled(eager, "inductor")) == written(eager)


def test_experts_chosen_on_the_host_are_refused(vlm) -> None:
    params = ModelParams(
        source="data/models/scene-vlm",
        dtype="float32",
        device="cpu",
        experts="eager",
        runtime="compiled",
        n_threads=1,
    )
    with pytest.raises(UserError, match=r"set model\.experts to grouped_mm"):
        load_vlm(params)


def test_a_process_compiles_without_the_choices_of_earlier_ones(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(CACHES[0], str(tmp_path))
    monkeypatch.delenv(CACHES[1], raising=False)
    with compiler_choosing_anew():
        fresh = Path(cache_dir())
        assert fresh.parent.is_dir()
        assert not fresh.is_relative_to(tmp_path)
    assert not fresh.parent.exists()
    assert Path(cache_dir()) == tmp_path
    assert CACHES[1] not in os.environ
