"""Facts about a run: work, the device's rates, agreement of runtimes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from torch import Tensor

from m1.errors import UserError
from m1.plain_text import tell
from m1.prepared import Prepared, PreparedRequests
from m1.profiling.facts.device_rates import measure_rates
from m1.profiling.facts.runtime_comparison import Compared, agreement_of, compare_runtimes
from m1.profiling.facts.work import count_work
from m1.profiling.measured_cells import release_memory
from m1.reasons import typed
from m1.schemas.profile import CellWork, DeviceRates, RuntimeAgreement
from m1.schemas.requests import WORKLOADS
from m1.schemas.settings import NATIVE, Setting
from m1.stopping import check_not_asked
from m1.vlm.at_setting import AtSetting
from m1.vlm.model import LoadedVlm
from m1.vlm.runtime.compiled import CompiledRuntime
from m1.vlm.structure import KnobState

# Number of tokens on which the runtimes are compared, at every state of the knobs.
N_COMPARED = 16

T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """Facts that are measured once in a run."""

    device_rates: DeviceRates
    """The device's rates."""
    work: tuple[CellWork, ...]
    """The work of one request in each cell of E2. Cells that fail are left out."""
    runtime_agreement: RuntimeAgreement | None
    """Comparison of compiled and eager runtime; `None` if the run uses the eager runtime."""


def gather_facts(
    vlm: LoadedVlm,
    prepared: Prepared,
    grid: Sequence[Setting],
    agreement: RuntimeAgreement | None = None,
) -> Facts:
    """Measure the device, and count the work of each cell.

    Args:
        vlm: the model.
        prepared: the requests of each workload; only the first one is used.
        grid: all settings.
        agreement: the comparison of the runtimes, if there is one.
    """
    firsts = {w: _First(vlm, prepared[w]) for w in WORKLOADS}
    tell(f"counting the work of {len(grid) * len(WORKLOADS)} cells")
    counted = [
        tried(partial(firsts[w].work, setting), f"work of {w} {setting.label}")
        for setting in grid
        for w in WORKLOADS
    ]
    tell(f"measuring the rates of {vlm.device}")
    rates = measure_rates(vlm.device, vlm.model.dtype)
    return Facts(
        device_rates=rates,
        work=tuple(work for work in counted if work),
        runtime_agreement=agreement,
    )


def compare_with_eager(
    vlm: LoadedVlm, prepared: Prepared, grid: Sequence[Setting]
) -> RuntimeAgreement | None:
    """Compare the compiled runtime of this process with the eager one; `None` in the eager runtime.

    Args:
        vlm: the model.
        prepared: the requests of each workload; only the first caption is used.
        grid: all settings.
    """
    if not isinstance(vlm.runtime, CompiledRuntime):
        return None
    return _agreement(_First(vlm, prepared["captioning"]), (*grid, NATIVE))


def tried(fact: Callable[[], T], name: str) -> T | None:
    """A fact; `None` if it cannot be found. The run continues, as it does after cells that fail.

    Raises:
        UserError: if the cause is a mistake of the user.
    """
    try:
        return fact()
    except UserError:
        raise
    except Exception as error:  # models and libraries raise almost anything
        check_not_asked()
        tell(f"{name} not known: {typed(error)}")
    # Memory can be freed only here: the error and the tensors in its frames no longer exist.
    release_memory()
    return None


@dataclass(frozen=True)
class _First:
    """The first request of a workload."""

    vlm: LoadedVlm
    prepared: PreparedRequests

    def inputs(self, setting: Setting) -> dict[str, Tensor]:
        """The request encoded for a setting."""
        first = self.prepared.requests[0]
        return AtSetting(self.vlm, setting).encode_request(self.prepared, first)

    def work(self, setting: Setting) -> CellWork:
        """The work of the request at a setting."""
        inputs = self.inputs(setting)
        with AtSetting(self.vlm, setting).turned():
            stages = count_work(self.vlm, inputs)
        return CellWork(
            workload=self.prepared.record.workload,
            request_id=self.prepared.requests[0].request_id,
            setting=setting,
            stages=stages,
        )


def _agreement(first: _First, grid: Sequence[Setting]) -> RuntimeAgreement:
    """Compare once per state of the other knobs: visual tokens do not change decode steps."""
    tell("comparing the compiled runtime with the eager one")
    compared: dict[KnobState, Compared | None] = {}
    for setting in grid:
        inputs = first.inputs(setting)
        with AtSetting(first.vlm, setting).turned():
            state = first.vlm.structure.state
            if state not in compared:
                compare = partial(compare_runtimes, first.vlm, inputs, N_COMPARED)
                compared[state] = tried(compare, f"agreement of runtimes at {setting.label}")
    return agreement_of([answers for answers in compared.values() if answers])
