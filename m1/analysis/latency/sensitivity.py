"""E2: the effect of one knob on latency and quality, alone and over the whole grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from m1.analysis.cells import TimedCells, at_reference, single_knob_moves
from m1.analysis.draws.bootstrap import Resamples, ratio
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.draws.intervals import estimate
from m1.schemas.profile import STAGES
from m1.schemas.results import SensitivityPoint
from m1.schemas.settings import KNOBS, Knob, Setting


@dataclass(frozen=True)
class Move:
    """A move of one knob from the reference setting to another value, in every draw."""

    value: int
    """The knob's value."""
    latency_percent: Draws
    """Change of mean latency [n_draws]."""
    stage_percent: Draws
    """Change of each stage in percent of the reference setting's total [n_draws, n_stages]."""
    quality_percent: Draws | None
    """Change of mean quality [n_draws]. It is NaN in draws where the quality of the reference is
    zero, and `None` if there is no quality at all."""
    main_effect_percent: Draws
    """Change of mean latency, averaged over the settings of the other knobs [n_draws]."""


@dataclass(frozen=True)
class _Means:
    """Means of every setting in every draw, the reference in column 0."""

    total_ms: Draws
    stage_ms: Draws
    quality: Draws | None


def draw_moves(
    cells: TimedCells, resamples: Resamples, quality: Draws | None
) -> dict[Knob, tuple[Move, ...]]:
    """Move each knob to each of its values except the reference, largest first.

    Args:
        cells: the timed requests of E2.
        resamples: draws of their clusters.
        quality: mean quality of every setting in the same draws [n_draws, n_settings]; `None`
            if there is no quality.
    """
    stage_ms = [resamples.mean(stage, cells.images) for stage in cells.stage_ms]
    means = _Means(
        total_ms=resamples.mean(cells.total_ms, cells.images),
        stage_ms=np.stack(stage_ms, axis=2),
        quality=quality,
    )
    return {knob: _moves_of(knob, cells.settings, means) for knob in KNOBS}


def _moves_of(knob: Knob, settings: Sequence[Setting], means: _Means) -> tuple[Move, ...]:
    total_ms, stage_ms, quality = means.total_ms, means.stage_ms, means.quality
    return tuple(
        Move(
            value=value,
            latency_percent=_percent(total_ms[:, i], total_ms[:, 0]),
            stage_percent=100 * (stage_ms[:, i] - stage_ms[:, 0]) / total_ms[:, :1],
            quality_percent=None if quality is None else _percent(quality[:, i], quality[:, 0]),
            main_effect_percent=_main_effect(knob, value, settings, total_ms),
        )
        for value, i in single_knob_moves(settings, knob).items()
    )


def _main_effect(knob: Knob, value: int, settings: Sequence[Setting], total_ms: Draws) -> Draws:
    """The effect of a knob's value in percent, averaged over the settings of the other knobs.

    Each setting with this value is compared with the same setting with the knob at its reference.
    This is the main effect of a factorial design (Box, Hunter & Hunter 2005, chapter 5). If one
    setting of a pair could not be measured, the pair is left out.
    """
    places = {setting: i for i, setting in enumerate(settings)}
    pairs = [
        (i, places.get(at_reference(setting, knob, settings[0])))
        for setting, i in places.items()
        if getattr(setting, knob) == value
    ]
    moved = [i for i, other in pairs if other is not None]
    unmoved = [other for _, other in pairs if other is not None]
    return np.asarray(_percent(total_ms[:, moved], total_ms[:, unmoved]).mean(axis=1))


def _percent(new: Draws, old: Draws) -> Draws:
    return 100 * ratio(new - old, old)


def sensitivity_points(
    moves: Mapping[Knob, Sequence[Move]], confidence: Confidence
) -> dict[Knob, tuple[SensitivityPoint, ...]]:
    """The moves of every knob with their intervals."""
    return {
        knob: tuple(sensitivity_point(move, confidence) for move in own)
        for knob, own in moves.items()
    }


def sensitivity_point(move: Move, confidence: Confidence) -> SensitivityPoint:
    """A move with its intervals."""
    return SensitivityPoint(
        value=move.value,
        latency_change_percent=estimate(move.latency_percent, confidence),
        stage_change_percent={
            stage: estimate(move.stage_percent[:, i], confidence) for i, stage in enumerate(STAGES)
        },
        quality_change_percent=None
        if move.quality_percent is None
        else estimate(move.quality_percent, confidence),
        main_effect_percent=estimate(move.main_effect_percent, confidence),
    )
