"""All sections of params.yaml, and the function that reads them."""

from collections.abc import Sequence
from pathlib import Path

from m1.params.analysis import AnalysisParams
from m1.params.data import DataParams, FetchParams
from m1.params.knobs import KnobParams
from m1.params.model import ModelParams
from m1.params.profile import ProfileParams, QualityParams
from m1.params.validity import ValidityParams
from m1.schemas.base import Record
from m1.yaml_text import read_yaml


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
    """The conditions of a valid run."""
    analysis: AnalysisParams
    """Statistics."""


def load_params(path: Path, changes: Sequence[str] = ()) -> Params:
    """Read params.yaml.

    Args:
        path: the file.
        changes: parameters to change, each a dotted key, `=` and a YAML value.

    Raises:
        UserError: naming each wrong key, its value and what is allowed.
    """
    return read_yaml(Params, path, changes)
