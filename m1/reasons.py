"""Why another library failed, told in one line: the part of its message that holds the cause.

Libraries announce a cause in the first line and give it in a later one, put whole tracebacks into
messages, or raise an error of their own over the one that tells.
"""

import re
from collections.abc import Iterable, Iterator

LONGEST = 300
# Of what is cut, so much is left for the cause; the rest is for how the message begins.
CAUSE_SHARE = 0.6
# Of a text that is cut, so much of what is left is its beginning.
HEAD_SHARE = 0.6
CUT = " ... "
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK = "Traceback (most recent call last):"
# A frame of a traceback, and the marks below its code; the code itself is indented deeper.
FRAME = re.compile(r'( *)File ".*", line \d+')


def why(error: BaseException) -> str:
    """The cause of an error, in one line of bounded length.

    The message of the error itself, and that of the first error in its chain where it says more.
    """
    first, *others = dict.fromkeys(_message(one) for one in chain(error))
    cause = others[-1] if others and others[-1] not in first else ""
    return _joined(first, cause, "{} ({})") if cause else first


def typed(error: BaseException) -> str:
    """The cause of an error after the name of its type, in one line of bounded length."""
    name, reason = type(error).__name__, why(error)
    return reason if reason.startswith(name) else _cut(f"{name}: {reason}", LONGEST)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised over, back to the first."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)


def informative(text: str) -> str:
    """A message of several lines as one of bounded length, without tracebacks, the cause kept.

    A cause follows the last line that ends in a colon; where there is none, the message begins
    with it.
    """
    lines = list(_distinct(_without_frames(ESCAPES.sub("", text).split("\n"))))
    whole = " ".join(lines)
    announced = [place for place, line in enumerate(lines[:-1], start=1) if line.endswith(":")]
    if len(whole) <= LONGEST or not announced:
        return _cut(whole, LONGEST)
    head, cause = " ".join(lines[: announced[-1]]), " ".join(lines[announced[-1] :])
    return _joined(head, cause, "{} {}")


def _joined(head: str, cause: str, form: str) -> str:
    """How a message begins, and the cause; of either so much as there is room for."""
    room = LONGEST - len(form.format("", ""))
    cause = _cut(cause, max(int(room * CAUSE_SHARE), room - len(head)))
    return form.format(_cut(head, room - len(cause)), cause)


def _message(error: BaseException) -> str:
    """What an error says; its type, too, where that alone tells what is meant."""
    name, said = type(error).__name__, informative(str(error))
    if said and " " in said and not isinstance(error, KeyError):
        return said
    return f"{name}: {said}".removesuffix(": ")


def _without_frames(lines: list[str]) -> Iterator[str]:
    """Lines without those of tracebacks that lead to an error; the error itself stays."""
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
    """Lines with something in them that no line before has, without blanks around them."""
    seen = ""
    for line in (" ".join(line.split()) for line in lines):
        if line not in seen:
            seen += f"{line}\n"
            yield line


def _cut(text: str, most: int) -> str:
    """A text without its middle where it is too long: a long sentence often ends in the cause."""
    if len(text) <= most:
        return text
    head = int((most - len(CUT)) * HEAD_SHARE)
    tail = most - len(CUT) - head
    return f"{text[:head]}{CUT}{text[len(text) - tail :]}"
