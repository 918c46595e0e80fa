"""Training SceneVLM: AdamW with warm-up and cosine decay, checkpoints, resumption."""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from m1.scene_vlm.architecture import Architecture, build_model, build_processor, build_tokenizer
from m1.scene_vlm.batches import Batch, Curriculum, SceneBatches, Steps, tokenizer_texts
from m1.schemas.base import Record
from m1.schemas.settings import Setting
from m1.vlm.knobs.apply import applied
from m1.vlm.structure import VlmStructure, find_structure

LOG_EVERY_STEPS = 50
MAX_GRADIENT_NORM = 1.0
OBSERVED_SHARE = 0.1


Weight = Annotated[float, Field(ge=0.0, le=1000.0)]


class Training(Record):
    """How SceneVLM is trained."""

    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    """Seed of the weights and of the scenes."""
    n_steps: Steps
    """Optimiser steps."""
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    """Images per step."""
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    """Peak learning rate of AdamW."""
    warmup_steps: Steps
    """Steps of linear warm-up; cosine decay to a twentieth of the peak follows."""
    weight_decay: Weight
    """Weight decay of AdamW."""
    balance_weight: Weight
    """Weight of the load-balancing loss of the routers (Shazeer et al. 2017; as OLMoE)."""
    checkpoint_every_steps: Annotated[int, Field(ge=1, le=100_000_000)]
    """Steps between checkpoints."""


class SceneVlmParams(Record):
    """The parameters of SceneVLM's own pipeline."""

    architecture: Architecture
    """Sizes of the model."""
    training: Training
    """How the model is optimised."""
    curriculum: Curriculum
    """What the batches contain at each step."""


class CurvePoint(Record):
    """One point of the training curve: means since the previous point."""

    step: int
    """Optimiser steps done."""
    loss: float | None
    """Weighted cross-entropy in nats per token; null if no batch was observed."""
    caption_accuracy: float | None
    """Share of caption tokens predicted correctly from the tokens before them, at any setting."""
    answer_accuracy: float | None
    """Share of answer tokens predicted correctly from the tokens before them, at any setting."""


@dataclass
class RunningMeans:
    """Means since the previous point of the curve."""

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, value: float, count: int = 1) -> None:
        """Add `count` observations that sum to `value`."""
        self.sums[name] = self.sums.get(name, 0.0) + value
        self.counts[name] = self.counts.get(name, 0) + count

    def take(self, name: str) -> float | None:
        """Return the mean of a name and reset it; `None` without observations."""
        count = self.counts.pop(name, 0)
        total = self.sums.pop(name, 0.0)
        return total / count if count else None


class Trainer:
    """One training run that can be interrupted and resumed."""

    def __init__(self, params: SceneVlmParams, checkpoint: Path, device: torch.device) -> None:
        """Build the model from the seed; resume the checkpoint if its parameters are the same."""
        self.params = params
        self.checkpoint = checkpoint
        self.device = device
        torch.manual_seed(params.training.seed)
        tokenizer = build_tokenizer(tokenizer_texts(params.training.seed))
        sizes = params.architecture
        self.processor: LlavaProcessor = build_processor(tokenizer, sizes.patch_size_px)
        self.model: LlavaForConditionalGeneration = build_model(sizes, tokenizer)
        self.model.to(device)  # type: ignore[arg-type] # transformers hides the signature
        self.structure: VlmStructure = find_structure(self.model)
        if device.type == "cuda":
            _use_fast_matrices(self.structure)
        self.optimizer = self._optimizer()
        self.step = 0
        self.curve: list[CurvePoint] = []
        self._resume()

    def train(self, on_checkpoint: Callable[["Trainer"], None] = lambda _: None) -> None:
        """Run all remaining steps, with a progress bar."""
        means = RunningMeans()
        self.model.train()
        with _progress() as bar:
            task = bar.add_task("train", total=self.params.training.n_steps, completed=self.step)
            for batch in self._batches():
                self._train_on(batch, means)
                self.step += 1
                if self.step % LOG_EVERY_STEPS == 0:
                    self._log(means, bar)
                if self.step % self.params.training.checkpoint_every_steps == 0:
                    self._save_checkpoint()
                    on_checkpoint(self)
                bar.update(task, completed=self.step)

    def _train_on(self, batch: Batch, means: RunningMeans) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.params.training)
        with applied(self.structure, batch.setting), _captured_routing(self.structure) as routing:
            logits = self.model(
                input_ids=batch.input_ids.to(self.device),
                attention_mask=batch.attention_mask.to(self.device),
                pixel_values=batch.pixel_values.to(self.device),
                use_cache=False,
            ).logits
            balance = torch.stack([_imbalance(*routed) for routed in routing]).mean()
        loss = _weighted_loss(logits, batch, means)
        (loss + self.params.training.balance_weight * balance).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _optimizer(self) -> torch.optim.AdamW:
        training = self.params.training
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": training.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups,
            lr=training.learning_rate,
            betas=(0.9, 0.95),
            fused=self.device.type == "cuda",
        )

    def _batches(self) -> Iterator[Batch]:
        training = self.params.training
        native = Setting(vision_tokens=int(self.model.config.image_seq_length))
        batches = SceneBatches(
            self.processor,
            self.params.curriculum,
            native,
            batch_size=training.batch_size,
            seed=training.seed,
        )
        steps = range(self.step, training.n_steps)
        n_workers = max(0, (os.cpu_count() or 1) - 2)
        loader = DataLoader(batches, batch_size=None, sampler=steps, num_workers=n_workers)
        return iter(loader)

    def _log(self, means: RunningMeans, bar: Progress) -> None:
        loss, caption, answer = (means.take(name) for name in ("loss", "caption", "answer"))
        point = CurvePoint(
            step=self.step, loss=loss, caption_accuracy=caption, answer_accuracy=answer
        )
        self.curve.append(point)
        shown = {k: round(v, 4) for k, v in point.model_dump(exclude_none=True).items()}
        bar.console.print(" ".join(f"{name}={value}" for name, value in shown.items()))

    def _save_checkpoint(self) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "params": self.params.model_dump_json(),
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "curve": [point.model_dump() for point in self.curve],
        }
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.checkpoint)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        state: dict[str, Any] = torch.load(self.checkpoint, map_location=self.device)
        if json.loads(state["params"]) != json.loads(self.params.model_dump_json()):
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.curve = [CurvePoint(**point) for point in state["curve"]]


def _use_fast_matrices(structure: VlmStructure) -> None:
    """Use grouped matrix products for the experts, and TF32. Both are faster on a GPU."""
    torch.set_float32_matmul_precision("high")
    language_model: Any = structure.language_model
    language_model.set_experts_implementation("grouped_mm")


def learning_rate(step: int, training: Training) -> float:
    """Linear warm-up, then cosine decay to a twentieth of the peak."""
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / training.warmup_steps
    done = (step - training.warmup_steps) / (training.n_steps - training.warmup_steps)
    return training.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def _weighted_loss(logits: Tensor, batch: Batch, means: RunningMeans) -> Tensor:
    """Cross-entropy of the next token, as a weighted mean over the targets.

    Args:
        logits: batch x position x vocabulary.
        batch: its targets and weights.
        means: collects the loss and the token accuracies.
    """
    targets = batch.input_ids[:, 1:].to(logits.device)
    weights = batch.weights[:, 1:].to(logits.device)
    predicted = logits[:, :-1].float()
    losses = nn.functional.cross_entropy(
        predicted.flatten(0, 1), targets.flatten(), reduction="none"
    ).view_as(weights)
    loss = (losses * weights).sum() / weights.sum()
    # Only a random share of the batches is observed, because reading a value waits for the device.
    if torch.rand(()) < OBSERVED_SHARE:
        _observe(predicted.argmax(-1) == targets, weights > 0, batch.is_answer, loss, means)
    return loss


def _observe(
    right: Tensor, is_target: Tensor, is_answer: Tensor, loss: Tensor, means: RunningMeans
) -> None:
    means.add("loss", loss.item())
    for name, chosen in (("answer", is_answer), ("caption", ~is_answer)):
        picked = is_target & chosen.to(is_target.device)[:, None]
        if n := int(picked.sum()):
            means.add(name, int((right & picked).sum()), n)


@contextmanager
def _captured_routing(structure: VlmStructure) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Collect the logits and chosen experts of every router while the model runs."""
    pairs: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, __: object, output: tuple[Tensor, Tensor, Tensor]) -> None:
        pairs.append((output[0], output[2]))

    hooks = [router.register_forward_hook(keep) for router in structure.routers]
    try:
        yield pairs
    finally:
        for hook in hooks:
            hook.remove()


def _imbalance(logits: Tensor, chosen: Tensor) -> Tensor:
    """Load-balancing loss of one router (Fedus et al. 2021, eq. 4). It is 1 for an even load.

    Args:
        logits: token x expert.
        chosen: token x top_k, indices of experts.
    """
    n_experts = logits.shape[-1]
    probabilities = logits.float().softmax(-1).mean(0)
    load = torch.zeros_like(probabilities)
    ones = torch.ones(chosen.numel(), device=load.device)
    load = load.index_add(0, chosen.flatten(), ones) / chosen.numel()
    return n_experts * (probabilities * load).sum()


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, time left"),
        TimeRemainingColumn(),
    )
