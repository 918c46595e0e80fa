"""Pages from Jinja2 templates, in which whatever is filled in shows as text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from m1.pages.texts import visible


def render(template: Path, content: Mapping[str, Any]) -> str:
    """Fill a template, which may include files beside it.

    Args:
        template: a Jinja2 file.
        content: what it names. Texts are escaped, but for `Markup`.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(content)


def _finalize(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
