"""How fast and how good every setting of a workload is, in every draw."""

from dataclasses import dataclass

import numpy as np

from m1.analysis.bootstrap import Draws, Resamples, weighted_mean, weighted_quantile
from m1.analysis.cells import Cells
from m1.analysis.dominance import Indices, fastest_keeping, steepness
from m1.analysis.sensitivity import single_knob_moves
from m1.errors import UserError
from m1.schemas.settings import Knob, Setting


@dataclass(frozen=True)
class TradeOff:
    """How fast and how good every setting is in every draw."""

    settings: tuple[Setting, ...]
    """The settings, the reference first [n_settings]."""
    latency_ms: Draws
    """Latency by the chosen statistic [n_draws, n_settings]."""
    quality: Draws
    """Mean quality [n_draws, n_settings]."""

    @property
    def latency_fraction(self) -> Draws:
        """Latency as a fraction of the reference setting's in the same draw."""
        return self.latency_ms / self.latency_ms[:, :1]

    @property
    def quality_fraction(self) -> Draws:
        """Quality as a fraction of the reference setting's; NaN in draws where that has none."""
        reference = self.quality[:, :1]
        unknown = np.full_like(self.quality, np.nan)
        return np.divide(self.quality, reference, out=unknown, where=reference > 0)

    @property
    def steepness(self) -> Draws:
        """Share of quality lost per share of latency saved along the frontier [n_draws]."""
        return steepness(self.latency_fraction, self.quality_fraction)

    def best(self, level: float) -> Indices:
        """Index of the fastest setting that keeps a share of reference quality [n_draws]."""
        return fastest_keeping(level, self.latency_ms, self.quality_fraction)

    def moving(self, knob: Knob) -> "TradeOff":
        """Only the settings in which no other knob moves."""
        kept = [0, *single_knob_moves(self.settings, knob).values()]
        settings = tuple(self.settings[i] for i in kept)
        return TradeOff(settings, self.latency_ms[:, kept], self.quality[:, kept])


def draw_trade_off(cells: Cells, resamples: Resamples, statistic: str) -> TradeOff:
    """Latency and quality of every setting in every draw.

    Args:
        cells: E2 of the workload.
        resamples: its images.
        statistic: `median` or `mean` of latency.

    Raises:
        UserError: if the reference setting has no quality to compare with.
    """
    weights = resamples.weights(cells.images)
    quality = weighted_mean(cells.quality, weights)
    if quality[0, 0] == 0:
        raise UserError(
            f"{cells.workload}: every answer at the reference setting scores 0, so there is no "
            "quality to keep: look at `output_text` in the profile rows, and at the prompt"
        )
    if statistic == "mean":
        return TradeOff(cells.settings, weighted_mean(cells.total_ms, weights), quality)
    medians = [weighted_quantile(column, weights, 0.5) for column in cells.total_ms.T]
    return TradeOff(cells.settings, np.stack(medians, axis=1), quality)
