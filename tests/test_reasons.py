"""The part of another library's message that names the cause, in one line."""

import json

import pytest

from m1.reasons import LONGEST, informative, typed, why

TRACE = """Traceback (most recent call last):
  File "/lib/loading.py", line 12, in convert
    collected = op.convert(
                ^^^^^^^^^^^
  File "/lib/stack.py", line 3, in stack
    merged = torch.stack(tensors)
RuntimeError: stack expects each tensor to be equal size"""
SIZES = "size mismatch for a.weight: copying a param with shape [3] where [4] is"


def raised_over(first: Exception, second: Exception, *, from_it: bool) -> Exception:
    try:
        try:
            raise first
        except Exception as error:
            if from_it:
                raise second from error
            raise second  # noqa: B904 (as libraries do)
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (f"Error(s) in loading state_dict for Llava:\n\t{SIZES}", SIZES),
        ("\n\nClip needs Torchvision.\n\nInstall it.\n", "Clip needs Torchvision. Install it."),
        ("It failed. Original error: \n  no GPU", "It failed. Original error: no GPU"),
        (f"It failed:\n{TRACE}\nNo more.", "RuntimeError: stack expects each tensor to be equal"),
        ("\x1b[1mbold\x1b[0m words", "bold words"),
    ],
    ids=["state dict", "empty first lines", "original error", "traceback", "colours"],
)
def test_the_cause_is_reported_wherever_it_stands(message, told) -> None:
    reason = why(RuntimeError(message))
    assert told in reason
    assert "\n" not in reason
    assert "File" not in reason
    assert "^" not in reason


def test_a_long_message_keeps_the_cause_that_it_announces() -> None:
    names = ", ".join(f"layers.{i}.weight" for i in range(100))
    reason = informative(f"Loading failed, with {names}\nbecause of:\nno room on the disk")
    assert len(reason) <= LONGEST
    assert reason.startswith("Loading failed, with layers.0.weight")
    assert reason.endswith(" no room on the disk")


def test_a_long_sentence_is_cut_in_its_middle() -> None:
    reason = informative(f"Can't load it. {'Maybe you are offline. ' * 50}It has no config.json")
    assert len(reason) == LONGEST
    assert reason.startswith("Can't load it.")
    assert " ... " in reason
    assert reason.endswith("It has no config.json")


@pytest.mark.parametrize("from_it", [True, False])
def test_the_first_error_of_a_chain_is_reported_too(from_it) -> None:
    broken = json.JSONDecodeError("Expecting value", "{", 1)
    error = raised_over(broken, OSError("a.json is not valid " + "x" * 400), from_it=from_it)
    assert why(error).startswith("a.json is not valid")
    assert why(error).endswith(" (Expecting value: line 1 column 2 (char 1))")
    assert len(why(error)) <= LONGEST
    same = raised_over(broken, OSError(f"a.json: {broken}"), from_it=from_it)
    assert why(same) == f"a.json: {broken}"


def test_an_error_that_hides_another_is_reported_alone() -> None:
    def fail() -> None:
        try:
            raise KeyError("inner")
        except KeyError:
            raise ValueError("the outer one") from None

    with pytest.raises(ValueError, match="outer") as caught:
        fail()
    assert why(caught.value) == "the outer one"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("llava"), "KeyError: 'llava'"),
        (IndexError(), "IndexError"),
        (NotImplementedError("float8"), "NotImplementedError: float8"),
    ],
)
def test_a_message_that_says_nothing_alone_has_its_type(error, told) -> None:
    assert why(error) == typed(error) == told


def test_the_type_can_be_given_for_every_error() -> None:
    assert typed(ValueError("no such thing")) == "ValueError: no such thing"
    assert len(typed(ValueError("word " * 200))) <= LONGEST
