"""What is measured once, beside the requests: work, the device's rates, agreement of runtimes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from m1.profiling.device_rates import measure_rates
from m1.profiling.runtime_agreement import agreement_of, compare_runtimes
from m1.profiling.work import count_work
from m1.schemas.profile import CellWork, DeviceRates, RuntimeAgreement
from m1.schemas.requests import WORKLOADS, RequestSet, Workload
from m1.schemas.settings import Setting
from m1.vlm.compiled import CompiledRuntime
from m1.vlm.encoding import encode
from m1.vlm.images import open_image
from m1.vlm.knobs import applied
from m1.vlm.loaded import LoadedVlm
from m1.vlm.structure import KnobState

# Tokens on which the runtimes are compared, at every state of the knobs.
N_COMPARED = 16


@dataclass(frozen=True)
class Facts:
    """What is measured once in a run."""

    device_rates: DeviceRates
    """What the device can do."""
    work: tuple[CellWork, ...]
    """The work of one request in each cell of E2."""
    runtime_agreement: RuntimeAgreement | None
    """Compiled against eager tokens; none in the eager runtime."""


def gather_facts(
    vlm: LoadedVlm,
    sets: Mapping[Workload, RequestSet],
    folders: Mapping[Workload, Path],
    grid: Sequence[Setting],
) -> Facts:
    """Measure the device, count the work of each cell, compare the runtimes.

    Args:
        vlm: the model.
        sets: requests, of which each workload's first is taken.
        folders: where each workload's images are.
        grid: all settings.
    """
    firsts = {w: _First(vlm, sets[w], folders[w]) for w in WORKLOADS}
    compiled = isinstance(vlm.runtime, CompiledRuntime)
    return Facts(
        device_rates=measure_rates(vlm.device, vlm.model.dtype),
        work=tuple(firsts[w].work(setting) for setting in grid for w in WORKLOADS),
        runtime_agreement=_agreement(firsts["captioning"], grid) if compiled else None,
    )


@dataclass(frozen=True)
class _First:
    """The first request of a workload."""

    vlm: LoadedVlm
    requests: RequestSet
    folder: Path

    def inputs(self, setting: Setting) -> dict[str, Tensor]:
        """Encoded for a setting."""
        request = self.requests.requests[0]
        image = open_image(self.folder / request.image)
        return encode(self.vlm, image, request.prompt, setting.vision_tokens)

    def work(self, setting: Setting) -> CellWork:
        """Its work at a setting."""
        inputs = self.inputs(setting)
        with applied(self.vlm.structure, setting):
            stages = count_work(self.vlm, inputs)
        return CellWork(
            workload=self.requests.workload,
            request_id=self.requests.requests[0].request_id,
            setting=setting,
            stages=stages,
        )


def _agreement(first: _First, grid: Sequence[Setting]) -> RuntimeAgreement:
    """Compare once in each state of the knobs: visual tokens are no matter of decode steps."""
    compared: dict[KnobState, tuple[Tensor, Tensor]] = {}
    for setting in grid:
        inputs = first.inputs(setting)
        with applied(first.vlm.structure, setting):
            state = first.vlm.structure.state
            if state not in compared:
                compared[state] = compare_runtimes(first.vlm, inputs, N_COMPARED)
    return agreement_of(list(compared.values()))
