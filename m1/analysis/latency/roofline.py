"""The time of each stage compared with its floor, by the roofline model.

A stage needs at least the time of its operations at the device's rate of matrix products. It also
needs at least the time of its bytes at the device's bandwidth (Williams, Waterman & Patterson 2009,
"Roofline: an insightful visual performance model for multicore architectures"). Rate and bandwidth
are measured in the same run.
"""

from collections.abc import Iterator

import numpy as np

from m1.analysis.cells import DECODE, TimedCells
from m1.analysis.draws.bootstrap import Resamples
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.draws.intervals import estimate
from m1.schemas.profile import STAGES, CellWork, DeviceRates, ProfileRun, Stage, StageWork
from m1.schemas.results.roofline import CellRoofline, StageRoofline

MS_PER_S = 1e3
PER_TERA = 1e12
PER_GIGA = 1e9


def make_roofline(
    cells: TimedCells, resamples: Resamples, run: ProfileRun
) -> tuple[CellRoofline, ...]:
    """Compare each stage with its floor, at every setting whose work was counted.

    Args:
        cells: the timed requests of one workload's E2.
        resamples: draws of their clusters.
        run: holds the device's rates, and the work of one request at each setting.
    """
    work = {one.setting: one for one in run.work if one.workload == cells.workload}
    return tuple(
        CellRoofline(
            setting=setting,
            label=setting.label,
            stages=dict(_stages(cells, i, resamples, work[setting], run.device_rates)),
        )
        for i, setting in enumerate(cells.settings)
        if setting in work
    )


def _stages(
    cells: TimedCells,
    setting: int,
    resamples: Resamples,
    work: CellWork,
    rates: DeviceRates,
) -> Iterator[tuple[Stage, StageRoofline]]:
    n_steps = resamples.mean(cells.n_decode_steps[:, [setting]], cells.images)[:, 0]
    for i, stage in enumerate(STAGES):
        mean_ms = resamples.mean(cells.stage_ms[i][:, [setting]], cells.images)[:, 0]
        if i == DECODE:
            if not n_steps.all():
                continue
            mean_ms = mean_ms / n_steps
        own = work.stages[stage]
        # A stage without work or without time cannot be compared with a floor.
        if any(own.model_dump().values()) and mean_ms.all():
            yield stage, stage_roofline(own, mean_ms, rates, resamples.confidence)


def stage_roofline(
    work: StageWork, mean_ms: Draws, rates: DeviceRates, confidence: Confidence
) -> StageRoofline:
    """Compare one stage with its floor.

    Args:
        work: the work of the stage.
        mean_ms: the mean time of the stage in every draw [n_draws].
        rates: the device's rates.
        confidence: confidence of every interval.
    """
    read_bytes = work.weight_bytes + work.cache_bytes
    operations_ms = work.operations / (rates.matrix_tflop_per_s * PER_TERA) * MS_PER_S
    bytes_ms = read_bytes / (rates.copy_gb_per_s * PER_GIGA) * MS_PER_S
    floor_ms = max(operations_ms, bytes_ms)
    measured = estimate(mean_ms, confidence)
    return StageRoofline(
        operations=work.operations,
        read_bytes=read_bytes,
        floor_ms=floor_ms,
        bound_by="operations" if operations_ms >= bytes_ms else "bytes",
        measured_ms=measured,
        over_floor=estimate(np.asarray(mean_ms / floor_ms), confidence),
        share_of_matrix_rate=operations_ms / measured.value,
        share_of_bandwidth=bytes_ms / measured.value,
    )
