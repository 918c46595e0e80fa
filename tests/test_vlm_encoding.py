"""Visual tokens have the requested number, or nearly, or are refused."""

import re

import pytest
import torch
from families.common import photo
from families.registry import FAMILIES
from simulated import prepared_in

from m1.errors import UserError
from m1.schemas.requests import Request
from m1.schemas.settings import Setting
from m1.vlm import encoding, visual_plans
from m1.vlm.at_setting import AtSetting
from m1.vlm.encoding import encode
from m1.vlm.knobs.check import check_knobs
from m1.vlm.loading.load import ready
from m1.vlm.model import LoadedVlm, VisualPlan
from m1.vlm.pictures import Picture, picture_problems
from m1.vlm.processing import RefusedError
from m1.vlm.structure import StructureError
from m1.vlm.visual_plans import plan_visual_tokens

SQUARE, WIDE = (96, 96), (640, 480)


@pytest.fixture(scope="module")
def qwen() -> LoadedVlm:
    return ready(*FAMILIES["qwen2_vl"](), torch.device("cpu"))


def pictures(*sizes: tuple[int, int]) -> list[Picture]:
    return [Picture(f"photos/{place}.jpg", size) for place, size in enumerate(sizes)]


def grid(*values: int | None) -> list[Setting]:
    return [Setting(vision_tokens=value) for value in values]


def test_values_that_can_nearly_be_reached_are_accepted(vlm, qwen) -> None:
    check_knobs(vlm, grid(144, 50, 16), pictures(SQUARE))
    check_knobs(qwen, grid(192, 100, 50), pictures(WIDE, (333, 500)))
    check_knobs(vlm, grid(None), pictures(SQUARE))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((225, 36), "vision_tokens = 225: the nearest that the model can do .* is 144"),
        (
            (144, 36, 37),
            r"36 and 37 both come to 36 visual tokens on photos/0\.jpg \(96 x 96 p",
        ),
    ],
)
def test_values_that_the_model_cannot_tell_apart_or_reach_are_refused(vlm, values, told) -> None:
    with pytest.raises(UserError, match=told):
        check_knobs(vlm, grid(*values), pictures(SQUARE))


def test_an_image_that_the_processor_cannot_take_is_named_and_others_counted(qwen) -> None:
    narrow = pictures(WIDE, (3000, 10), (10, 4000), WIDE, (10, 4000))
    narrow += narrow  # those of the other workload
    told = (
        r"^photos/1\.jpg \(3000 x 10 pixels\) and 2 more: the model's processor cannot take it "
        r"\(absolute aspect ratio must be smaller than 200, got 300\.0\); leave out such pictures$"
    )
    with pytest.raises(UserError, match=told):
        check_knobs(qwen, grid(None, 100), narrow)
    (problem,) = picture_problems(qwen, grid(None, 100), narrow)
    assert re.match(told, problem)


def test_every_picture_is_checked_with_every_value(qwen) -> None:
    # Long and narrow ones have more tokens, however small they are made.
    mixed = pictures(*[WIDE] * 9, (28, 5600), (640, 427), (5600, 28), (28, 5600))
    assert list(picture_problems(qwen, grid(192, 100, None), mixed)) == [
        "knobs.vision_tokens = 100: the nearest that the model can do on photos/9.jpg (28 x 5600 "
        "pixels) and 2 more is 191; ask for another number, or leave out such pictures"
    ]


def test_the_picture_that_is_encoded_is_named(qwen, tmp_path, monkeypatch) -> None:
    def refuse(*_) -> VisualPlan:
        raise RefusedError("height must be > 0")

    monkeypatch.setattr(encoding, "plan_visual_tokens", refuse)
    photo(300, 10).save(tmp_path / "thin.png")
    request = Request(
        request_id="qa-1", image_id="1", image="thin.png", prompt="?", references=("a",), kind=None
    )
    with pytest.raises(UserError) as caught:
        AtSetting(qwen, Setting(vision_tokens=50)).encode_request(
            prepared_in(tmp_path, request), request
        )
    assert str(caught.value) == (
        f"{tmp_path}/thin.png (300 x 10 pixels): the model's processor cannot take it (height must "
        "be > 0); leave it out"
    )


def test_no_size_of_a_made_up_picture_is_reported() -> None:
    model, processor = FAMILIES["qwen2_vl"]()
    processor.image_processor.size = {"shortest_edge": 1, "longest_edge": 0}
    with pytest.raises(StructureError, match="cannot take the plain picture") as caught:
        ready(model, processor, torch.device("cpu"))
    assert "336" not in str(caught.value)


@pytest.mark.parametrize("wanted", [150, 96, 48, 20, 6])
def test_resizing_comes_near_every_number_and_keeps_the_shape(qwen, wanted) -> None:
    plan = plan_visual_tokens(qwen, WIDE, wanted)
    assert abs(plan.n_tokens - wanted) <= max(1, 0.1 * wanted)
    assert plan.size[0] / plan.size[1] == pytest.approx(WIDE[0] / WIDE[1], rel=0.03)
    inputs = encode(qwen, photo(*WIDE), "What is this?", wanted)
    assert int((inputs["input_ids"] == qwen.structure.image_token_id).sum()) == plan.n_tokens


def test_a_plan_is_made_once_for_a_size(qwen) -> None:
    assert plan_visual_tokens(qwen, WIDE, 77) is plan_visual_tokens(qwen, WIDE, 77)


@pytest.fixture
def made(monkeypatch) -> list[tuple[int, int]]:
    """The sizes of all pictures that are made to find a plan, if a processor cannot compute it."""
    made: list[tuple[int, int]] = []

    def no_arithmetic(*_) -> int:
        raise RefusedError

    count = visual_plans._count

    def noted(vlm: LoadedVlm, size: tuple[int, int]) -> int:
        made.append(size)
        return count(vlm, size)

    monkeypatch.setattr(visual_plans, "_count", noted)
    monkeypatch.setattr(visual_plans, "_reckon", no_arithmetic)
    return made


@pytest.mark.parametrize("wanted", [1000, 9999, 100_000])
@pytest.mark.parametrize("size", [SQUARE, WIDE])
def test_no_huge_picture_is_made_to_find_out(vlm, made, size, wanted) -> None:
    vlm.visual_plans.clear()
    with pytest.raises(UserError, match=f"= {wanted}: the nearest .* is 144; ask for that"):
        check_knobs(vlm, grid(wanted), pictures(size))
    assert max(w * h for w, h in made) <= 24.1e6
    assert len(made) <= 4


def test_no_picture_is_larger_than_the_wanted_tokens_need(vlm, qwen, made) -> None:
    for model, wanted in ((vlm, 36), (qwen, 999)):
        made.clear()
        model.visual_plans.clear()
        plan_visual_tokens(model, WIDE, wanted)
        assert max(w * h for w, h in made) <= 1.01 * wanted * 128**2


@pytest.mark.parametrize("wanted", [400, 100, 10])
def test_a_long_and_narrow_image_is_planned_by_sizes_that_the_processor_takes(qwen, wanted) -> None:
    # 199.9 times as long as wide, where 200 is refused: rounding makes many sizes too narrow.
    plan = plan_visual_tokens(qwen, (28, 5597), wanted)
    assert plan.n_tokens > 0
    encode(qwen, photo(28, 5597), "What is this?", wanted)


def test_a_number_that_only_a_much_larger_picture_has_is_still_found(qwen) -> None:
    n = plan_visual_tokens(qwen, WIDE, None).n_tokens
    assert abs(plan_visual_tokens(qwen, (64, 48), n).n_tokens - n) <= 0.05 * n


@pytest.mark.parametrize("name", ["qwen2_vl", "llava_next", "internvl", "smolvlm"])
def test_arithmetic_of_processors_changes_no_plan(name, monkeypatch) -> None:
    def plans(vlm: LoadedVlm) -> list[VisualPlan]:
        return [plan_visual_tokens(vlm, size, n) for size in (SQUARE, (90, 61)) for n in (60, 9)]

    built = FAMILIES[name]()
    own = plans(ready(*built, torch.device("cpu")))
    monkeypatch.setattr(visual_plans, "_agrees", lambda *_: False)
    assert plans(ready(*built, torch.device("cpu"))) == own


def test_thousands_of_sizes_are_planned_with_few_pictures(qwen, monkeypatch) -> None:
    counted: list[tuple[int, int]] = []
    count = visual_plans._count
    monkeypatch.setattr(visual_plans, "_count", lambda *of: counted.append(of[1]) or count(*of))
    sizes = [(64, height) for height in range(48, 78)]
    for size in sizes:
        for wanted in (16, 9, 6):
            plan_visual_tokens(qwen, size, wanted)
    # The image itself, and what was chosen for each value; with those that are like no other.
    assert len(counted) <= 5 * len(sizes)
