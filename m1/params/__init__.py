"""The strict, frozen model of params.yaml, a module for each section."""

from m1.params.analysis import AnalysisParams, EffectKind, LatencyStatistic
from m1.params.data import CaptioningData, DataParams, FetchParams, SceneData, WorkloadData
from m1.params.knobs import KnobParams
from m1.params.load import Params, load_params
from m1.params.model import ModelParams
from m1.params.numbers import PerWorkload
from m1.params.profile import ProfileParams, QualityParams, effective_decode_mode, why_no_answers
from m1.params.validity import ValidityParams

__all__ = [
    "AnalysisParams",
    "CaptioningData",
    "DataParams",
    "EffectKind",
    "FetchParams",
    "KnobParams",
    "LatencyStatistic",
    "ModelParams",
    "Params",
    "PerWorkload",
    "ProfileParams",
    "QualityParams",
    "SceneData",
    "ValidityParams",
    "WorkloadData",
    "effective_decode_mode",
    "load_params",
    "why_no_answers",
]
