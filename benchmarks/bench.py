"""What benchmarks share: parameters, requests made for them, random numbers, how long they take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from torch import Tensor

from m1.images import open_image
from m1.params import Params
from m1.schemas.requests import WORKLOADS, Request, RequestSet, Workload
from m1.vlm.encoding import encode
from m1.vlm.loaded import LoadedVlm
from m1.workloads.prepare import prepare

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Bench:
    """The workbench."""

    params: Params
    """Of the project."""
    sets: Mapping[Workload, RequestSet]
    """Requests of each workload."""
    folders: Mapping[Workload, Path]
    """Where their images are."""
    quick: bool
    """Whether numbers only have to be there, and need not be good."""
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    """Of orders and resamples."""

    @classmethod
    def set_up(cls, params: Params, folder: Path, quick: bool) -> Self:
        """Prepare the project's requests in a folder."""
        sets = {w: prepare(w, params.data, folder / w) for w in WORKLOADS}
        return cls(params, sets, {w: folder / w for w in WORKLOADS}, quick)

    def n(self, whole: int) -> int:
        """How many of something, by how many there are when numbers have to be good."""
        return max(3, whole // 10) if self.quick else whole

    def requests(self, workload: Workload, n: int) -> tuple[Request, ...]:
        """The first requests of a workload."""
        return self.sets[workload].requests[:n]

    def encoded(
        self, vlm: LoadedVlm, workload: Workload, request: Request, vision_tokens: int | None = None
    ) -> Inputs:
        """A request as the model gets it."""
        image = open_image(self.folders[workload], request.image)
        return encode(vlm, image, request.prompt, vision_tokens)
