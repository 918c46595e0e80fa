"""Make text from other sources safe to show: without control of the terminal, without secrets.

Names, answers and reasons come from models, data and servers. This module imports little, since
messages of every command go through it.
"""

import re
import sys
from urllib.parse import urlsplit, urlunsplit

# Control characters (except line break and tab), line separators, halves of characters, and marks
# that change the direction of writing, which can make a text look like another one.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# An address up to the next blank, and separately the punctuation of the sentence around it.
ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://\S*?)([\"'`),.:;\]}>]*)(?=\s|$)")
HIDDEN = "..."


def plain(text: str) -> str:
    r"""A text with whatever steers a terminal written out, as in `\x1b`."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def in_a_line(text: str) -> str:
    """A text for a message of one line."""
    return plain(" ".join(text.split("\n")))


def public_address(url: str) -> str:
    """An address without user, password, query and fragment, which may be secrets."""
    scheme, _, _ = url.partition("://")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is not a number, such as a part of a password
    except ValueError:
        return f"{scheme}://{HIDDEN}"
    _, at, host = parts.netloc.rpartition("@")
    # An unquoted slash in a password ends the part that is read as the host.
    if not at and ":" in host and "@" in parts.path:
        return f"{scheme}://{HIDDEN}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def address_below(folder: str, path: str) -> str:
    """The address of a file in a folder. A query of the folder, such as a token, is kept.

    Raises:
        ValueError: if the folder's address is not valid.
    """
    parts = urlsplit(folder)
    _ = parts.port  # raises ValueError if it is not a number
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


def without_secrets(text: str) -> str:
    """A text in which every address is a public one."""
    return ADDRESS.sub(lambda found: public_address(found[1]) + found[2], text)


def say(*texts: str) -> None:
    """Print results, a line each."""
    for text in texts:
        print(plain(text), flush=True)


def tell(text: str) -> None:
    """Print to stderr, at once, what a command is about to do."""
    print(in_a_line(text), file=sys.stderr, flush=True)
