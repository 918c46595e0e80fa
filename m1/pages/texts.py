"""Texts of any content, as one can look at them."""

# No letters, but words of some languages and many emoji are not the same without these.
KEPT = "\n\u200c\u200d\u00a0\u3000"


def visible(text: str) -> str:
    """A text in which characters that show nothing, or turn lines around, are escaped."""
    return "".join(c if c.isprintable() or c in KEPT else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
