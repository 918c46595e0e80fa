"""E2: split a change of decode time into a change of length and a change of speed.

Mean decode time is the mean number of steps times the time per step. The change of each factor is
weighted by the mean of the other factor over both settings (Kitagawa 1955, "Components of a
difference between two rates"). For two factors this is the Shapley value. The parts sum to the
whole change. The order of the two settings makes no difference.
"""

from dataclasses import dataclass

import numpy as np

from m1.analysis.cells import DECODE, TimedCells, single_knob_moves
from m1.analysis.draws.bootstrap import Resamples, ratio
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.draws.intervals import estimate, estimate_if_defined, is_defined
from m1.schemas.results.decode import DecodeParts, DecodeSplit, DecodeSplits
from m1.schemas.settings import KNOBS, Setting


@dataclass(frozen=True)
class DecodeDraws:
    """Decode of every setting in every draw, the reference in column 0."""

    n_steps: Draws
    """Mean decode steps of a request [n_draws, n_settings]."""
    decode_ms: Draws
    """Mean decode time of a request [n_draws, n_settings]."""

    @property
    def ms_per_step(self) -> Draws:
        """Time of a step; NaN for a setting without steps [n_draws, n_settings]."""
        return ratio(self.decode_ms, self.n_steps)

    @property
    def change_ms(self) -> Draws:
        """Change of decode time from the reference setting [n_draws, n_settings]."""
        return self.decode_ms - self.decode_ms[:, :1]

    @property
    def length_ms(self) -> Draws:
        """The part of the change that comes from more or fewer steps.

        Each step counts with the mean time per step of both settings. A setting without steps has
        no time per step; then the other setting's time counts.
        """
        here, reference = np.broadcast_arrays(self.ms_per_step, self.ms_per_step[:, :1])
        both = np.where(np.isnan(here), reference, here) + np.where(
            np.isnan(reference), here, reference
        )
        further = self.n_steps - self.n_steps[:, :1]
        return np.asarray(np.where(further == 0, 0.0, further * both / 2))

    @property
    def speed_ms(self) -> Draws:
        """The rest of the change: the time of a step changes, at the mean number of steps."""
        return self.change_ms - self.length_ms

    @property
    def in_percent(self) -> Draws:
        """One millisecond in percent of the reference's decode; NaN without steps [n_draws]."""
        decodes = self.n_steps[:, 0] > 0
        unknown = np.full(len(decodes), np.nan)
        return np.asarray(np.divide(100.0, self.decode_ms[:, 0], out=unknown, where=decodes))


def split_decode(cells: TimedCells, resamples: Resamples) -> DecodeSplits:
    """Split the change of decode time from the reference setting to every other one.

    Args:
        cells: the timed requests of one workload's E2.
        resamples: draws of their clusters.
    """
    confidence = resamples.confidence
    draws = DecodeDraws(
        n_steps=resamples.mean(cells.n_decode_steps, cells.images),
        decode_ms=resamples.mean(cells.stage_ms[DECODE], cells.images),
    )
    splits = {i: _split(draws, i, s, confidence) for i, s in enumerate(cells.settings) if i}
    return DecodeSplits(
        reference_n_steps=estimate(draws.n_steps[:, 0], confidence),
        reference_ms_per_step=estimate_if_defined(draws.ms_per_step[:, 0], confidence),
        settings=tuple(splits.values()),
        knobs={
            knob: tuple(splits[i] for i in single_knob_moves(cells.settings, knob).values())
            for knob in KNOBS
        },
    )


def _split(draws: DecodeDraws, i: int, setting: Setting, confidence: Confidence) -> DecodeSplit:
    parts = (draws.change_ms[:, i], draws.length_ms[:, i], draws.speed_ms[:, i])
    percents = tuple(part * draws.in_percent for part in parts)
    return DecodeSplit(
        setting=setting,
        label=setting.label,
        n_steps=estimate(draws.n_steps[:, i], confidence),
        ms_per_step=estimate_if_defined(draws.ms_per_step[:, i], confidence),
        ms=_parts(parts, confidence),
        percent=_parts(percents, confidence) if is_defined(percents[0], confidence) else None,
    )


def _parts(draws: tuple[Draws, ...], confidence: Confidence) -> DecodeParts:
    change, length, speed = (estimate(part, confidence) for part in draws)
    return DecodeParts(change=change, length=length, speed=speed)
