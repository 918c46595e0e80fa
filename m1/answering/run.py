"""The answers of every cell: taken from the cache, or else made in batches and kept."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import JsonValue
from torch import Tensor, uint8

from m1.answering.cache import code_fingerprint, find_answers, keep_answers
from m1.errors import UserError
from m1.kept import library_versions
from m1.origin import rows_fingerprint
from m1.params import KnobParams, ModelParams, PerWorkload, QualityParams
from m1.prepared import Prepared
from m1.progress import CellProgress
from m1.reasons import why
from m1.schemas.answers import Answer, AnswerKey, AnswersMade
from m1.schemas.requests import WORKLOADS, Request, Workload
from m1.schemas.settings import KNOBS, Setting
from m1.vlm.advice import advice_on
from m1.vlm.at_setting import AtSetting
from m1.vlm.batching import BatchedAnswer, answer_in_batches, can_be_batched
from m1.vlm.end_tokens import refuse_endless
from m1.vlm.knobs.apply import kept_blocks
from m1.vlm.knobs.check import check_knobs
from m1.vlm.model import LoadedVlm
from m1.vlm.pictures import Picture, pictures_of

# The number of encoded requests in memory. Settings with the same visual tokens share them. On
# large models encoding takes as long as answering.
MOST_ENCODED = 512
# The number of batches that are encoded together, so that each has requests of similar length.
BATCHES_AT_ONCE = 8
# The number of requests of each workload that are answered both ways, to check batches.
TRIED_TOGETHER = 4


@dataclass(frozen=True)
class How:
    """What decides answers besides model, requests and setting."""

    model: ModelParams
    knobs: KnobParams
    quality: QualityParams
    max_new_tokens: PerWorkload

    def options(self) -> dict[str, JsonValue]:
        """Parameters of model and knobs that may change answers and have no fingerprint."""
        elsewhere = {"source", "watched", "device", "n_threads"}
        model = self.model.model_dump(mode="json", exclude=elsewhere)
        return model | self.knobs.model_dump(mode="json", exclude=set[str](KNOBS))


class Answering:
    """Answers the requests of both workloads over the grid."""

    def __init__(
        self,
        vlm: LoadedVlm,
        prepared: Prepared,
        how: How,
        kept: Path,
    ) -> None:
        """Prepare to answer.

        Args:
            vlm: the model.
            prepared: the requests of each workload; the first of them are answered.
            how: everything else that decides answers.
            kept: folder of the answers that were made before.
        """
        self.vlm, self.prepared, self.how, self.kept = vlm, prepared, how, kept
        self.requests: dict[Workload, tuple[Request, ...]] = {
            w: one.requests[: how.quality.n_requests.of(w)] for w, one in prepared.items()
        }
        self.model_fingerprint = vlm.fingerprint
        self.batch_size = how.quality.batch_size
        self.code, self.versions = code_fingerprint(), library_versions()
        self.encoded = lru_cache(MOST_ENCODED)(self._encode)

    def run(self) -> tuple[list[Answer], AnswersMade]:
        """Answer every cell, or find its answers.

        A run that was stopped resumes after the cells that are finished.

        Returns:
            The answers, cell by cell, and the record of how they were made.

        Raises:
            UserError: if the model does not support a setting or a picture, if no end token is
                known, or if a cell cannot be answered.
        """
        refuse_endless(self.vlm.end_tokens)
        check_knobs(self.vlm, self.how.knobs.grid(), self._pictures())
        keys = [self.key(w, setting) for w in WORKLOADS for setting in self.how.knobs.grid()]
        cells = [find_answers(key, self.kept) for key in keys]
        due = [key for key, cell in zip(keys, cells, strict=True) if cell is None]
        made = iter(self._answer_all(due, n_reused=len(keys) - len(due)))
        answers = [answer for cell in cells for answer in cell or next(made)]
        return answers, self.record(answers, len(keys) - len(due), len(due))

    def _pictures(self) -> list[Picture]:
        """The pictures of all requests that are answered."""
        answered = ((w, request) for w in WORKLOADS for request in self.requests[w])
        return pictures_of(self.prepared, answered)

    def record(
        self, answers: Sequence[Answer], n_cells_reused: int, n_cells_computed: int
    ) -> AnswersMade:
        """How the answers were made."""
        return AnswersMade(
            model=self.how.model.source,
            model_fingerprint=self.model_fingerprint,
            data_fingerprints={w: one.fingerprint for w, one in self.prepared.items()},
            dtype=str(self.vlm.model.dtype).removeprefix("torch."),
            max_new_tokens=self.how.max_new_tokens.by_workload(),
            n_requests={w: len(requests) for w, requests in self.requests.items()},
            batch_size=self.how.quality.batch_size,
            kept_blocks=kept_blocks(self.vlm.structure, self.how.knobs.grid()),
            markup=self.vlm.markup,
            n_cells_reused=n_cells_reused,
            n_cells_computed=n_cells_computed,
            answers_fingerprint=rows_fingerprint(answers),
        )

    def key(self, workload: Workload, setting: Setting) -> AnswerKey:
        """Everything that decides the answers of a cell."""
        with AtSetting(self.vlm, setting).turned():
            first = self.encoded(workload, 0, setting.vision_tokens)
        return AnswerKey(
            workload=workload,
            data_fingerprint=self.prepared[workload].fingerprint,
            n_requests=len(self.requests[workload]),
            setting=setting,
            model_fingerprint=self.model_fingerprint,
            inputs_fingerprint=_inputs_fingerprint(first),
            kept_blocks=self._kept_blocks(setting),
            options=self.how.options(),
            device_type=self.vlm.device.type,
            max_new_tokens=self.how.max_new_tokens.of(workload),
            batch_size=self.how.quality.batch_size,
            code=self.code,
            versions=self.versions,
        )

    def _kept_blocks(self, setting: Setting) -> tuple[int, ...] | None:
        n_active = setting.active_blocks
        return None if n_active is None else self.vlm.structure.blocks_that_stay(n_active)

    def _batch_size(self, due: Sequence[AnswerKey]) -> int:
        """The batch size of the parameters, or one if this model's requests cannot be joined."""
        for workload, wanted in {(key.workload, key.setting.vision_tokens): None for key in due}:
            n = min(TRIED_TOGETHER, len(self.requests[workload]))
            sample = [self.encoded(workload, place, wanted) for place in range(n)]
            with AtSetting(self.vlm, Setting(vision_tokens=wanted)).turned():
                if not can_be_batched(self.vlm, sample):
                    return 1
        return self.how.quality.batch_size

    def _answer_all(self, due: Sequence[AnswerKey], n_reused: int) -> list[tuple[Answer, ...]]:
        n_requests = sum(key.n_requests for key in due)
        with CellProgress("answers", n_requests, len(due)) as progress:
            progress.note(f"{n_reused} cells were answered before, {len(due)} are to be answered")
            self.batch_size = self._batch_size(due)
            if self.batch_size < self.how.quality.batch_size:
                progress.note("requests to this model cannot be put together: one at a time")
            progress.begin()
            return [self._answer_cell(key, progress) for key in due]

    def _answer_cell(self, key: AnswerKey, progress: CellProgress) -> tuple[Answer, ...]:
        at_once = BATCHES_AT_ONCE * key.batch_size
        answers: list[Answer] = []
        with AtSetting(self.vlm, key.setting).turned():
            for start in range(0, key.n_requests, at_once):
                places = range(start, min(start + at_once, key.n_requests))
                try:
                    answers += self._answer(key, places)
                except UserError:
                    raise
                except Exception as error:  # models and libraries raise almost anything
                    advice = advice_on(error, "quality.batch_size or the largest values of knobs")
                    raise UserError(
                        f"{key.workload} at setting {key.setting.label} cannot be answered "
                        f"({why(error)}): {advice}, or leave the setting out of knobs"
                    ) from None
                progress.requests_done(len(places))
        keep_answers(key, answers, self.kept)
        progress.cell_done()
        progress.tell(f"{key.workload} {key.setting.label}: {key.n_requests} requests")
        return tuple(answers)

    def _answer(self, key: AnswerKey, places: Sequence[int]) -> list[Answer]:
        encoded = [self.encoded(key.workload, i, key.setting.vision_tokens) for i in places]
        written = answer_in_batches(self.vlm, encoded, key.max_new_tokens, self.batch_size)
        requests = [self.requests[key.workload][i] for i in places]
        return [_answer(key, *pair) for pair in zip(requests, written, strict=True)]

    def _encode(
        self, workload: Workload, place: int, n_visual_tokens: int | None
    ) -> dict[str, Tensor]:
        request = self.requests[workload][place]
        at = AtSetting(self.vlm, Setting(vision_tokens=n_visual_tokens))
        inputs = at.encode_request(self.prepared[workload], request)
        # They are not on the device, whose memory is for the current batch.
        return {name: tensor.cpu() for name, tensor in inputs.items()}


def _answer(key: AnswerKey, request: Request, written: BatchedAnswer) -> Answer:
    return Answer(
        workload=key.workload,
        request_id=request.request_id,
        image_id=request.image_id,
        **key.setting.model_dump(),
        n_output_tokens=len(written.tokens),
        finish_reason=written.finish_reason,
        output_text=written.text,
    )


def _inputs_fingerprint(inputs: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(inputs.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(uint8).numpy().tobytes())
    return digest.hexdigest()
