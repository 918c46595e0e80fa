"""Generated scenes: two to five coloured shapes on a 3 x 3 grid of places, and their pictures.

A hash of its content puts a scene into one of two splits. So training and evaluation scenes never
overlap, whatever the seeds.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

Split = Literal["train", "evaluation"]

IMAGE_SIZE_PX = 96
CELL_PX = IMAGE_SIZE_PX // 3
OVERSAMPLING = 2
PIXEL_NOISE = 4.0
COLOUR_JITTER = 12
EVALUATION_SHARE = 0.1

PLACES = (
    "top left", "top", "top right",
    "left", "center", "right",
    "bottom left", "bottom", "bottom right",
)  # fmt: skip
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross")
SIZES = {"small": 7, "large": 12}
COLOURS = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 215),
    "yellow": (240, 215, 50),
    "purple": (140, 55, 175),
    "orange": (240, 135, 35),
}
BACKGROUNDS = {
    "white": (238, 238, 238),
    "gray": (128, 128, 128),
    "black": (22, 22, 22),
    "pink": (245, 185, 205),
}


@dataclass(frozen=True)
class SceneObject:
    """One shape: its words, and the position of its centre."""

    size: str
    colour: str
    shape: str
    place: str
    offset_px: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """Colour and shape, as in "red circle"."""
        return f"{self.colour} {self.shape}"

    @property
    def row(self) -> int:
        """Row of its place, 0 at the top."""
        return PLACES.index(self.place) // 3

    @property
    def column(self) -> int:
        """Column of its place, 0 at the left."""
        return PLACES.index(self.place) % 3


@dataclass(frozen=True)
class Scene:
    """A background and its objects in reading order."""

    background: str
    objects: tuple[SceneObject, ...]

    @property
    def split(self) -> Split:
        """The split of the scene, which its words decide."""
        words = [self.background, *(f"{o.size} {o.name} {o.place}" for o in self.objects)]
        digest = hashlib.sha256("|".join(words).encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        return "evaluation" if share < EVALUATION_SHARE else "train"

    def at(self, place: str) -> SceneObject | None:
        """The object at a place, if any."""
        return next((o for o in self.objects if o.place == place), None)


def draw_scene(rng: np.random.Generator, split: Split) -> Scene:
    """Draw a random scene of the given split."""
    while True:
        scene = _any_scene(rng)
        if scene.split == split:
            return scene


def _any_scene(rng: np.random.Generator) -> Scene:
    n_objects = int(rng.integers(2, 6))
    cells = sorted(int(cell) for cell in rng.choice(9, n_objects, replace=False))
    background = str(rng.choice(list(BACKGROUNDS)))
    return Scene(background, tuple(_any_object(rng, PLACES[cell]) for cell in cells))


def _any_object(rng: np.random.Generator, place: str) -> SceneObject:
    size = str(rng.choice(list(SIZES)))
    reach = CELL_PX // 2 - SIZES[size] - 1
    offset = (int(rng.integers(-reach, reach + 1)), int(rng.integers(-reach, reach + 1)))
    colour, shape = str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))
    return SceneObject(size, colour, shape, place, offset)


def render(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Paint a scene with slightly varying colours and pixel noise.

    Returns:
        An RGB image of `IMAGE_SIZE_PX` x `IMAGE_SIZE_PX`.
    """
    side = IMAGE_SIZE_PX * OVERSAMPLING
    canvas = Image.new("RGB", (side, side), _vary(BACKGROUNDS[scene.background], rng))
    draw = ImageDraw.Draw(canvas)
    for item in scene.objects:
        _paint(draw, item, _vary(COLOURS[item.colour], rng))
    pixels = np.asarray(canvas.reduce(OVERSAMPLING), dtype=np.float32)
    noisy = pixels + rng.normal(0.0, PIXEL_NOISE, pixels.shape).astype(np.float32)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _vary(colour: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, int, int]:
    shifted = np.array(colour) + rng.integers(-COLOUR_JITTER, COLOUR_JITTER + 1, 3)
    red, green, blue = (int(channel) for channel in shifted.clip(0, 255))
    return red, green, blue


def _paint(draw: ImageDraw.ImageDraw, item: SceneObject, colour: tuple[int, int, int]) -> None:
    x = (CELL_PX * item.column + CELL_PX // 2 + item.offset_px[0]) * OVERSAMPLING
    y = (CELL_PX * item.row + CELL_PX // 2 + item.offset_px[1]) * OVERSAMPLING
    radius = SIZES[item.size] * OVERSAMPLING
    if item.shape == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    outline = [(x + radius * dx, y + radius * dy) for dx, dy in OUTLINES[item.shape]]
    draw.polygon(outline, fill=colour)


def _star() -> list[tuple[float, float]]:
    radii = (1.05, 0.42) * 5
    angles = [math.pi * (step / 5 - 0.5) for step in range(10)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def _cross(arm: float = 0.33) -> list[tuple[float, float]]:
    corner = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
    turns = [corner]
    for _ in range(3):
        turns.append([(-dy, dx) for dx, dy in turns[-1]])
    return [point for turn in turns for point in turn]


OUTLINES: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "triangle": [(0.0, -1.0), (1.0, 0.85), (-1.0, 0.85)],
    "diamond": [(0.0, -1.05), (0.8, 0.0), (0.0, 1.05), (-0.8, 0.0)],
    "star": _star(),
    "cross": _cross(),
}
