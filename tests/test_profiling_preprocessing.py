"""What is timed before the total, and what follows from the size of the picture."""

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from families.common import photo
from family_report import family
from simulated import prepared_in

from m1 import prepared
from m1.profiling.facts.work import count_work
from m1.profiling.schedule import Planned, Round
from m1.profiling.timing import clocks
from m1.profiling.timing import request as measuring
from m1.profiling.timing.request import OutputLimit, measure
from m1.profiling.timing.standstill import NS_PER_MS
from m1.schemas.profile import MeasuredRequest
from m1.schemas.requests import PictureSize, Request
from m1.schemas.settings import Setting
from m1.vlm import at_setting
from m1.vlm.encoding import encode
from m1.vlm.model import LoadedVlm
from m1.workloads.images import resized

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")

SMALL: PictureSize = (64, 32)
LARGE: PictureSize = (256, 128)


def measured(vlm: LoadedVlm, folder: Path, size: PictureSize, *, marked: bool) -> MeasuredRequest:
    """A request about a photograph that was made a size, at the model's own setting."""
    original = io.BytesIO()
    photo(640, 480).save(original, "JPEG")
    content, ending = resized(original.getvalue(), size)
    name = f"photo{ending}"
    (folder / name).write_bytes(content)
    request = Request(
        request_id="1", image_id="1", image=name, prompt="a", references=("b",), kind=None
    )
    one = Round("e1", 0, "qa", Setting(), "free", ())
    planned = Planned(request, marked, order=0)
    return measure(vlm, planned, one, prepared_in(folder, request), OutputLimit("free", 2)).row


def test_opening_and_processor_count_and_looking_for_a_size_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 0

    def takes(ms: float, module: ModuleType, name: str) -> None:
        """Have a function take so long by a clock that otherwise stands still."""
        real: Callable[..., Any] = getattr(module, name)

        def slow(*args: Any, **kwargs: Any) -> Any:
            nonlocal now_ns
            now_ns += int(ms * NS_PER_MS)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, slow)

    monkeypatch.setattr(clocks, "perf_counter_ns", lambda: now_ns)
    takes(3, prepared, "open_image")
    takes(100, measuring, "plan_visual_tokens")
    takes(5, at_setting, "encode")
    takes(7, measuring, "answer")
    row = measured(family("qwen2_vl"), tmp_path, SMALL, marked=False)
    assert (row.open_image_ms, row.preprocess_ms, row.total_ms) == (3, 8, 7)


def test_visual_tokens_and_work_follow_the_size_of_the_picture(tmp_path: Path) -> None:
    """A model of dynamic resolution, with `vision_tokens` left to it."""
    vlm = family("qwen2_vl")
    rows = [measured(vlm, tmp_path, size, marked=True) for size in (SMALL, LARGE)]
    assert [row.observed_vision_tokens for row in rows] == [8, 128]
    small, large = (count_work(vlm, encode(vlm, photo(*size), "a")) for size in (SMALL, LARGE))
    for stage in ("vision", "projector", "prefill"):
        assert large[stage].operations > 4 * small[stage].operations
