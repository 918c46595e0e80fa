"""Every tiny family by its name."""

from families.common import Builder
from families.cropped import aya_vision, cohere2_vision, ovis2
from families.gemma import gemma3, gemma4, gemma4_moe, paligemma
from families.internvl import aria, internvl, internvl_moe
from families.llava import llava, llava_next, llava_onevision, vipllava
from families.qwen import qwen2_5_vl, qwen2_vl, qwen3_5_moe, qwen3_vl, qwen3_vl_moe
from families.resized import ernie4_5_vl_moe, glm4v, glm4v_moe, mistral3
from families.tiled import idefics3, lfm2_vl, llama4, molmo2, smolvlm

FAMILIES: dict[str, Builder] = {
    build.__name__: build
    for build in (
        llava,
        llava_next,
        llava_onevision,
        vipllava,
        qwen2_vl,
        qwen2_5_vl,
        qwen3_vl,
        qwen3_vl_moe,
        qwen3_5_moe,
        aria,
        internvl,
        internvl_moe,
        molmo2,
        gemma3,
        gemma4,
        gemma4_moe,
        idefics3,
        smolvlm,
        paligemma,
        mistral3,
        llama4,
        glm4v,
        glm4v_moe,
        ernie4_5_vl_moe,
        lfm2_vl,
        aya_vision,
        cohere2_vision,
        ovis2,
    )
}
NEEDS_TORCHVISION = {"molmo2", "mistral3", "llama4", "lfm2_vl", "cohere2_vision"}
"""Without torchvision, these get plain processors: their own have no other backend."""

# Families whose cache holds keys and values of all positions, as the compiled runtime needs it.
PLAIN_CACHES = ("llava", "vipllava", "qwen3_vl", "qwen3_vl_moe", "aria", "internvl_moe", "molmo2")
PLAIN_CACHES += ("idefics3", "smolvlm", "glm4v", "glm4v_moe", "ernie4_5_vl_moe", "ovis2")
