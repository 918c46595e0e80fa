"""Files of the profile stage: a row for each measured request, and the record of the run."""

from m1.schemas.profile.interruptions import Interruption
from m1.schemas.profile.machine import GpuState, MachineState, Span
from m1.schemas.profile.provenance import LEAST_COMPILATIONS, Provenance, Quantisation
from m1.schemas.profile.rows import REPEATED, STAGES, ByStage, Experiment, MeasuredRequest, Stage
from m1.schemas.profile.run import FailedCell, ProfileRun, RuntimeAgreement, place_of
from m1.schemas.profile.validity import Check, Spoiled, Validity, Verdict
from m1.schemas.profile.work import CellWork, DeviceRates, StageWork

__all__ = [
    "LEAST_COMPILATIONS",
    "REPEATED",
    "STAGES",
    "ByStage",
    "CellWork",
    "Check",
    "DeviceRates",
    "Experiment",
    "FailedCell",
    "GpuState",
    "Interruption",
    "MachineState",
    "MeasuredRequest",
    "ProfileRun",
    "Provenance",
    "Quantisation",
    "RuntimeAgreement",
    "Span",
    "Spoiled",
    "Stage",
    "StageWork",
    "Validity",
    "Verdict",
    "place_of",
]
