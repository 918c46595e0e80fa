"""Explain in one line why another library failed, by the part of its message with the cause.

Libraries often announce a cause in the first line and give it in a later one. Some put whole
tracebacks into messages. Some raise another error, which hides the cause.
"""

import re
from collections.abc import Iterable, Iterator

LONGEST = 300
# If a message is cut, this share is for the cause. The rest is for the beginning of the message.
CAUSE_SHARE = 0.6
# If a text is cut, this share of the result is its beginning.
HEAD_SHARE = 0.6
CUT = " ... "
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK = "Traceback (most recent call last):"
# A frame of a traceback, and the marks below its code; the code itself is indented deeper.
FRAME = re.compile(r'( *)File ".*", line \d+')


def why(error: BaseException) -> str:
    """The cause of an error, in one line of bounded length.

    It is the error's own message. If the first error in its chain says more, its message is added.
    """
    first, *others = dict.fromkeys(_message(one) for one in chain(error))
    cause = others[-1] if others and others[-1] not in first else ""
    return _joined(first, cause, "{} ({})") if cause else first


def typed(error: BaseException) -> str:
    """The cause of an error after the name of its type, in one line of bounded length."""
    name, reason = type(error).__name__, why(error)
    return reason if reason.startswith(name) else _cut(f"{name}: {reason}", LONGEST)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and the errors that it was raised from, back to the first."""
    known: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in known:
        known.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def informative(text: str) -> str:
    """Shorten a message of several lines to one line, without tracebacks. The cause is kept.

    The cause follows the last line that ends in a colon. If there is no such line, the message
    begins with the cause.
    """
    lines = list(_distinct(_without_frames(ESCAPES.sub("", text).split("\n"))))
    whole = " ".join(lines)
    announced = [place for place, line in enumerate(lines[:-1], start=1) if line.endswith(":")]
    if len(whole) <= LONGEST or not announced:
        return _cut(whole, LONGEST)
    head, cause = " ".join(lines[: announced[-1]]), " ".join(lines[announced[-1] :])
    return _joined(head, cause, "{} {}")


def _joined(head: str, cause: str, form: str) -> str:
    """The beginning of a message, and the cause. Both are cut if there is not enough room."""
    room = LONGEST - len(form.format("", ""))
    cause = _cut(cause, max(int(room * CAUSE_SHARE), room - len(head)))
    return form.format(_cut(head, room - len(cause)), cause)


def _message(error: BaseException) -> str:
    """The message of an error. Its type is added if the message is not clear without it."""
    name, said = type(error).__name__, informative(str(error))
    if said and " " in said and not isinstance(error, KeyError):
        return said
    return f"{name}: {said}".removesuffix(": ")


def _without_frames(lines: list[str]) -> Iterator[str]:
    """Lines without the frames of tracebacks. The error at the end of a traceback stays."""
    depth: int | None = None  # of the frame that the lines are below
    for line in lines:
        if line.strip() == TRACEBACK:
            depth = 0
        elif frame := FRAME.match(line):
            depth = len(frame[1])
        elif depth is None or len(line) - len(line.lstrip()) <= depth:
            depth = None
            yield line


def _distinct(lines: Iterable[str]) -> Iterator[str]:
    """Lines without repeated or empty ones, and without blanks around them."""
    seen = ""
    for line in (" ".join(line.split()) for line in lines):
        if line not in seen:
            seen += f"{line}\n"
            yield line


def _cut(text: str, most: int) -> str:
    """A text without its middle if it is too long. A long sentence often ends with the cause."""
    if len(text) <= most:
        return text
    head = int((most - len(CUT)) * HEAD_SHARE)
    tail = most - len(CUT) - head
    return f"{text[:head]}{CUT}{text[len(text) - tail :]}"
