"""The page that `dvc plots` fills, with the scripts that draw its charts inside.

DVC's own page loads the scripts over the network. DVC uses another page if `plots.html_template`
is set. `make install` writes this page, and sets it in `.dvc/config.local`.
"""

from pathlib import Path
from typing import Annotated

import typer

from m1.errors import run_command
from m1.files import written_together
from m1.pages.scripts import chart_scripts

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>M1: plots</title>
<style>
body { font-family: sans-serif; margin: 2em; }
body > div { margin-bottom: 3em; }
img { max-width: min(44em, 46vw); }
</style>
<script>{vega}</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def make_page() -> str:
    """The page, with DVC's `{plot_divs}` in the place of the charts."""
    return PAGE.replace("{vega}", chart_scripts())


def main(out: Annotated[Path, typer.Argument(help="Where the page goes.")]) -> None:
    """Write the page that `dvc plots` fills."""
    with written_together() as results:
        results.text(make_page(), out)


if __name__ == "__main__":
    run_command(main)
