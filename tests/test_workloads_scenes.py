import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from m1.workloads.scene_language import (
    NUMBER_WORDS,
    QUESTION_KINDS,
    Question,
    annotator_answers,
    ask,
    captions,
    objects_described,
)
from m1.workloads.scenes import (
    BACKGROUNDS,
    CELL_PX,
    COLOURS,
    IMAGE_SIZE_PX,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
    Split,
    draw_scene,
    render,
)

# Row and column of each place, written out here so as not to trust the code under test.
GRID = {
    "top left": (0, 0), "top": (0, 1), "top right": (0, 2),
    "left": (1, 0), "center": (1, 1), "right": (1, 2),
    "bottom left": (2, 0), "bottom": (2, 1), "bottom right": (2, 2),
}  # fmt: skip
STEPS = {"above": (-1, 0), "below": (1, 0), "left of": (0, -1), "right of": (0, 1)}
SCENE = Scene(
    "gray",
    (
        SceneObject("small", "red", "circle", "top left"),
        SceneObject("large", "red", "cross", "top"),
        SceneObject("large", "blue", "circle", "bottom right"),
    ),
)


def scenes(n: int, split: Split = "evaluation", seed: int = 0) -> Iterator[Scene]:
    rng = np.random.default_rng(seed)
    return (draw_scene(rng, split) for _ in range(n))


def words(scene: Scene) -> tuple[str, ...]:
    return (scene.background, *(f"{o.size} {o.colour} {o.shape} {o.place}" for o in scene.objects))


# Splits


def test_training_and_evaluation_scenes_never_overlap() -> None:
    train = {words(scene) for scene in scenes(3000, "train", seed=1)}
    evaluation = {words(scene) for scene in scenes(1500, "evaluation", seed=1)}
    assert len(train) > 2900
    assert len(evaluation) > 1450
    assert not train & evaluation


@pytest.mark.parametrize("split", ["train", "evaluation"])
def test_a_scene_is_of_the_split_asked_for(split: Split) -> None:
    assert {scene.split for scene in scenes(300, split)} == {split}


def test_moving_objects_by_pixels_does_not_change_the_split() -> None:
    for scene in scenes(100):
        still = tuple(dataclasses.replace(o, offset_px=(0, 0)) for o in scene.objects)
        assert Scene(scene.background, still).split == "evaluation"


def test_the_splits_are_those_the_model_was_trained_with() -> None:
    def split(background: str, shape: str) -> Split:
        first = SceneObject("small", "red", shape, "top")
        return Scene(background, (first, SCENE.objects[2])).split

    pairs = [(ground, shape) for ground in BACKGROUNDS for shape in SHAPES]
    kept_back = [pair for pair in pairs if split(*pair) == "evaluation"]
    assert kept_back == [("gray", "cross"), ("black", "square"), ("black", "triangle")]


# Pictures


def test_scenes_and_pictures_depend_only_on_the_seed() -> None:
    assert list(scenes(5, seed=7)) == list(scenes(5, seed=7))
    assert list(scenes(5, seed=7)) != list(scenes(5, seed=8))
    first, again, other = (render(SCENE, np.random.default_rng(s)).tobytes() for s in (1, 1, 2))
    assert first == again
    assert first != other


def nearest_colour(pixels: np.ndarray) -> str:
    mean = pixels.reshape(-1, 3).mean(axis=0)
    known = COLOURS | BACKGROUNDS
    return min(known, key=lambda name: float(np.abs(mean - known[name]).sum()))


def test_a_picture_shows_the_colours_where_the_scene_says() -> None:
    rng = np.random.default_rng(3)
    for scene in scenes(100):
        pixels = np.asarray(render(scene, rng), dtype=float)
        assert pixels.shape == (IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3)
        # The outermost pixels are out of reach of every object.
        assert nearest_colour(pixels[:1]) == scene.background
        for item in scene.objects:
            row, column = GRID[item.place]
            y = row * CELL_PX + CELL_PX // 2 + item.offset_px[1]
            x = column * CELL_PX + CELL_PX // 2 + item.offset_px[0]
            assert nearest_colour(pixels[y - 1 : y + 2, x - 1 : x + 2]) == item.colour


def test_large_shapes_cover_more_than_small_ones() -> None:
    def covered(size: str, shape: str) -> int:
        scene = Scene("black", (SceneObject(size, "yellow", shape, "center"),))
        return int((np.asarray(render(scene, np.random.default_rng(0)))[..., 0] > 130).sum())

    for shape in SHAPES:
        assert 40 < covered("small", shape) < 0.6 * covered("large", shape)


# Questions


def places_in(text: str) -> list[str]:
    found = re.findall(r"(?:at the|in the) ((?:top|bottom) (?:left|right)|\w+)", text)
    return [place for place in found if place in GRID]


def neighbour(scene: Scene, place: str, relation: str) -> list[SceneObject]:
    row, column = (a + b for a, b in zip(GRID[place], STEPS[relation], strict=True))
    return [o for o in scene.objects if GRID[o.place] == (row, column)]


def the_only(found: Iterable[str]) -> str:
    (value,) = found
    return value


def matching(scene: Scene, described: str) -> list[SceneObject]:
    """The objects that "red object", "circle" or "red circle" may mean."""
    wanted = set(described.split()) - {"object", "objects"}
    singular = {"crosses": "cross"} | {f"{shape}s": shape for shape in SHAPES}
    wanted = {singular.get(word, word) for word in wanted}
    return [o for o in scene.objects if wanted <= {o.colour, o.shape}]


def in_line(scene: Scene, index: str, axis: str) -> int:
    names = ("top", "middle", "bottom") if axis == "row" else ("left", "middle", "right")
    return sum(GRID[o.place][axis == "column"] == names.index(index) for o in scene.objects)


def yes_no(holds: bool) -> str:
    return "yes" if holds else "no"


def right_answer(text: str, scene: Scene) -> str:
    """The answer to a question, from its text and without the generator's code."""
    at = [next((o for o in scene.objects if o.place == place), None) for place in places_in(text)]
    if text == "What color is the background?":
        return scene.background
    if m := re.fullmatch(r"How many objects are in the (\w+) (row|column)\?", text):
        return str(in_line(scene, m[1], m[2]))
    if m := re.fullmatch(r"How many ([\w ]+) are there\?", text):
        return str(len(matching(scene, m[1])))
    if m := re.fullmatch(r"Where is the ([\w ]+)\?", text):
        return the_only(o.place for o in matching(scene, m[1]))
    if m := re.fullmatch(r"What (color|shape) is the (\w+|\w+ object)\?", text):
        found = matching(scene, m[2])
        return the_only(o.colour if m[1] == "color" else o.shape for o in found)
    if m := re.fullmatch(r"What is (above|below|left of|right of) the object .*", text):
        return the_only(o.name for o in neighbour(scene, places_in(text)[0], m[1]))
    if m := re.fullmatch(
        r"(?:Is there a|Are there any|Is a) (\w+|\w+ \w+)(?: in the image)?\?", text
    ):
        return yes_no(bool(matching(scene, m[1])))
    if re.fullmatch(r"Is there an object (at|in) the [\w ]+\?", text):
        return yes_no(at[0] is not None)
    if text.startswith("Are the objects ") and text.endswith(" the same color?"):
        first, second = at
        assert first
        assert second
        return yes_no(first.colour == second.colour)
    (item,) = at
    assert item, text
    if text.endswith(" small or large?"):
        return item.size
    if text.endswith(" large?"):
        return yes_no(item.size == "large")
    asked = {"What color": item.colour, "What shape": item.shape, "What is": item.name}
    return the_only(answer for start, answer in asked.items() if text.startswith(start))


@pytest.fixture(scope="module")
def asked() -> list[tuple[Scene, Question]]:
    rng = np.random.default_rng(5)
    return [(scene, ask(scene, rng)) for scene in scenes(250) for _ in range(12)]


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_answers_are_right(kind: str, asked: list[tuple[Scene, Question]]) -> None:
    of_kind = [(scene, question) for scene, question in asked if question.kind == kind]
    assert len(of_kind) > 100
    wrong = [q for scene, q in of_kind if right_answer(q.text, scene) != q.answer]
    assert wrong == []


def test_no_answer_is_given_away_by_the_wording_of_its_question(
    asked: list[tuple[Scene, Question]],
) -> None:
    answers = Counter(q.answer for _, q in asked if q.kind == "yes/no")
    assert set(answers) == {"yes", "no"}
    assert 0.4 < answers["yes"] / answers.total() < 0.65
    assert len({q.text for _, q in asked}) > 200


# People


def test_captions_are_five_different_ones() -> None:
    for scene in scenes(200):
        assert len(set(captions(scene))) == len(captions(scene)) == 5


def mentions(clause: str, item: SceneObject) -> bool:
    place = rf"(?<!top )(?<!bottom )\b{item.place}\b(?! left| right)"
    plain = (rf"\b{word}\b" for word in (item.size, item.colour, item.shape))
    return all(re.search(pattern, clause) for pattern in (place, *plain))


def test_every_caption_mentions_every_object_and_the_background() -> None:
    for scene in scenes(200):
        for text in captions(scene):
            clauses = re.split(r", | and |: ", text)
            described = [c for c in clauses if any(shape in c for shape in SHAPES)]
            assert len(described) == len(scene.objects)
            assert all(mentions(*pair) for pair in zip(described, scene.objects, strict=True))
            assert re.search(rf"\b{scene.background}\b", text)
        assert f" {NUMBER_WORDS[len(scene.objects)]} objects " in captions(scene)[0]


def test_people_sometimes_disagree_and_the_majority_is_right(
    asked: list[tuple[Scene, Question]],
) -> None:
    rng = np.random.default_rng(6)
    answers = [annotator_answers(question, rng) for _, question in asked]
    assert {len(ten) for ten in answers} == {10}
    pairs = [(q, ten) for (_, q), ten in zip(asked, answers, strict=True)]
    wrong = [answer for q, ten in pairs for answer in ten if answer != q.answer]
    assert 0.06 < len(wrong) / (10 * len(pairs)) < 0.10
    right_majority = [Counter(ten).most_common(1)[0][0] == q.answer for q, ten in pairs]
    assert sum(right_majority) / len(pairs) > 0.99


def test_people_err_towards_what_is_easily_confused(asked: list[tuple[Scene, Question]]) -> None:
    rng = np.random.default_rng(6)
    for _, question in asked:
        assert question.confusable
        assert question.answer not in question.confusable
        given = set(annotator_answers(question, rng))
        assert given <= {question.answer, *question.confusable}


# Described objects


def test_the_first_wording_describes_all_objects() -> None:
    for scene in scenes(200):
        assert objects_described(captions(scene)[0], scene) == len(scene.objects)


@pytest.mark.parametrize(
    ("caption", "n"),
    [
        ("", 0),
        ("a small red circle at the top left", 1),
        ("a red circle at the top left and a large red cross at the top.", 2),
        ("a blue circle at the top left", 0),
        ("a red square at the top left", 0),
        ("a red circle at the top", 0),
        ("a red cross at the top left", 0),
        ("a red cross at the top right", 0),
    ],
)
def test_an_object_counts_with_its_colour_shape_and_place(caption: str, n: int) -> None:
    assert objects_described(caption, SCENE) == n


def test_the_words_are_those_the_tests_know() -> None:
    assert set(SIZES) == {"small", "large"}
    assert not {o for scene in scenes(200) for o in scene.objects if o.place not in GRID}
    assert {len(scene.objects) for scene in scenes(200)} == {2, 3, 4, 5}
