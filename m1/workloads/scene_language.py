"""Texts about a scene: captions in five wordings, and questions with their answers."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from m1.workloads.scenes import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
    SceneObject,
)

N_ANNOTATORS = 10
DISAGREEMENT = 0.08
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five")
CAPTION_PROMPT = "Describe the image."
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "middle", "right")
DIRECTIONS = {"above": (-1, 0), "below": (1, 0), "left of": (0, -1), "right of": (0, 1)}


@dataclass(frozen=True)
class Question:
    """A question about a scene, its answer, and answers that are easily confused with it."""

    kind: str
    text: str
    answer: str
    confusable: tuple[str, ...]


def captions(scene: Scene) -> tuple[str, ...]:
    """Five differently worded captions; the first wording is the one SceneVLM learns to write."""
    n = NUMBER_WORDS[len(scene.objects)]
    ground = scene.background
    items = [_listed(o) for o in scene.objects]
    places = [f"the {o.place} has a {o.size} {o.colour} {o.shape}" for o in scene.objects]
    sits = [f"a {o.colour} {o.shape} that is {o.size} sits {_where(o)}" for o in scene.objects]
    phrases = [f"a {o.size} {o.shape} colored {o.colour} {_where(o)}" for o in scene.objects]
    return (
        f"The image shows {n} objects on a {ground} background: {_series(items)}.",
        f"{n.capitalize()} shapes on {ground}: {_series(items)}.",
        f"On a plain {ground} background, {_series(places)}.",
        f"In this {ground} picture {_series(sits)}.",
        f"We can see {_series(phrases)}, all in front of a {ground} background.",
    )


def _listed(item: SceneObject) -> str:
    return f"a {item.size} {item.colour} {item.shape} {_where(item)}"


def _where(item: SceneObject) -> str:
    return _at(item.place)


def _at(place: str) -> str:
    return "in the center" if place == "center" else f"at the {place}"


def _series(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"


def objects_described(caption: str, scene: Scene) -> int:
    """The number of objects to which a caption gives the right colour, shape and place."""
    # "at the top left" is not "at the top".
    said = (rf"{o.name} {_where(o)}(?! left| right)" for o in scene.objects)
    return sum(bool(re.search(phrase, caption)) for phrase in said)


def annotator_answers(question: Question, rng: np.random.Generator) -> tuple[str, ...]:
    """Ten people's answers. Sometimes one person gives an answer that is easily confused."""
    wrong = rng.random(N_ANNOTATORS) < DISAGREEMENT
    return tuple(str(rng.choice(question.confusable)) if w else question.answer for w in wrong)


def ask(scene: Scene, rng: np.random.Generator) -> Question:
    """Draw one question about the scene. The weights of `QUESTION_KINDS` decide its kind."""
    kinds = list(QUESTION_KINDS)
    weights = np.array([QUESTION_KINDS[kind].weight for kind in kinds])
    while True:
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        wordings = QUESTION_KINDS[kind].wordings
        asked = wordings[int(rng.integers(len(wordings)))](scene, rng)
        if asked is not None:
            return Question(kind, *asked)


Asked = tuple[str, str, tuple[str, ...]]
Wording = Callable[[Scene, np.random.Generator], Asked | None]


def _pick(rng: np.random.Generator, options: Sequence[SceneObject]) -> SceneObject:
    return options[int(rng.integers(len(options)))]


def _pick_alone(
    scene: Scene, rng: np.random.Generator, attribute: Callable[[SceneObject], str]
) -> SceneObject | None:
    """An object that is the only one with its attribute."""
    values = [attribute(o) for o in scene.objects]
    alone = [o for o in scene.objects if values.count(attribute(o)) == 1]
    return _pick(rng, alone) if alone else None


def _others(value: str, options: Sequence[str]) -> tuple[str, ...]:
    return tuple(option for option in options if option != value)


def _decided(text: str, holds: bool) -> Asked:
    answer, other = ("yes", "no") if holds else ("no", "yes")
    return text, answer, (other,)


def _background(scene: Scene, _: np.random.Generator) -> Asked:
    answer = scene.background
    return "What color is the background?", answer, _others(answer, list(BACKGROUNDS))


def _colour_at(scene: Scene, rng: np.random.Generator) -> Asked:
    item = _pick(rng, scene.objects)
    text = f"What color is the object {_where(item)}?"
    return text, item.colour, _others(item.colour, list(COLOURS))


def _colour_of(scene: Scene, rng: np.random.Generator) -> Asked | None:
    item = _pick_alone(scene, rng, lambda o: o.shape)
    if item is None:
        return None
    return f"What color is the {item.shape}?", item.colour, _others(item.colour, list(COLOURS))


def _shape_at(scene: Scene, rng: np.random.Generator) -> Asked:
    item = _pick(rng, scene.objects)
    return f"What shape is the object {_where(item)}?", item.shape, _others(item.shape, SHAPES)


def _shape_of(scene: Scene, rng: np.random.Generator) -> Asked | None:
    item = _pick_alone(scene, rng, lambda o: o.colour)
    if item is None:
        return None
    return f"What shape is the {item.colour} object?", item.shape, _others(item.shape, SHAPES)


def _size_at(scene: Scene, rng: np.random.Generator) -> Asked:
    item = _pick(rng, scene.objects)
    text = f"Is the object {_where(item)} small or large?"
    return text, item.size, _others(item.size, list(SIZES))


def _object_at(scene: Scene, rng: np.random.Generator) -> Asked:
    item = _pick(rng, scene.objects)
    return f"What is {_where(item)} of the image?", item.name, _confused_objects(item)


def _confused_objects(item: SceneObject) -> tuple[str, ...]:
    return item.shape, f"{item.size} {item.name}"


def _counted(what: str, n: int) -> Asked:
    near = ("1",) if n == 0 else (str(n - 1), str(n + 1))
    return f"How many {what}?", str(n), near


def _count_all(scene: Scene, _: np.random.Generator) -> Asked:
    return _counted("objects are there", len(scene.objects))


def _count_line(scene: Scene, rng: np.random.Generator) -> Asked:
    index = int(rng.integers(3))
    if rng.random() < 0.5:
        line, n = f"{ROWS[index]} row", sum(o.row == index for o in scene.objects)
    else:
        line, n = f"{COLUMNS[index]} column", sum(o.column == index for o in scene.objects)
    return _counted(f"objects are in the {line}", n)


def _count_shape(scene: Scene, rng: np.random.Generator) -> Asked:
    shape = str(rng.choice([o.shape for o in scene.objects] + list(SHAPES)))
    plural = "crosses" if shape == "cross" else f"{shape}s"
    return _counted(f"{plural} are there", sum(o.shape == shape for o in scene.objects))


def _count_colour(scene: Scene, rng: np.random.Generator) -> Asked:
    colour = str(rng.choice([o.colour for o in scene.objects] + list(COLOURS)))
    return _counted(f"{colour} objects are there", sum(o.colour == colour for o in scene.objects))


def _is_occupied(scene: Scene, rng: np.random.Generator) -> Asked:
    holds = rng.random() < 0.5
    taken = [o.place for o in scene.objects]
    place = str(rng.choice(taken if holds else [p for p in PLACES if p not in taken]))
    return _decided(f"Is there an object {_at(place)}?", holds)


def _is_large(scene: Scene, rng: np.random.Generator) -> Asked:
    item = _pick(rng, scene.objects)
    return _decided(f"Is the object {_where(item)} large?", item.size == "large")


def _has_attribute(scene: Scene, rng: np.random.Generator) -> Asked:
    if rng.random() < 0.5:
        shape = _present_or_not([o.shape for o in scene.objects], SHAPES, rng)
        return _decided(f"Is there a {shape}?", any(o.shape == shape for o in scene.objects))
    colour = _present_or_not([o.colour for o in scene.objects], list(COLOURS), rng)
    holds = any(o.colour == colour for o in scene.objects)
    return _decided(f"Are there any {colour} objects?", holds)


def _present_or_not(present: list[str], options: Sequence[str], rng: np.random.Generator) -> str:
    absent = [option for option in options if option not in present]
    return str(rng.choice(present if rng.random() < 0.5 else absent))


def _has_object(scene: Scene, rng: np.random.Generator) -> Asked:
    item = _pick(rng, scene.objects)
    names = {o.name for o in scene.objects}
    near = [f"{c} {item.shape}" for c in COLOURS] + [f"{item.colour} {s}" for s in SHAPES]
    name = item.name if rng.random() < 0.5 else str(rng.choice(sorted(set(near) - names)))
    return _decided(f"Is a {name} in the image?", name in names)


def _neighbour(scene: Scene, rng: np.random.Generator) -> Asked | None:
    pairs = [
        (first, relation, second)
        for first, second in itertools.permutations(scene.objects, 2)
        for relation, step in DIRECTIONS.items()
        if (second.row - first.row, second.column - first.column) == step
    ]
    if not pairs:
        return None
    first, relation, second = pairs[int(rng.integers(len(pairs)))]
    text = f"What is {relation} the object {_where(first)}?"
    return text, second.name, _confused_objects(second)


def _same_colour(scene: Scene, rng: np.random.Generator) -> Asked | None:
    pairs = list(itertools.combinations(scene.objects, 2))
    same = rng.random() < 0.5
    pairs = [(a, b) for a, b in pairs if (a.colour == b.colour) == same]
    if not pairs:
        return None
    first, second = pairs[int(rng.integers(len(pairs)))]
    text = f"Are the objects {_where(first)} and {_where(second)} the same color?"
    return _decided(text, same)


def _where_is(
    scene: Scene, rng: np.random.Generator, name: Callable[[SceneObject], str]
) -> Asked | None:
    item = _pick_alone(scene, rng, name)
    if item is None:
        return None
    near = [p for p in PLACES if p != item.place and set(p.split()) & set(item.place.split())]
    return f"Where is the {name(item)}?", item.place, tuple(near) or ("middle",)


def _where_is_colour(scene: Scene, rng: np.random.Generator) -> Asked | None:
    return _where_is(scene, rng, lambda o: f"{o.colour} object")


def _where_is_shape(scene: Scene, rng: np.random.Generator) -> Asked | None:
    return _where_is(scene, rng, lambda o: o.shape)


def _where_is_object(scene: Scene, rng: np.random.Generator) -> Asked | None:
    return _where_is(scene, rng, lambda o: o.name)


@dataclass(frozen=True)
class QuestionKind:
    """How often a kind of question is asked, and its wordings, which are equally likely."""

    weight: float
    wordings: tuple[Wording, ...]


QUESTION_KINDS = {
    "color": QuestionKind(1.0, (_background, _colour_at, _colour_at, _colour_of)),
    "shape": QuestionKind(1.0, (_shape_at, _shape_of)),
    "size": QuestionKind(0.5, (_size_at,)),
    "object": QuestionKind(1.0, (_object_at,)),
    "count": QuestionKind(1.0, (_count_all, _count_line, _count_shape, _count_colour)),
    "yes/no": QuestionKind(1.0, (_is_occupied, _is_large, _has_attribute, _has_object)),
    "relation": QuestionKind(1.0, (_neighbour, _neighbour, _same_colour)),
    "place": QuestionKind(0.5, (_where_is_colour, _where_is_shape, _where_is_object)),
}
