"""Prompts that run through recorded graphs: here a stand-in runs the recorded function again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from families.common import photo
from family_report import family
from recorder import Recorder

from m1.profiling.timing.marks import FirstCall
from m1.profiling.timing.request import timed_with_marks
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.engine import answer
from m1.vlm.knobs.apply import applied
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.compiled import CompiledRuntime
from m1.vlm.runtime.graphed_prompt import PromptGraphs
from m1.vlm.runtime.shapes import shape_of

N_TOKENS = 4
FAMILIES = ("llava", "qwen3_vl", "qwen3_vl_moe", "aria", "internvl_moe", "idefics3", "glm4v_moe")
PROJECTORS_INSIDE = ("qwen3_vl", "qwen3_vl_moe", "glm4v_moe")

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")


def recorded(
    vlm: LoadedVlm, recorder: Recorder | None = None, compiles_steps: bool = False
) -> LoadedVlm:
    """The same model with its prompts recorded; the cache knows its shape already.

    Steps are recorded as they are, unless they are to be compiled, too: that takes seconds.
    """
    torch._dynamo.reset()
    if vlm.structure.experts:
        vlm.structure.language_model.set_experts_implementation("grouped_mm")
    runtime = CompiledRuntime(vlm.structure, backend="eager", recorder=recorder or Recorder())
    if not compiles_steps:
        runtime.compile = lambda step: step
    runtime.make_room(400)
    quick = replace(vlm, runtime=runtime)
    written(quick)
    return quick


def prompts(vlm: LoadedVlm) -> PromptGraphs:
    return vlm.runtime.prompts


def written(vlm: LoadedVlm, prompt: str = "a red one", width: int = 64) -> tuple[int, ...]:
    inputs = encode(vlm, photo(width, 48), prompt)
    return answer(vlm, inputs, N_TOKENS, stops_at_end=False).tokens


@pytest.mark.parametrize("name", FAMILIES)
def test_recorded_prompts_write_the_eager_tokens(name) -> None:
    eager = family(name)
    quick = recorded(eager)
    for prompt in ("a red one", "the blue two", "is it a red one on the left?", "a red one"):
        for width in (64, 96):
            assert written(quick, prompt, width) == written(eager, prompt, width)
    inside = "blocks" if name in PROJECTORS_INSIDE else "whole"
    assert prompts(quick).extents == {"vision_tower": inside, "language_model": "whole"}


def test_a_shape_is_recorded_once_and_then_replayed() -> None:
    recorder = Recorder()
    quick = recorded(family("llava"), recorder, compiles_steps=True)
    written(quick, "a red one")
    n_recorded, n_replayed = recorder.n_recorded, recorder.n_replayed
    written(quick, "a red one", 96)
    assert recorder.n_recorded == n_recorded
    assert recorder.n_replayed == n_replayed + 2 + N_TOKENS - 1, "tower, language model, steps"
    written(quick, "a longer prompt of more words")
    assert recorder.n_recorded == n_recorded + 1, "the language model's new shape"


@pytest.mark.parametrize("whole", [True, False])
def test_each_state_of_the_knobs_has_graphs_of_its_own(whole) -> None:
    eager = family("qwen3_vl_moe")
    quick = recorded(eager)
    prompts(quick).language_model.fits = whole
    reduced = Setting(active_blocks=len(eager.structure.blocks) - 1, top_k=1)
    for _ in range(2):
        assert written(quick) == written(eager)
        with applied(eager.structure, reduced):
            assert written(quick) == written(eager)
    language_model = prompts(quick).language_model
    assert len(language_model.graphs) == (2 if whole else 0)
    n_graphs = {len(block.graphs) for block in language_model.parts}
    assert n_graphs == ({0} if whole else {1, 2}), "one block was left out at the reduced setting"


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_not_one_graph_runs_block_by_block(name) -> None:
    eager = family(name)
    quick = recorded(eager)
    prompts(quick).vision_tower.fits = prompts(quick).language_model.fits = False
    for prompt in ("a red one", "is it a red one on the left?", "a red one"):
        assert written(quick, prompt) == written(eager, prompt)
    assert prompts(quick).extents == {"vision_tower": "blocks", "language_model": "blocks"}


def test_a_model_that_cannot_be_recorded_runs_as_it_is_and_says_so() -> None:
    eager = family("llava")

    def refuses(n: int) -> Exception | None:
        return RuntimeError("the host waits") if n > 1 else None

    quick = recorded(eager, Recorder(refuses))
    assert written(quick) == written(eager)
    assert prompts(quick).extents == {"vision_tower": "none", "language_model": "none"}


def test_a_module_that_one_shape_keeps_from_being_whole_is_not_said_to_be() -> None:
    def refuses(n: int) -> Exception | None:
        return RuntimeError("the host waits") if n == 4 else None

    eager = family("llava")
    quick = recorded(eager, Recorder(refuses))
    written(quick)
    assert prompts(quick).extents == {"vision_tower": "whole", "language_model": "whole"}
    longer = "a longer prompt of more words"
    assert written(quick, longer) == written(eager, longer)
    assert prompts(quick).extents == {"vision_tower": "whole", "language_model": "blocks"}


def test_running_out_of_memory_is_no_reason_to_continue_without_graphs() -> None:
    def refuses(n: int) -> Exception | None:
        return torch.OutOfMemoryError("CUDA out of memory") if n == 2 else None

    quick = recorded(family("llava"), Recorder(refuses))
    with pytest.raises(torch.OutOfMemoryError):
        written(quick)
    assert prompts(quick).vision_tower.fits


@pytest.mark.parametrize("name", ["llava", "qwen3_vl_moe", "aria", "glm4v_moe"])
@pytest.mark.parametrize("whole", [True, False])
def test_replays_show_hooks_what_a_run_would_show(name, whole, monkeypatch) -> None:
    eager, recorder = family(name), Recorder()
    quick = recorded(eager, recorder)
    prompts(quick).language_model.fits = whole
    inputs = encode(eager, photo(64, 48), "a red one")
    written(quick)
    for look in ("see_input", "see_output"):
        monkeypatch.setattr(FirstCall, look, unseen_in_replay(getattr(FirstCall, look), recorder))
    seen = [timed_with_marks(vlm, inputs, N_TOKENS).observed for vlm in (quick, quick, eager)]
    told = [(one.n_blocks, one.top_k, one.n_visual_tokens) for one in seen if one]
    assert told[0] == told[1] == told[2]
    assert told[0][0] == len(eager.structure.blocks)


def unseen_in_replay(look: Callable[..., None], recorder: Recorder) -> Callable[..., None]:
    """A GPU that replays runs no Python, and no hooks: here they run, but look away."""

    def maybe(*args: Any) -> None:
        if not recorder.replaying:
            look(*args)

    return maybe


def test_the_eager_runtime_beside_it_never_replays() -> None:
    recorder = Recorder()
    eager = family("llava")
    quick = recorded(eager, recorder)
    written(quick)
    n = recorder.n_replayed
    written(eager)
    assert recorder.n_replayed == n
    assert "forward" not in vars(eager.structure.language_model)


def test_short_tensors_of_integers_count_by_their_values() -> None:
    grid, other = torch.tensor([[1, 4, 6]]), torch.tensor([[1, 6, 4]])
    assert shape_of(grid) != shape_of(other)
    assert shape_of(torch.zeros(1, 40)) == shape_of(torch.ones(1, 40))
    assert shape_of(torch.zeros(1, 40)) != shape_of(torch.zeros(1, 41))
    assert shape_of(torch.zeros(3)) == shape_of(torch.ones(3)), "not of integers"
