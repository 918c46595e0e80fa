"""Visual tokens as asked for, or nearly, or not at all."""

import pytest
import torch
from families.common import photo
from families.registry import FAMILIES

from m1.errors import UserError
from m1.schemas.settings import Setting
from m1.vlm import encoding
from m1.vlm.encoding import check_visual_tokens, encode, plan_visual_tokens
from m1.vlm.loaded import LoadedVlm
from m1.vlm.loading import ready

SQUARE, WIDE = (96, 96), (640, 480)


@pytest.fixture(scope="module")
def qwen() -> LoadedVlm:
    return ready(*FAMILIES["qwen2_vl"](), torch.device("cpu"))


def grid(*values: int | None) -> list[Setting]:
    return [Setting(vision_tokens=value) for value in values]


def test_values_that_can_be_reached_or_nearly_pass(vlm, qwen) -> None:
    check_visual_tokens(vlm, grid(144, 50, 16), [SQUARE])
    check_visual_tokens(qwen, grid(192, 100, 50), [WIDE, (333, 500)])
    check_visual_tokens(vlm, grid(None), [SQUARE])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((225, 36), "vision_tokens = 225: the nearest that the model can do .* is 144"),
        ((144, 36, 37), "36 and 37 both come to 36 visual tokens on an image of 96 x 96"),
    ],
)
def test_values_that_the_model_cannot_tell_apart_or_reach_are_refused(vlm, values, told) -> None:
    with pytest.raises(UserError, match=told):
        check_visual_tokens(vlm, grid(*values), [SQUARE])


def test_an_image_that_the_processor_cannot_take_is_named(qwen) -> None:
    with pytest.raises(UserError, match="an image of 3000 x 10 pixels: the model's processor"):
        check_visual_tokens(qwen, grid(None), [WIDE, (3000, 10)])


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
def pictures(monkeypatch) -> list[tuple[int, int]]:
    """The sizes of all pictures that are made to find a plan."""
    made: list[tuple[int, int]] = []
    count = encoding._count

    def noted(vlm: LoadedVlm, size: tuple[int, int]) -> int:
        made.append(size)
        return count(vlm, size)

    monkeypatch.setattr(encoding, "_count", noted)
    return made


@pytest.mark.parametrize("wanted", [1000, 9999, 100_000])
@pytest.mark.parametrize("size", [SQUARE, WIDE])
def test_no_huge_picture_is_made_to_find_out(vlm, pictures, size, wanted) -> None:
    vlm.visual_plans.clear()
    with pytest.raises(UserError, match=f"= {wanted}: the nearest .* is 144; ask for that"):
        check_visual_tokens(vlm, grid(wanted), [size])
    assert max(w * h for w, h in pictures) <= 24.1e6
    assert len(pictures) <= 4


def test_no_picture_is_larger_than_the_wanted_tokens_need(vlm, qwen, pictures) -> None:
    for model, wanted in ((vlm, 36), (qwen, 999)):
        pictures.clear()
        model.visual_plans.clear()
        plan_visual_tokens(model, WIDE, wanted)
        assert max(w * h for w, h in pictures) <= 1.01 * wanted * 128**2


@pytest.mark.parametrize("wanted", [400, 100, 10])
def test_a_long_and_narrow_image_is_planned_by_sizes_that_the_processor_takes(qwen, wanted) -> None:
    # 199.9 times as long as wide, where 200 is refused: rounding makes many sizes too narrow.
    plan = plan_visual_tokens(qwen, (28, 5597), wanted)
    assert plan.n_tokens > 0
    encode(qwen, photo(28, 5597), "What is this?", wanted)


def test_a_number_that_only_a_much_larger_picture_has_is_still_found(qwen) -> None:
    n = plan_visual_tokens(qwen, WIDE, None).n_tokens
    assert abs(plan_visual_tokens(qwen, (64, 48), n).n_tokens - n) <= 0.05 * n
