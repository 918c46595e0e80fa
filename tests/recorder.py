"""A stand-in for a GPU that records kernels: a replay runs the recorded function again."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.utils import _pytree as pytree


class Recorder:
    """Does what a GPU would: replays read the recorded input, and write the recorded output."""

    def __init__(self, refuses: Callable[[int], Exception | None] = lambda _: None) -> None:
        self.n_recorded, self.n_replayed, self.refuses = 0, 0, refuses
        self.replaying = False

    def __call__(
        self, run: Callable[[], object], counts: Sequence[Tensor]
    ) -> tuple[Callable[[], None], object]:
        self.n_recorded += 1
        if error := self.refuses(self.n_recorded):
            raise error
        before = [count.clone() for count in counts]
        result = run()
        for count, value in zip(counts, before, strict=True):
            count.copy_(value)

        def replay() -> None:
            self.n_replayed += 1
            self.replaying = True
            for old, new in zip(tensors(result), tensors(run()), strict=True):
                old.copy_(new)
            self.replaying = False

        # Recording computes nothing that could be used.
        for tensor in tensors(result):
            tensor.zero_()
        return replay, result


def tensors(value: object) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]
