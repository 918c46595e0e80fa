"""Latency and quality of every setting of a workload, in every draw."""

from dataclasses import dataclass

from m1.analysis.cells import ScoredCells, TimedCells, single_knob_moves
from m1.analysis.draws.bootstrap import Resamples, ratio
from m1.analysis.draws.confidence import Confidence, Draws
from m1.analysis.frontier.dominance import Indices, fastest_keeping, steepness
from m1.errors import UserError
from m1.params import LatencyStatistic
from m1.schemas.settings import Knob, Setting


class NoQualityError(UserError):
    """The answers at the reference setting have no quality, so there is no frontier to find."""


@dataclass(frozen=True)
class TradeOff:
    """Latency and quality of every setting in every draw."""

    settings: tuple[Setting, ...]
    """The settings, the reference first [n_settings]."""
    latency_ms: Draws
    """Latency by the chosen statistic [n_draws, n_settings]."""
    quality: Draws
    """Mean quality [n_draws, n_settings]."""
    cut_share: Draws
    """Share of outputs that were cut at the length limit [n_draws, n_settings]."""
    confidence: Confidence
    """Confidence of every interval."""

    @property
    def latency_fraction(self) -> Draws:
        """Latency as a fraction of the reference setting's in the same draw."""
        return self.latency_ms / self.latency_ms[:, :1]

    @property
    def quality_fraction(self) -> Draws:
        """Quality as a fraction of the reference setting's; NaN in draws where the latter is 0."""
        return ratio(self.quality, self.quality[:, :1])

    @property
    def steepness(self) -> Draws:
        """Share of quality lost per share of latency saved, reference to fastest [n_draws]."""
        return steepness(self.latency_fraction, self.quality_fraction)

    def best(self, level: float) -> Indices:
        """Index of the fastest setting that keeps a share of reference quality [n_draws]."""
        return fastest_keeping(level, self.latency_ms, self.quality_fraction)

    def moving(self, knob: Knob) -> "TradeOff":
        """Only the settings in which no other knob moves."""
        kept = [0, *single_knob_moves(self.settings, knob).values()]
        return TradeOff(
            settings=tuple(self.settings[i] for i in kept),
            latency_ms=self.latency_ms[:, kept],
            quality=self.quality[:, kept],
            cut_share=self.cut_share[:, kept],
            confidence=self.confidence,
        )


def draw_trade_off(
    timed: TimedCells,
    scored: ScoredCells,
    resamples: Resamples,
    statistic: LatencyStatistic,
) -> TradeOff:
    """Latency and quality of every setting in every draw.

    Args:
        timed: timed requests of one workload's E2.
        scored: scored requests of the same workload.
        resamples: draws of the clusters of both, from `draw_samples`.
        statistic: the statistic that is a setting's latency.

    Raises:
        NoQualityError: if the reference setting has no quality to compare with, either in the
            sample or in more resamples than an interval leaves out.
    """
    quality = resamples.mean(scored.quality, scored.images)
    if quality[0, 0] == 0:
        raise NoQualityError(
            f"Every {timed.workload} answer at the reference setting scores 0, so there is no "
            "quality to keep: look at the outputs (`m1 answers`), and at the prompt."
        )
    without = float((~(resamples.confidence.resampled(quality[:, 0]) > 0)).mean())
    if without > 1 - resamples.confidence.share:
        raise NoQualityError(
            f"So few {timed.workload} answers at the reference setting score at all that "
            f"{without:.0%} of resamples hold none of them, and there is no interval of what share "
            "of quality a setting keeps: raise quality.n_requests, or look at the outputs "
            "(`m1 answers`)."
        )
    return TradeOff(
        settings=timed.settings,
        latency_ms=resamples.mean(timed.total_ms, timed.images)
        if statistic == "mean"
        else resamples.quantile(timed.total_ms, timed.images, 0.5),
        quality=quality,
        cut_share=resamples.mean(scored.cut, scored.images),
        confidence=resamples.confidence,
    )
