"""The cell of a request: what is measured together, in many requests and trials."""

from typing import NamedTuple

from m1.schemas.profile import Experiment, MeasuredRequest
from m1.schemas.requests import Workload
from m1.schemas.settings import KNOBS, DecodeMode, Setting


class Cell(NamedTuple):
    """An experiment on one workload at one setting, in one decode mode."""

    experiment: Experiment
    workload: Workload
    setting: Setting
    decode_mode: DecodeMode

    @classmethod
    def of(cls, row: MeasuredRequest) -> "Cell":
        """The cell of a measured request."""
        setting = Setting(**{knob: getattr(row, knob) for knob in KNOBS})
        return cls(row.experiment, row.workload, setting, row.decode_mode)
