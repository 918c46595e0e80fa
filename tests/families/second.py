"""The Molmo, Gemma, Idefics, Mistral, Llama, GLM, Ernie, LFM, Cohere and Ovis families."""

from families.common import Builder
from families.cropped import aya_vision, cohere2_vision, ovis2
from families.gemma import gemma3, gemma4, gemma4_moe, paligemma
from families.resized import ernie4_5_vl_moe, glm4v, glm4v_moe, mistral3
from families.tiled import idefics3, lfm2_vl, llama4, molmo2, smolvlm

SECOND: dict[str, Builder] = {
    "molmo2": molmo2,
    "gemma3": gemma3,
    "gemma4": gemma4,
    "gemma4_moe": gemma4_moe,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "paligemma": paligemma,
    "mistral3": mistral3,
    "llama4": llama4,
    "glm4v": glm4v,
    "glm4v_moe": glm4v_moe,
    "ernie4_5_vl_moe": ernie4_5_vl_moe,
    "lfm2_vl": lfm2_vl,
    "aya_vision": aya_vision,
    "cohere2_vision": cohere2_vision,
    "ovis2": ovis2,
}
NEEDS_TORCHVISION = {"molmo2", "mistral3", "llama4", "lfm2_vl", "cohere2_vision"}
"""Without torchvision, these get plain processors: their own have no other backend."""
