"""All sections of params.yaml, and how it is read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from m1.errors import UserError
from m1.params.analysis import AnalysisParams
from m1.params.data import DataParams
from m1.params.fetch import FetchParams
from m1.params.knobs import KnobParams
from m1.params.model import ModelParams
from m1.params.profile import ProfileParams
from m1.params.quality import QualityParams
from m1.params.validity import ValidityParams
from m1.schemas.base import Record, describe


class Params(Record):
    """All of params.yaml."""

    data: DataParams
    """Requests."""
    fetch: FetchParams
    """Downloads."""
    model: ModelParams
    """The model under study."""
    knobs: KnobParams
    """The grid."""
    profile: ProfileParams
    """Measurement."""
    quality: QualityParams
    """Answers."""
    validity: ValidityParams
    """What makes a run valid."""
    analysis: AnalysisParams
    """Statistics."""


def load_params(path: Path, changes: Sequence[str] = ()) -> Params:
    """Read params.yaml.

    Args:
        path: the file.
        changes: parameters to change, each a dotted key, `=` and a YAML value.

    Raises:
        UserError: naming the key, its value and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: cannot be read ({reason})") from None
    try:
        raw = yaml.safe_load(text)
        for change in changes:
            _set(raw, change)
        # YAML turns what looks like a date into one; as text the model names the key it is under.
        return Params.model_validate_json(json.dumps(raw, default=str))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except (ValidationError, TypeError) as error:
        raise UserError(f"{path}: {describe(error)}") from None


def _set(raw: Any, change: str) -> None:  # noqa: ANN401 (whatever YAML holds)
    """Change one parameter; strict validation tells what does not exist."""
    key, equals, value = change.partition("=")
    *sections, name = key.split(".")
    for section in sections:
        raw = raw.get(section) if isinstance(raw, dict) else None
    if not equals or not isinstance(raw, dict):
        raise UserError(f"--set {change}: give section.key=value, such as model.device=cuda")
    raw[name] = yaml.safe_load(value)
