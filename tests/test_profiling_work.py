"""Work is counted by what runs: checked against what the architecture's sizes say."""

import pytest
import torch
from families.common import photo
from family_report import FAMILIES, family
from torch import nn

from m1.errors import UserError
from m1.profiling.facts import device_rates
from m1.profiling.facts.device_rates import copy_mib, matrix_side, measure_rates
from m1.profiling.facts.work import count_work
from m1.schemas.profile import Stage, StageWork
from m1.schemas.settings import Setting
from m1.vlm.encoding import encode
from m1.vlm.knobs.apply import applied
from m1.vlm.model import LoadedVlm

pytestmark = pytest.mark.filterwarnings("ignore:.*__array__.*:DeprecationWarning")


def work(vlm: LoadedVlm, setting: Setting | None = None) -> dict[Stage, StageWork]:
    setting = setting or Setting()
    inputs = encode(vlm, photo(64, 48), "a red one", setting.vision_tokens)
    with applied(vlm.structure, setting):
        return count_work(vlm, inputs)


def product_weights(root: nn.Module) -> int:
    """Numbers in the weights and biases of matrix products."""
    layers = [module for module in root.modules() if isinstance(module, nn.Linear)]
    return sum(p.numel() for layer in layers for p in layer.parameters())


def test_a_dense_decode_step_reads_every_block_and_the_head_once() -> None:
    vlm = family("llava")
    head = vlm.model.get_output_embeddings()
    numbers = product_weights(vlm.structure.block_list) + product_weights(head)
    decode = work(vlm)["decode"]
    assert decode.weight_bytes == 4 * numbers
    # Two operations a weight; in attention two for each number of keys and values, and query head.
    config = vlm.structure.language_model.config
    n_queries_to_a_key = config.num_attention_heads / config.num_key_value_heads
    attention = 2 * n_queries_to_a_key * decode.cache_bytes / 4
    assert decode.operations == 2 * numbers + attention


def test_skipped_blocks_are_neither_computed_nor_read() -> None:
    vlm = family("llava")
    block = 4 * product_weights(vlm.structure.blocks[1])
    n = len(vlm.structure.blocks)
    whole, fewer = work(vlm), work(vlm, Setting(active_blocks=n - 1))
    for stage in ("prefill", "decode"):
        assert whole[stage].weight_bytes - fewer[stage].weight_bytes == block
    assert fewer["decode"].cache_bytes == whole["decode"].cache_bytes * (n - 1) / n
    assert fewer["vision"] == whole["vision"]


def test_fewer_experts_read_less_in_every_layer_of_a_decode_step() -> None:
    vlm = family("qwen3_vl_moe")
    experts = vlm.structure.experts
    native = vlm.structure.top_k_holders[0].value
    each = sum(p[0].numel() for layer in experts for p in layer.parameters())
    whole, fewer = work(vlm), work(vlm, Setting(top_k=1))
    saved = whole["decode"].weight_bytes - fewer["decode"].weight_bytes
    assert saved == 4 * (native - 1) * each


def test_fewer_visual_tokens_are_less_to_prefill_and_to_keep() -> None:
    vlm = family("llava")
    whole, fewer = work(vlm), work(vlm, Setting(vision_tokens=16))
    assert fewer["prefill"].operations < whole["prefill"].operations
    assert fewer["prefill"].weight_bytes == whole["prefill"].weight_bytes
    assert fewer["decode"].cache_bytes < whole["decode"].cache_bytes


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_work_in_every_stage(name) -> None:
    vlm = family(name)
    before = getattr(vlm.structure.language_model.config, "_experts_implementation", None)
    for counted in work(vlm).values():
        assert counted.operations > 0
        assert counted.weight_bytes > 0
    after = getattr(vlm.structure.language_model.config, "_experts_implementation", None)
    assert after == before


def test_a_devices_rates_are_those_of_a_copy_and_a_product() -> None:
    rates = measure_rates(torch.device("cpu"), torch.float32)
    # Between an old laptop and a large server.
    assert 0.5 < rates.copy_gb_per_s < 2000
    assert 0.002 < rates.matrix_tflop_per_s < 100


@pytest.mark.parametrize(
    ("free_mib", "copied_mib", "side"),
    [
        (80_000, 2048, 8192),
        (4096, 2048, 8192),
        (4095, 1024, 8192),
        (1024, 512, 8192),
        (1023, 256, 4096),
        (512, 256, 4096),
    ],
)
def test_less_is_copied_and_multiplied_where_a_model_leaves_little(
    free_mib, copied_mib, side
) -> None:
    free = free_mib * 2**20
    assert (copy_mib("cuda", free), matrix_side("cuda", free)) == (copied_mib, side)
    # Both parts of the copy, and four matrices of at most four bytes, are there at once.
    assert 2 * copied_mib <= free_mib
    assert 4 * 4 * side**2 <= free


def test_where_no_rate_can_be_measured_it_is_said_at_once(monkeypatch) -> None:
    monkeypatch.setattr(device_rates, "free_bytes", lambda _: 100 * 2**20)
    monkeypatch.setattr(device_rates, "COPY_MIB", {"cpu": 256})
    with pytest.raises(UserError, match=r"has 100 MiB left beside the model, .* takes 512 MiB"):
        measure_rates(torch.device("cpu"), torch.float32)
    with pytest.raises(UserError, match="takes 256 MiB"):
        matrix_side("cuda", 100 * 2**20)
