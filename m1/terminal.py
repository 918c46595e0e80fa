"""The only console. It prints every text as it is."""

from typing import Any

from rich.console import Console
from rich.text import Text

from m1.plain_text import plain


class Terminal(Console):
    """A console that reads no markup, no emoji and no escape sequence in a text.

    Styles are given apart from the text (`style=`, `Text.assemble`), never in it.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 (those of the library)
        """Take the options of a console that say where and how wide it prints."""
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 (those of the library)
        """What every text passes that is printed, also in the cells and titles of tables."""
        # A column may ask for markup of its own accord.
        return super().render_str(plain(text), **(options | {"markup": False, "emoji": False}))
