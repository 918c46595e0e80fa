"""A watch over the machine that keeps its looks when a run is interrupted."""

from time import monotonic

import torch

from m1.profiling.entries import Look
from m1.profiling.journal import Journal
from m1.profiling.watch import MachineWatch
from m1.schemas.profile import MachineState


class LastingWatch:
    """Watches the machine, notes its looks in the journal, and starts with the earlier looks."""

    def __init__(self, device: torch.device, journal: Journal) -> None:
        """Continue to watch."""
        self.journal, self.watch = journal, MachineWatch(device)
        self.earlier = [part[-1] for part in journal.looks if part]
        for look in (look for part in journal.looks for look in part):
            self.watch.core_mhz.append(look.core_mhz)
            if look.gpu:
                self.watch.gpu_samples.append(look.gpu)
        self.started = monotonic()

    def look(self) -> None:
        """Take a sample if one is due. Call this right after a request."""
        n_looks = len(self.watch.core_mhz)
        self.watch.look()
        if len(self.watch.core_mhz) > n_looks:
            self.journal.look(
                Look(
                    elapsed_s=monotonic() - self.started,
                    cpu_others_share=self.watch.cpu.others_share(),
                    core_mhz=self.watch.core_mhz[-1],
                    gpu=self.watch.gpu_samples[-1] if self.watch.gpu else None,
                )
            )

    @property
    def duration_s(self) -> float:
        """Wall time of measuring, without pauses."""
        return sum(look.elapsed_s for look in self.earlier) + monotonic() - self.started

    def state(self) -> MachineState:
        """What was seen since the run began, without pauses."""
        state, now_s = self.watch.state(), monotonic() - self.started
        parts = [(look.elapsed_s, look.cpu_others_share) for look in self.earlier]
        known = [(s, share) for s, share in [*parts, (now_s, state.cpu_others_share)] if share]
        busy_s = sum(s * share for s, share in known)
        if state.cpu_others_share is None:
            return state
        return state.model_copy(update={"cpu_others_share": busy_s / self.duration_s})
