"""Text from elsewhere is shown without control of the terminal and without secrets."""

import io
import re

import pytest
from import_graph import ROOT
from rich.progress import Progress, TextColumn
from rich.table import Table

from m1.errors import UserError, in_one_line
from m1.plain_text import address_below, plain, public_address, say, tell, without_secrets
from m1.terminal import Terminal

STEERING = "a\x1b[31mb\x07\x9b2Jc\u202egnp.exe\r\ud800"
WRITTEN_OUT = r"a\x1b[31mb\x07\x9b2Jc\u202egnp.exe\r\ud800"


def test_control_characters_are_written_out_and_all_else_stays() -> None:
    assert plain(STEERING) == WRITTEN_OUT
    for text in ("Où est\tle café?\n☕ 日本 עברית", r"a\b", "$x_1$", "👩\u200d🚀"):
        assert plain(text) == text


@pytest.mark.parametrize("text", ["[bold]a[/bold]", "[/]", "[link=file:///x]a[/link]", ":smile:"])
def test_a_terminal_prints_markup_as_it_stands_everywhere(text) -> None:
    page = io.StringIO()
    terminal = Terminal(file=page, width=200, force_terminal=True, color_system=None)
    table = Table(text, title=text)
    table.add_row(text + STEERING)
    terminal.print(text, table, style="bold")
    with Progress(TextColumn(text, markup=False), console=terminal) as bar:
        bar.add_task("")
        terminal.print(text)
    shown = page.getvalue()
    assert shown.count(text) >= 5
    assert WRITTEN_OUT in shown
    assert not set("\x07\x9b\u202e") & set(shown)


def test_lines_about_results_and_next_steps_are_plain(capsys) -> None:
    say(STEERING, "b")
    tell(f"{STEERING}\nb")
    assert capsys.readouterr() == (f"{WRITTEN_OUT}\nb\n", f"{WRITTEN_OUT} b\n")


def test_nothing_is_printed_in_another_way() -> None:
    """Other consoles read markup, and `print` does not remove escape sequences."""
    past = re.compile(r"(?<![\w.])(print|Console)\(")
    own = {f"m1/{name}.py" for name in ("plain_text", "terminal", "stopping", "cli")}
    files = (path for part in ("m1", "stages") for path in (ROOT / part).rglob("*.py"))
    found = {str(path.relative_to(ROOT)) for path in files if past.search(path.read_text())}
    assert found <= own


ADDRESSES = {
    "https://user:secret@host:8/a/b?token=secret#secret": "https://host:8/a/b",
    "http://secret@host/a": "http://host/a",
    "https://host/@a/b": "https://host/@a/b",
    "https://user:se/cret@host/a": "https://...",
    "https://user:12/cret@host/a": "https://...",
    "https://[::1]:80/a?X-Amz-Signature=secret": "https://[::1]:80/a",
    "https://[secret": "https://...",
}


@pytest.mark.parametrize(("address", "public"), ADDRESSES.items())
def test_an_address_is_shown_without_possible_secrets(address, public) -> None:
    assert public_address(address) == public
    for sentence in ("{}", "{}: no", "({}), see", 'fetch.coco_url = "{}": no', "a\nURL('{}')"):
        assert without_secrets(sentence.format(address)) == sentence.format(public)


@pytest.mark.parametrize("text", ["a: b", "see docs/a.md?", "user@host", "::", "knobs.top_k = [1]"])
def test_text_that_is_no_address_stays(text) -> None:
    assert without_secrets(text) == text


def test_a_token_goes_with_the_path_of_a_file() -> None:
    assert address_below("https://u:p@host/a/?token=b", "c/d") == "https://u:p@host/a/c/d?token=b"
    assert address_below("http://host", "c") == "http://host/c"
    with pytest.raises(ValueError, match="'se'"):
        address_below("http://user:se/cret@host", "c")


def test_an_error_is_one_plain_line_without_secrets(capsys) -> None:
    def command() -> None:
        raise UserError(f"{STEERING}\nhttps://user:secret@host/a?b=secret: no")

    with pytest.raises(SystemExit):
        in_one_line(command)()
    assert capsys.readouterr().err == f"error: {WRITTEN_OUT} https://host/a: no\n"
