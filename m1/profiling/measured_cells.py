"""Measure the requests of a plan. A cell that fails is noted, and the others are measured."""

import gc
from collections.abc import Callable, Sequence

import torch

from m1.errors import UserError
from m1.profiling.cell import Cell
from m1.profiling.journal.journal import Journal
from m1.profiling.schedule import Planned, Round
from m1.reasons import typed, why
from m1.schemas.profile import FailedCell, MeasuredRequest
from m1.schemas.settings import Setting
from m1.stopping import check_not_asked
from m1.vlm.advice import advice_on

# Everything is compared with the reference setting in these experiments. Others, such as observer
# pairs, are not essential.
COMPARED_WITH = {"e1", "e2"}

Measure = Callable[[Round, Planned], MeasuredRequest]


class MeasuredCells:
    """Measures the requests of a plan, writes their rows, and remembers the cells that failed."""

    def __init__(
        self, journal: Journal, rounds: Sequence[Round], reference: Setting, measure: Measure
    ) -> None:
        """Start with the cells that failed before an interruption.

        Args:
            journal: what the run has done so far.
            rounds: the whole plan.
            reference: the setting that others are compared with.
            measure: measures a request of a round.
        """
        self.journal, self.reference, self.measure = journal, reference, measure
        self.places: dict[Cell, list[int]] = {}
        for round_ in rounds:
            self.places.setdefault(round_.cell, []).extend(each.order for each in round_.planned)
        failed = {cell.order for cell in journal.failed}
        self.failed_cells = {c for c, places in self.places.items() if failed & set(places)}

    def failed(self, round_: Round) -> bool:
        """Whether the cell of a round failed."""
        return round_.cell in self.failed_cells

    def left_out(self) -> set[int]:
        """Places in the order of measurement of all requests of failed cells."""
        return {place for cell in self.failed_cells for place in self.places[cell]}

    def measure_and_write(self, round_: Round, planned: Planned) -> MeasuredRequest | None:
        """Measure a request of a round, and write its row to the journal.

        Returns:
            The row; `None` if the cell failed.

        Raises:
            UserError: as `attempt` does, or if the journal cannot be written.
        """
        row = self.attempt(round_, planned)
        if row:
            self.journal.add(row)
        return row

    def attempt(self, round_: Round, planned: Planned) -> MeasuredRequest | None:
        """Measure a request of a round. If that fails, note its cell and return `None`.

        Raises:
            UserError: if the cause is a mistake of the user, or the reference setting fails.
            KeyboardInterrupt: if a signal asked to stop, and a library raised another error for it.
        """
        check_not_asked()
        try:
            return self.measure(round_, planned)
        except UserError:
            raise
        except Exception as error:  # models and libraries raise almost anything
            check_not_asked()
            reason, advice = typed(error), advice_on(error)
        # Memory can be freed only here: the error and the tensors in its frames no longer exist.
        self._note(round_, planned, reason, advice)
        release_memory()
        return None

    def _note(self, round_: Round, planned: Planned, reason: str, advice: str) -> None:
        if round_.setting == self.reference and round_.experiment in COMPARED_WITH:
            raise UserError(
                f"{round_.workload}: the reference setting {round_.setting.label} cannot be "
                f"measured ({reason}), so there is nothing to compare with: {advice}; "
                "`dvc repro` keeps what was measured"
            )
        places = self.places.get(round_.cell, [planned.order])
        self.failed_cells.add(round_.cell)
        self.journal.fail(
            FailedCell(
                experiment=round_.experiment,
                workload=round_.workload,
                setting=round_.setting,
                decode_mode=round_.decode_mode,
                reason=reason,
                order=planned.order if planned.order in places else places[0],
                n_measured=len(self.journal.rows.keys() & set(places)),
            )
        )


def release_memory() -> None:
    """Free the memory of a failed request.

    Raises:
        UserError: if the GPU no longer answers, for example after an illegal memory access.
    """
    gc.collect()
    if not torch.cuda.is_initialized():
        return
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError as error:
        raise UserError(
            f"the GPU no longer answers ({why(error)}): `dvc repro` measures the rest"
        ) from None
