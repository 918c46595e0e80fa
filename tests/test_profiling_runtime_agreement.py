"""Compiled against eager logits: ties are told from true differences."""

from dataclasses import replace

import pytest
import torch
from families.common import photo
from family_report import family
from torch import Tensor
from transformers import Cache

from m1.profiling.runtime_agreement import agreement_of, check_runtime, compare_runtimes
from m1.schemas.profile import Check
from m1.vlm.compiled import CompiledRuntime
from m1.vlm.encoding import encode

EAGER = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 1.99]])
pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")


class Broken(CompiledRuntime):
    """Takes every token for another one."""

    def decode_one_token(self, token: Tensor, cache: Cache) -> Tensor:
        """Run the next token of the vocabulary in the place of the one given."""
        return super().decode_one_token(token + 1, cache)


def checked(eager: Tensor, compiled: Tensor) -> Check:
    (check,) = check_runtime(agreement_of([(eager, compiled)]), 0.1)
    return check


def test_equal_logits_agree() -> None:
    seen = agreement_of([(EAGER, EAGER), (EAGER, EAGER)])
    assert (seen.n_outputs, seen.n_tokens, seen.n_equal) == (2, 4, 4)
    assert seen.largest_gap == seen.largest_difference == 0
    assert checked(EAGER, EAGER).passed


def test_another_token_at_a_tie_passes_and_is_counted() -> None:
    compiled = torch.tensor([[0.0, 1.0, 3.0], [1.99, 0.0, 2.0]])
    seen = agreement_of([(EAGER, compiled)])
    assert (seen.n_equal, seen.n_tokens) == (1, 2)
    assert seen.largest_gap == pytest.approx(0.01 / float(EAGER[1].std()))
    assert checked(EAGER, compiled).passed


def test_another_token_where_the_eager_one_was_clear_fails() -> None:
    compiled = torch.tensor([[0.0, 3.0, 1.0], [2.0, 0.0, 1.99]])
    assert not checked(EAGER, compiled).passed


def test_there_is_nothing_to_check_in_the_eager_runtime() -> None:
    assert list(check_runtime(None, 0.1)) == []


@pytest.mark.parametrize(("runtime", "passed"), [(CompiledRuntime, True), (Broken, False)])
def test_a_compiled_step_that_reads_the_wrong_token_is_found(runtime, passed) -> None:
    torch._dynamo.reset()
    vlm = family("llava")
    compiled = replace(vlm, runtime=runtime(vlm.structure, backend="eager"))
    logits = compare_runtimes(compiled, encode(vlm, photo(64, 48), "a red one"), 8)
    assert checked(*logits).passed == passed
