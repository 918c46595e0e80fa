"""Scored outputs as one HTML page with the pictures: no network, no script, of bounded size."""

import base64
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from html import escape
from pathlib import Path

from m1.files import write_text
from m1.images import open_image
from m1.pages.render import render
from m1.schemas.requests import Request
from m1.show.cards import Card, heading, readable
from m1.show.chosen import Chosen
from m1.show.scored import ScoredOutputs

TEMPLATE = Path(__file__).with_name("answers_page.html.jinja")
LONGEST_SIDE = 384
QUALITY = 80
# Browsers open such a page at once, and mail takes it.
MOST_BYTES = 20_000_000
MARKUP_BYTES = 1000


@dataclass(frozen=True)
class EmbeddedPicture:
    """A thumbnail."""

    base64: str
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """The outputs of a workload that fit on the page."""

    heading: str
    note: str
    """A note on outputs that are left out; empty if there are none."""
    cards: list[tuple[EmbeddedPicture, Card]]


def write_answers_page(chosen: Sequence[Chosen], place: Path) -> str:
    """Write the page.

    Returns:
        A line about the contents of the page.

    Raises:
        UserError: if it cannot be written.
    """
    sections = [_section_of(one, MOST_BYTES // len(chosen)) for one in chosen]
    made = chosen[0].outputs.made
    content = {"model": readable(made.model), "made": made, "sections": sections}
    page = render(TEMPLATE, content)
    write_text(page, place)
    n_cards = sum(len(section.cards) for section in sections)
    of = sum(len(one.answered) for one in chosen)
    return f"{place}: {n_cards} of {of} requests, {len(page.encode()) / 1e6:.1f} MB"


def _section_of(chosen: Chosen, most_bytes: int) -> Section:
    """As many requests as fit into a number of bytes."""
    cards: list[tuple[EmbeddedPicture, Card]] = []
    left = most_bytes
    for one in chosen.answered:
        entry = thumbnail(chosen.outputs, one.request), Card.of(one)
        left -= n_bytes(*entry)
        if left < 0:
            break
        cards.append(entry)
    n_shown, asked = len(cards), len(chosen.answered)
    note = ""
    if n_shown < asked:
        note = f"The first {n_shown:,} of these are here: the page has no room for more."
    return Section(heading(chosen), note, cards)


def n_bytes(picture: EmbeddedPicture, card: Card) -> int:
    """The approximate size of a request on the page, in bytes."""
    texts = escape("".join(map(str, astuple(card)))).encode()
    return len(picture.base64) + len(texts) + MARKUP_BYTES * (1 + len(card.outputs))


def thumbnail(outputs: ScoredOutputs, request: Request) -> EmbeddedPicture:
    """The picture of a request, made small."""
    image = open_image(outputs.folder, request.image)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY)
    return EmbeddedPicture(base64.b64encode(content.getvalue()).decode(), *image.size)
