"""Advice fits the cause: a missing compiler gives no advice to free memory."""

import re

import pytest
import torch

from m1.vlm.advice import advice_on
from m1.vlm.engine import NotFiniteError

CAPTURE = "CUDA error: operation not permitted when stream is capturing\nSearch for `cudaError...'"
COMPILER = (
    "backend='inductor' raised:\nInvalidCxxCompiler: No working C++ compiler found in "
    "torch._inductor.config.cpp.cxx: (None, 'g++')"
)


def over(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RuntimeError(CAPTURE), "model.experts is grouped_mm, set it to batched_mm or model.dtype"),
        (over(RuntimeError(CAPTURE), RuntimeError("graph failed")), "set model.runtime to eager"),
        (torch.OutOfMemoryError("CUDA out of memory."), "make the largest values of knobs smaller"),
        (MemoryError(), "free memory"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "free memory"),
        (RuntimeError(COMPILER), r"install a C\+\+ compiler"),
        (RuntimeError("Failed to find C compiler. Set CC."), r"install a C\+\+ compiler"),
        (ImportError("Flash Attention 2 is not installed"), "install the library that it names"),
        (RuntimeError("Cannot find a working triton installation."), "install the library"),
        (RuntimeError("inductor: no lowering for aten.foo"), "set model.runtime to eager"),
        (RuntimeError("\"grouped_mm\" not implemented for 'Float'"), "another model.dtype"),
        (RuntimeError("size of tensor a (3) must match size of b (4)"), "the model's own code"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_advice_fits_the_cause(error, advice) -> None:
    told = advice_on(error)
    assert re.search(advice, told)
    of_memory = "memory" in advice or "smaller" in advice
    assert ("memory" in told or "smaller" in told) == of_memory


def test_what_to_make_smaller_depends_on_who_asks() -> None:
    full = torch.OutOfMemoryError("CUDA out of memory.")
    assert advice_on(full, "quality.batch_size").startswith("make quality.batch_size smaller")


def test_numbers_that_are_not_finite_have_advice_of_their_own(vlm) -> None:
    assert advice_on(NotFiniteError("logits are", vlm)) == "check the model's weights"
