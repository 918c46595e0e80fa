"""What was measured, with which model and device, and how to repeat it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from m1.figures.style import WORKLOAD_NAMES
from m1.schemas.profile import Provenance
from m1.schemas.requests import WORKLOADS
from m1.schemas.results import WorkloadContrast
from m1.show.result import what_intervals_hold
from m1.yaml_text import parse_yaml

CHANGES = "+changes"
SHORT = 12  # digits of a fingerprint

Facts = tuple[tuple[str, str], ...]
"""Pairs of a name and its value."""


@dataclass(frozen=True)
class Parameters:
    """The parameters of a run, as in their file."""

    text: str
    session: int
    """`profile.session`."""

    @classmethod
    def parse(cls, text: str, file: Path) -> "Parameters":
        """Read the parameters from the text of a file.

        Raises:
            UserError: if it is not YAML.
        """
        raw = parse_yaml(text, str(file))
        profile = raw.get("profile") if isinstance(raw, dict) else None
        session = profile.get("session") if isinstance(profile, dict) else None
        return cls(text, session if isinstance(session, int) else 1)


@dataclass(frozen=True)
class Command:
    """A command line for a shell, and its purpose."""

    line: str
    purpose: str


def measured(contrast: WorkloadContrast) -> Facts:
    """What was measured, on which model and device, in a few lines."""
    provenance = contrast.provenance
    threads = (
        f", {_times(provenance.n_threads, 'thread')}" if provenance.device_type == "cpu" else ""
    )
    sizes = (
        f"{WORKLOAD_NAMES[w]}: {contrast.latency[w].n} at the reference setting, "
        f"{contrast.timed[w].n_requests} timed at each setting"
        for w in WORKLOADS
    )
    return (
        ("Model", provenance.model_title),
        ("Device", f"{provenance.device}{threads}"),
        ("Arithmetic", f"{provenance.dtype}, {provenance.runtime}"),
        ("Reference setting", f"{contrast.reference.label} (visual tokens / top_k / blocks)"),
        ("Requests", ". ".join(sizes)),
        ("Intervals", f"{100 * contrast.confidence:g} %. {what_intervals_hold(contrast)}"),
        ("Measured", f"{_readable(provenance.started_at)}, in {_duration(provenance.duration_s)}"),
        *(
            (("Resumed", ", ".join(map(_readable, provenance.resumed_at))),)
            if provenance.resumed_at
            else ()
        ),
    )


def provenance(contrast: WorkloadContrast) -> Facts:
    """All recorded facts about how the run was made."""
    made, made_from = contrast.provenance, contrast.made_from
    return (
        ("Model", made.model_title),
        ("Class of the model", made.model_class),
        ("Fingerprint of the model", made.model_fingerprint[:SHORT]),
        ("Revision of the model", made.revision or "a folder"),
        ("Chat template", made.prompt_template or "not recorded"),
        ("Image processor", made.image_processor),
        ("Attention", made.attention_implementation),
        ("Experts", made.experts_implementation),
        (
            "Machine",
            f"{made.device}, {_times(made.n_cores, 'core')}, {made.memory_gb:g} GB",
        ),
        ("Platform", made.platform),
        ("Libraries", ", ".join(f"{name} {v}" for name, v in made.versions.items())),
        ("Code", made.git_commit or "outside git"),
        *(
            (f"Requests, {WORKLOAD_NAMES[w].lower()}", made.data_fingerprints[w][:SHORT])
            for w in WORKLOADS
        ),
        *((("Run", made_from.run[:SHORT]),) if made_from else ()),
        *((("Answers", made_from.answers[:SHORT]),) if made_from and made_from.answers else ()),
    )


def commands(provenance: Provenance, parameters: Parameters) -> Iterator[Command]:
    """The commands that repeat this run."""
    commit = provenance.git_commit
    if commit:
        changed = commit.endswith(CHANGES)
        yield Command(
            f"git checkout {commit.removesuffix(CHANGES)}",
            "the code that ran" + (", without changes that were not committed" if changed else ""),
        )
    yield Command("make install", "the pinned environment")
    yield Command("dvc repro", "with the parameters below as params.yaml")
    yield Command(
        f"dvc exp run -S profile.session={parameters.session + 1}",
        "measures again; if nothing is changed, DVC restores the recorded times",
    )


def _times(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _readable(time: str) -> str:
    """An ISO 8601 time in UTC, in a form that is easy to read."""
    return time.replace("T", " ").replace("+00:00", " UTC").replace("Z", " UTC")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 s"
