"""The part of a tensor that decides how a model computes: its shape, and short tensors' values."""

from typing import Any

import torch
from torch import Tensor

# Grids and lengths: tensors whose values, not only shapes, decide how many features there are.
SHORT = 16
INTEGERS = (torch.int32, torch.int64)


def is_short(tensor: Tensor) -> bool:
    """Whether it is a grid or a list of lengths."""
    return tensor.dtype in INTEGERS and tensor.numel() <= SHORT


def shape_of(tensor: Tensor) -> tuple[Any, ...]:
    """Type and shape of a tensor, with the values of a short one; the host waits for those."""
    values = tensor.flatten().tolist() if is_short(tensor) else ()
    return tensor.dtype, *tensor.shape, *values
