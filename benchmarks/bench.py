"""What benchmarks share: parameters, prepared requests, random numbers, whether it is a trial."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from m1.params import Params
from m1.prepared import Prepared, PreparedRequests
from m1.schemas.requests import WORKLOADS, Request, Workload
from m1.schemas.settings import Setting
from m1.vlm.at_setting import AtSetting
from m1.vlm.model import LoadedVlm
from m1.workloads.prepare import prepare

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Bench:
    """Everything that a benchmark needs."""

    params: Params
    """Parameters of the project."""
    prepared: Prepared
    """Requests of each workload."""
    quick: bool
    """Whether this is a trial: few measurements, so the results need not be accurate."""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    """Source of random orders and resamples."""

    @classmethod
    def set_up(cls, params: Params, folder: Path, quick: bool) -> Self:
        """Prepare the project's requests in a folder."""
        folders = {w: folder / w for w in WORKLOADS}
        prepared = {w: PreparedRequests(prepare(w, params.data, f), f) for w, f in folders.items()}
        return cls(params, prepared, quick)

    def n(self, whole: int) -> int:
        """A number of measurements: `whole`, or in a trial a tenth of it, but at least 3."""
        return max(3, whole // 10) if self.quick else whole

    def requests(self, workload: Workload, n: int) -> tuple[Request, ...]:
        """The first n requests of a workload."""
        return self.prepared[workload].requests[:n]

    def encoded(
        self, vlm: LoadedVlm, workload: Workload, request: Request, vision_tokens: int | None = None
    ) -> Inputs:
        """The inputs that the model gets for a request."""
        at = AtSetting(vlm, Setting(vision_tokens=vision_tokens))
        return at.encode_request(self.prepared[workload], request)
