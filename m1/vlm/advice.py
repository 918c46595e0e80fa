"""Advice for models that cannot be run, chosen by the error."""

import re

from m1.errors import is_of_memory
from m1.reasons import chain
from m1.vlm.engine import NotFiniteError

# Patterns of an error's type and message, with the advice. The first match counts.
ADVICE = (
    (
        r"captur",
        "a CUDA graph cannot hold that: set model.runtime to eager, or, if model.experts is "
        "grouped_mm, set it to batched_mm or model.dtype to bfloat16",
    ),
    (
        r"no working c\+\+ compiler|failed to find c compiler|cppcompileerror|compilationerror"
        r"|python\.h|g\+\+|\bgcc\b|\bnvcc\b|ninja",
        "install a C++ compiler (g++) and the headers of Python (python3-dev), or set "
        "model.runtime to eager",
    ),
    (
        r"importerror|modulenotfounderror|no module named|is not installed|working triton"
        r"|requires the .* library",
        "install the library that it names, or choose another model.attention, model.experts or "
        "model.runtime",
    ),
    (r"dynamo|inductor|torch\.compile", "set model.runtime to eager"),
    (
        r"not implemented for|not supported|unsupported",
        "choose another model.dtype, model.attention or model.experts",
    ),
)
OTHERWISE = (
    "the model's own code fails: see whether it answers the request in transformers, and check "
    "model.config, model.attention and model.experts"
)


def advice_on(error: Exception, make_smaller: str = "the largest values of knobs") -> str:
    """Advice on an error of a model or of the libraries that run it.

    Args:
        error: the original error.
        make_smaller: what the user can make smaller to save memory.
    """
    errors = list(chain(error))
    if isinstance(error, NotFiniteError):
        return error.advice
    if any(map(is_of_memory, errors)):
        return f"make {make_smaller} smaller, or free memory"
    told = "\n".join(f"{type(one).__name__}: {one}" for one in errors).lower()
    return next((advice for words, advice in ADVICE if re.search(words, told)), OTHERWISE)
