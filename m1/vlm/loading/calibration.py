"""Choose the active blocks. Some policies use the first requests to score the blocks."""

from collections.abc import Iterator

from torch import Tensor

from m1.params import KnobParams
from m1.prepared import Prepared
from m1.vlm.at_setting import AtSetting
from m1.vlm.loading.block_importance import with_block_policy
from m1.vlm.model import LoadedVlm


def calibrated(vlm: LoadedVlm, knobs: KnobParams, prepared: Prepared) -> LoadedVlm:
    """The model with its block policy. Blocks are scored only if the policy needs scores."""
    n = knobs.calibration_requests
    name = " ".join([str(n), *(one.fingerprint for one in prepared.values())])
    return with_block_policy(vlm, knobs, lambda: list(_encoded(vlm, prepared, n)), name)


def _encoded(vlm: LoadedVlm, prepared: Prepared, n: int) -> Iterator[dict[str, Tensor]]:
    """The first requests of each workload."""
    for one in prepared.values():
        for request in one.requests[:n]:
            yield AtSetting(vlm).encode_request(one, request)
