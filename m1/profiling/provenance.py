"""What was measured, on what machine, with what libraries."""

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import PreTrainedModel

from m1.kept import library_versions
from m1.params import ModelParams
from m1.prepared import Prepared
from m1.schemas.profile import Provenance, Quantisation
from m1.vlm.model import LoadedVlm

BITS = ("bits", "nbits", "w_bit", "num_bits", "weight_bits")


def quantisation_of(model: PreTrainedModel) -> Quantisation | None:
    """Method and bits of a model's weights; `None` if they are not quantised."""
    quantizer: Any = getattr(model, "hf_quantizer", None)
    if quantizer is None:
        return None
    settings = quantizer.quantization_config.to_dict()
    method = settings["quant_method"]
    name = str(getattr(method, "value", method))
    return Quantisation(method=name, bits=_bits(name, settings))


def _bits(method: str, settings: Mapping[str, Any]) -> int | None:
    """Bits of a weight, from the settings or else from the method's name (`mxfp4`)."""
    loaded_in = (n for n in (4, 8) if settings.get(f"load_in_{n}bit"))
    in_name = (int(n) for n in re.findall(r"(?:fp|int)(\d+)", method))
    return next((n for source in (loaded_in, _named(settings), in_name) for n in source), None)


def _named(settings: Mapping[str, Any]) -> Iterator[int]:
    """Numbers of bits under the names that libraries use for them, outer ones first."""
    yield from (settings[name] for name in BITS if type(settings.get(name)) is int)
    for part in settings.values():
        if isinstance(part, Mapping):
            yield from _named(part)


BYTES_PER_GB = 1024**3
# Results are not included, since DVC removes them before it runs a stage.
WHAT_RUNS = ("m1", "stages", "params.yaml", "data/models")


def provenance(
    vlm: LoadedVlm,
    params: ModelParams,
    prepared: Prepared,
    started_at: str,
    duration_s: float,
    resumed_at: tuple[str, ...] = (),
    commit: str | None = None,
) -> Provenance:
    """Record where a run's numbers come from."""
    return Provenance(
        **identity(vlm, params, prepared),
        started_at=started_at,
        duration_s=round(duration_s, 1),
        memory_gb=round(psutil.virtual_memory().total / BYTES_PER_GB, 1),
        git_commit=commit,
        resumed_at=resumed_at,
    )


def identity(vlm: LoadedVlm, params: ModelParams, prepared: Prepared) -> dict[str, Any]:
    """The part of the provenance that is the same in every part of a run that is resumed."""
    config: Any = vlm.structure.language_model.config
    return {
        "model": params.source,
        "model_changes": params.config,
        "model_class": type(vlm.model).__name__,
        "revision": vlm.revision,
        "weights": vlm.weights,
        "quantisation": quantisation_of(vlm.model),
        "model_fingerprint": vlm.fingerprint,
        "data_fingerprints": {workload: part.fingerprint for workload, part in prepared.items()},
        "device": device_name(vlm.device),
        "device_type": vlm.device.type,
        "n_cores": os.cpu_count() or 1,
        "n_threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "dtype": str(vlm.model.dtype).removeprefix("torch."),
        "image_processor": type(getattr(vlm.processor, "image_processor", vlm.processor)).__name__,
        "experts_implementation": params.experts if vlm.structure.experts else "none",
        "attention_implementation": str(config._attn_implementation),
        "runtime": params.runtime,
        "keep_compiled": params.keep_compiled if params.runtime == "compiled" else None,
        "prompt_template": vlm.prompts.template,
        "versions": {
            "python": platform.python_version(),
            "numpy": version("numpy"),
            **library_versions(),
        },
    }


def device_name(device: torch.device) -> str:
    """The GPU's or the CPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def git_commit() -> str | None:
    """The project's commit, with `+changes` if code or parameters differ; `None` without git."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changes = _git("status", "--porcelain", "--", *WHAT_RUNS)
        return f"{commit}+changes" if changes else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    run = subprocess.run(("git", *arguments), capture_output=True, text=True, check=True)
    return run.stdout.strip()
