"""Pages from Jinja2 templates. All content is shown as text, never as markup."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from m1.plain_text import plain


def render(template: Path, content: Mapping[str, Any]) -> str:
    """Fill a template, which may include files beside it.

    Args:
        template: a Jinja2 file.
        content: values for the names in the template. Texts are escaped, except `Markup`.
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
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
