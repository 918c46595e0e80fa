"""Compiled against eager logits: ties are told from true differences."""

from dataclasses import replace

import pytest
import torch
from families.common import photo
from families.registry import PLAIN_CACHES
from family_report import family
from torch import Tensor
from transformers import Cache

from m1.profiling.facts.runtime_comparison import (
    Compared,
    agreement_of,
    check_runtime,
    compare_runtimes,
    logits_at_once,
    written_logits,
)
from m1.schemas.profile import Check
from m1.vlm.encoding import encode
from m1.vlm.runtime.compiled import CompiledRuntime

EAGER = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 1.99]])
pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")


class Broken(CompiledRuntime):
    """Takes every token for another one."""

    def decode_one_token(self, token: Tensor, cache: Cache) -> Tensor:
        """Run the next token of the vocabulary in the place of the one given."""
        return super().decode_one_token(token + 1, cache)


def checked(*compared: Compared) -> Check:
    (check,) = check_runtime(agreement_of(compared), 2.0)
    return check


def moved(by: float) -> Tensor:
    return EAGER + by * torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])


def test_equal_logits_agree() -> None:
    same = Compared(EAGER, EAGER, EAGER)
    seen = agreement_of([same, same])
    assert (seen.n_outputs, seen.n_tokens) == (2, 4)
    assert seen.n_equal == seen.n_equal_at_once == 4
    assert seen.largest_gap == seen.difference == seen.difference_at_once == 0
    assert checked(same).passed


def test_another_token_at_a_tie_is_counted_with_how_little_it_was_preferred() -> None:
    compiled = torch.tensor([[0.0, 1.0, 3.0], [1.99, 0.0, 2.0]])
    seen = agreement_of([Compared(EAGER, compiled, EAGER)])
    assert (seen.n_equal, seen.n_equal_at_once, seen.n_tokens) == (1, 2, 2)
    assert seen.largest_gap == pytest.approx(0.01 / float(EAGER[1].std()))


def test_differences_are_in_standard_deviations_of_each_places_logits() -> None:
    seen = agreement_of([Compared(EAGER, moved(0.3), moved(0.1))])
    mean_square = (EAGER.std(-1) ** -2).mean().item()
    assert seen.difference == pytest.approx(0.3 * mean_square**0.5)
    assert seen.difference_at_once == pytest.approx(0.1 * mean_square**0.5)


@pytest.mark.parametrize(("by", "passed"), [(0.19, True), (0.21, False)])
def test_compiled_logits_may_differ_twice_as_much_as_rounding_makes_eager_ones(by, passed) -> None:
    check = checked(Compared(EAGER, moved(by), moved(0.1)))
    assert check.passed == passed
    assert "agree on 2 of 2 tokens" in check.detail


def test_differences_too_small_to_matter_pass_whatever_rounding_does() -> None:
    assert checked(Compared(EAGER, moved(1e-4), EAGER)).passed
    assert not checked(Compared(EAGER, moved(1e-2), EAGER)).passed


def test_unrelated_logits_fail_even_where_the_eager_ones_are_unrelated_to_themselves() -> None:
    torch.manual_seed(1)
    check = checked(Compared(torch.randn(8, 100), torch.randn(8, 100), torch.randn(8, 100)))
    assert not check.passed
    assert check.value == pytest.approx(2**0.5, abs=0.1)


def test_there_is_nothing_to_check_in_the_eager_runtime() -> None:
    assert list(check_runtime(None, 0.1)) == []


@pytest.mark.parametrize(("runtime", "passed"), [(CompiledRuntime, True), (Broken, False)])
def test_a_compiled_step_that_reads_the_wrong_token_is_found(runtime, passed) -> None:
    torch._dynamo.reset()
    vlm = family("llava")
    compiled = replace(vlm, runtime=runtime(vlm.structure, backend="eager"))
    compared = compare_runtimes(compiled, encode(vlm, photo(64, 48), "a red one"), 8)
    assert checked(compared).passed == passed


@pytest.mark.parametrize("name", PLAIN_CACHES)
def test_an_output_read_at_once_has_the_logits_it_was_written_by(name) -> None:
    vlm = family(name)
    inputs = encode(vlm, photo(64, 48), "a red one")
    logits, tokens = written_logits(vlm, inputs, 8)
    torch.testing.assert_close(logits_at_once(vlm, inputs, tokens), logits, rtol=1e-3, atol=1e-4)
