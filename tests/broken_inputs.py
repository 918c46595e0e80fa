"""Inputs of the stages with one mistake each, and the message that a stage has to give."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from m1.origin import table_fingerprint
from m1.schemas.requests import RequestSet
from m1.schemas.results import ParetoResult

StageName = Literal["pareto", "contrast", "figures"]
Break = Callable[[Path, Path], object]
"""What is done to a project; another one is there to take files from."""
Change = Callable[[pd.DataFrame], pd.DataFrame]

RUN, ROWS = "data/profile/run.json", "data/profile/rows.parquet"
MADE, ANSWERS = "data/answers/run.json", "data/answers/answers.parquet"
QA, CAPTIONING = "data/requests/qa/requests.json", "data/requests/captioning/requests.json"
QA_FRONTIER, FRONTIER = "metrics/e2_pareto_qa.json", "metrics/e2_pareto_captioning.json"
QA_SCORES, SCORES = "data/scores/qa.parquet", "data/scores/captioning.parquet"
CONTRAST, CDF = "metrics/m1_workload_contrast.json", "plots/data/latency_cdf.json"
PARAMS = "params.yaml"

# Where each table's fingerprint is, and how many rows it has.
RECORDS: dict[str, tuple[str, str, str | None]] = {
    ROWS: (RUN, "rows_fingerprint", "n_rows"),
    ANSWERS: (MADE, "made.answers_fingerprint", None),
    QA_SCORES: (QA_FRONTIER, "scores_fingerprint", None),
}
FAILED = {
    "experiment": "e2",
    "workload": "qa",
    "setting": {"vision_tokens": 16, "top_k": 4, "active_blocks": 4},
    "decode_mode": "free",
    "reason": "OutOfMemoryError",
    "order": 3,
    "n_measured": 0,
}
REFERENCE = {"vision_tokens": 144, "top_k": 4, "active_blocks": 8}
UNKNOWN = {"vision_tokens": 9, "top_k": 4, "active_blocks": 8}
GONE = object()


def edit(path: Path, changes: Mapping[str, Any]) -> None:
    """Change or remove entries of a JSON file, each named by its place."""
    whole = json.loads(path.read_text())
    for place, value in changes.items():
        *way, last = (int(key) if key.isdigit() else key for key in place.split("."))
        target = whole
        for key in way:
            target = target[key]
        if value is GONE:
            del target[last]
        else:
            target[last] = value(target[last]) if callable(value) else value
    path.write_text(json.dumps(whole))


def edited(file: str, place: str, value: Any) -> Break:
    return lambda here, _: edit(here / file, {place: value})


def prepared_anew(place: str, value: Any) -> Break:
    """Changed requests with the fingerprint of their new content."""

    def change_both(here: Path, _: Path) -> None:
        edit(here / QA, {place: value})
        changed = RequestSet.model_validate_json((here / QA).read_text())
        edit(here / QA, {"fingerprint": changed.content_fingerprint})

    return change_both


def found_anew(place: str, value: Any) -> Break:
    """A changed frontier with the fingerprint of its new content."""

    def change_both(here: Path, _: Path) -> None:
        edit(here / FRONTIER, {place: value})
        named_anew(here / FRONTIER)

    return change_both


def named_anew(frontier: Path) -> None:
    changed = ParetoResult.model_validate_json(frontier.read_text())
    edit(frontier, {"fingerprint": changed.content_fingerprint})


def of_other(*files: str) -> Break:
    """Files of the other run instead of the files of this run."""
    return lambda here, other: [shutil.copy(other / file, here / file) for file in files]


def in_place_of(file: str, another: str) -> Break:
    """A file of the same run in the place of another file."""
    return lambda here, _: shutil.copy(here / another, here / file)


def changed(file: str, change: Change) -> Break:
    """A changed table with an unchanged record."""
    return lambda here, _: change(pd.read_parquet(here / file)).to_parquet(here / file)


def all_changed(file: str, change: Change) -> Break:
    """A changed table with a matching record: only the content can show the mistake."""

    def change_both(here: Path, other: Path) -> None:
        changed(file, change)(here, other)
        table = pd.read_parquet(here / file)
        record, fingerprint, number = RECORDS[file]
        edit(here / record, {fingerprint: table_fingerprint(table)})
        if number:
            edit(here / record, {number: len(table)})
        if record == QA_FRONTIER:
            named_anew(here / record)

    return change_both


def at_reference_length(here: Path, other: Path) -> None:
    """All rows in the decode mode whose outputs are no answers."""
    all_changed(ROWS, lambda rows: rows.assign(decode_mode="reference_length"))(here, other)
    edit(here / RUN, {"decode_mode": "reference_length"})


def cell(column: str, value: Any) -> Change:
    """Another value in the first row."""
    return lambda table: table.assign(**{column: [value, *table[column].to_list()[1:]]})


def renamed(request_id: str, other: str) -> Change:
    """Another id for a request, in all its rows."""
    return lambda table: table.replace({"request_id": {request_id: other}})


def twice(table: pd.DataFrame) -> pd.DataFrame:
    """The first row again, at the end, as if it had been measured later."""
    again = table.iloc[:1]
    if "order" in table:
        again = again.assign(order=int(table["order"].max()) + 1)
    return pd.concat([table, again], ignore_index=True)


def first_doubled(values: list[Any]) -> list[Any]:
    return [*values, values[0]]


def without_first(values: list[Any]) -> list[Any]:
    return values[1:]


@dataclass(frozen=True)
class Case:
    """One mistake in the inputs of a stage."""

    name: str
    stage: StageName
    break_it: Break
    named: tuple[str, ...]
    """The files that the error names."""
    told: str
    """What it says of them."""


def in_rows(name: str, change: Change, told: str) -> Case:
    """Wrong rows with matching fingerprints; the message also names their record."""
    return Case(name, "pareto", all_changed(ROWS, change), (RUN, ROWS), told)


def in_row_alone(name: str, column: str, value: Any, told: str) -> Case:
    """A row that is impossible, whatever its record says."""
    return Case(name, "pareto", all_changed(ROWS, cell(column, value)), (ROWS,), told)


def in_record(name: str, file: str, place: str, value: Any, told: str) -> Case:
    """A record that is impossible, whatever the other files contain."""
    stage: StageName = "pareto"
    if file in (QA_FRONTIER, FRONTIER):
        stage = "contrast"
    elif file in (CONTRAST, CDF):
        stage = "figures"
    return Case(name, stage, edited(file, place, value), (file,), told)


MIXED = [
    Case("rows of another run", "pareto", of_other(ROWS), (RUN, ROWS), "with fingerprint"),
    Case("record of another run", "pareto", of_other(RUN), (RUN, ROWS), "with fingerprint"),
    Case("answers of another run", "pareto", of_other(ANSWERS), (MADE, ANSWERS), "fingerprint"),
    Case("a time by a hair", "pareto", changed(ROWS, cell("total_ms", 41.0)), (RUN, ROWS),
         "with fingerprint"),
    Case("an answer edited", "pareto", changed(ANSWERS, cell("output_text", "red")),
         (MADE, ANSWERS), "with fingerprint"),
    Case("rows left out", "pareto", changed(ROWS, lambda rows: rows.iloc[:50]), (RUN, ROWS),
         "n_rows is 74, and the table has 50 rows"),
    Case("answers left out", "pareto", all_changed(ANSWERS, lambda rows: rows.iloc[:9]),
         (MADE, ANSWERS), "n_requests of captioning is 7, and 0 were answered"),
    Case("no answers", "pareto", all_changed(ANSWERS, lambda rows: rows.iloc[:0]),
         (MADE, ANSWERS), "there are no answers"),
    Case("requests of the other workload", "pareto", in_place_of(QA, CAPTIONING), (QA,),
         "holds the requests of captioning"),
    Case("requests made anew", "pareto", prepared_anew("requests.0.prompt", "Why?"),
         (RUN, QA), "requests with fingerprint "),
    Case("a request less", "pareto", prepared_anew("requests", without_first), (ROWS, QA),
         "'qa-0000-0' is not among the requests"),
    Case("an answer to no request", "pareto", all_changed(ANSWERS, renamed("qa-0000-0", "qa-x")),
         (ANSWERS, QA), "'qa-x' is not among the requests"),
    Case("a request about another image", "pareto", prepared_anew("requests.0.image_id", "x"),
         (ROWS, QA), "'qa-0000-0' has another image"),
    Case("answers beside outputs of fixed length", "pareto", at_reference_length, (RUN, MADE),
         "differ in decode_mode"),
    Case("another model", "pareto", edited(MADE, "made.model_fingerprint", "1"), (RUN, MADE),
         "differ in model"),
    Case("the frontier of the other workload", "contrast", in_place_of(QA_FRONTIER, FRONTIER),
         (QA_FRONTIER,), "holds the frontier of captioning"),
    Case("the frontier of another run", "contrast", of_other(FRONTIER, SCORES),
         (FRONTIER, RUN), "the frontier is that of another run"),
    Case("both frontiers of another run", "contrast",
         of_other(QA_FRONTIER, FRONTIER, QA_SCORES, SCORES), (QA_FRONTIER, RUN),
         "the frontier is that of another run"),
    Case("another run below the frontiers", "contrast", of_other(RUN, ROWS), (QA_FRONTIER, RUN),
         "the frontier is that of another run"),
    Case("a run edited after its frontiers", "contrast",
         edited(RUN, "provenance.device", "another"), (QA_FRONTIER, RUN), "of another run"),
    Case("scores of another run", "contrast", of_other(SCORES), (SCORES, FRONTIER),
         "found with other scores"),
    Case("scores of the other workload", "contrast", in_place_of(QA_SCORES, SCORES),
         (QA_SCORES, QA_FRONTIER), "found with other scores"),
    Case("a score edited", "contrast", changed(QA_SCORES, cell("quality", 0.25)),
         (QA_SCORES, QA_FRONTIER), "found with other scores"),
    Case("frontiers of different answers", "contrast",
         found_anew("made_from.answers", "0" * 64), (QA_FRONTIER, FRONTIER),
         "made from different answers"),
    Case("other parameters", "contrast",
         edited(FRONTIER, "made_from.analysis.seed", 2), (FRONTIER, PARAMS),
         "analysis.seed was 2 when the frontier was found, and is 1"),
    Case("a frontier that does not say", "contrast", edited(FRONTIER, "made_from", GONE),
         (FRONTIER,), "does not say what it was made from"),
    Case("a latency of the frontier edited", "contrast",
         edited(QA_FRONTIER, "frontier.points.1.latency_ms.value", 1.5), (QA_FRONTIER,),
         "changed after the frontier was found"),
    Case("a place on the frontier edited", "contrast",
         edited(FRONTIER, "frontier.points.1.on_frontier", lambda it: not it), (FRONTIER,),
         "changed after the frontier was found"),
    Case("the agreement edited", "contrast",
         edited(FRONTIER, "agreement.n_pairs", 5), (FRONTIER,),
         "changed after the frontier was found"),
    Case("a frontier without its fingerprint", "contrast",
         edited(FRONTIER, "fingerprint", GONE), (FRONTIER,),
         "changed after the frontier was found"),
    Case("a setting less", "contrast", found_anew("frontier.points", lambda all_: [
        point for point in all_ if point["label"] != "16/4/4"]), (FRONTIER, RUN),
         "over other settings than E2"),
    Case("latencies of another run", "figures", of_other(CDF), (CONTRAST, CDF),
         "latencies are those of another run"),
    Case("the contrast of another run", "figures", of_other(CONTRAST), (CONTRAST, CDF),
         "latencies are those of another run"),
    Case("a contrast that does not say", "figures",
         edited(CONTRAST, "latency_cdf_fingerprint", GONE), (CONTRAST, CDF), "make both again"),
]  # fmt: skip

TABLES = [
    in_rows("an order twice", cell("order", 1), "has the order of another"),
    in_rows("an order below 0", cell("order", -1), "has the order of another"),
    in_rows("a measurement twice", twice, "'qa-0000-0' is there more than once"),
    in_rows("a setting of no grid", cell("vision_tokens", 9), "a setting that is not in grid"),
    in_rows("E1 elsewhere", cell("vision_tokens", 16), "is not at the reference, 144/4/8"),
    in_rows("another mode", cell("decode_mode", "reference_length"), "than decode_mode, free"),
    in_rows("marks without a stage", cell("vision_ms", None), "marks without all stages"),
    in_rows("stages without marks", cell("marked", False), "stages without marks"),
    in_rows("a long output", cell("n_output_tokens", 11), "wrote more than max_new_tokens"),
    in_rows("two images", cell("image_id", "image-0099"), "is about two images"),
    in_row_alone("an infinite time", "total_ms", float("inf"), "finite number"),
    in_row_alone("no time", "total_ms", 0.0, "greater than 0"),
    in_row_alone("a negative time", "total_ms", -1.0, "greater than 0"),
    in_row_alone("a time that is no number", "total_ms", float("nan"), "total_ms"),
    in_row_alone("a negative stage", "prefill_ms", -0.1, "greater than or equal to 0"),
    in_row_alone("an infinite stage", "decode_ms", float("inf"), "finite number"),
    in_row_alone("a negative preprocessing", "preprocess_ms", -0.1, "greater than or equal to 0"),
    in_row_alone("opening beyond preprocessing", "open_image_ms", 1.6, "more than preprocess_ms"),
    in_row_alone("an unknown experiment", "experiment", "e4", "experiment"),
    in_row_alone("an unknown workload", "workload", "ocr", "workload"),
    in_row_alone("no output", "n_output_tokens", 0, "greater than or equal to 1"),
    in_row_alone("a trial below 0", "trial", -1, "greater than or equal to 0"),
]  # fmt: skip

OF_TABLES = [
    Case("an answer twice", "pareto", all_changed(ANSWERS, twice), (MADE, ANSWERS),
         "'qa-0000-0' is there more than once"),
    Case("a long answer", "pareto", all_changed(ANSWERS, cell("n_output_tokens", 11)),
         (MADE, ANSWERS), "wrote more than max_new_tokens"),
    Case("an answer about another image", "pareto", all_changed(ANSWERS, cell("image_id", "x")),
         (MADE, ANSWERS), "is about two images"),
    Case("a VQA accuracy above 1", "contrast", all_changed(QA_SCORES, cell("quality", 1.5)),
         (QA_SCORES,), "quality is at most 1 in qa"),
    Case("a score below 0", "contrast", all_changed(QA_SCORES, cell("quality", -0.5)),
         (QA_SCORES,), "greater than or equal to 0"),
    Case("an infinite score", "contrast", all_changed(QA_SCORES, cell("quality", float("inf"))),
         (QA_SCORES,), "finite number"),
    Case("rows in a cell that failed", "pareto", edited(RUN, "failed", [FAILED]), (RUN, ROWS),
         "is in a cell that failed, e2 qa 16/4/4"),
]  # fmt: skip

RECORDS_ALONE = [
    in_record("a grid without the reference", RUN, "grid", without_first, "not reference"),
    in_record("another reference", RUN, "reference", UNKNOWN, "is not reference, 9/4/8"),
    in_record("a setting twice", RUN, "grid", first_doubled,
              "run.json: grid has the setting '144/4/8' more than once"),
    in_record("work of no setting", RUN, "work.0.setting", UNKNOWN, "which is not in grid"),
    in_record("work twice", RUN, "work", first_doubled, "more than once"),
    in_record("work without a stage", RUN, "work.0.stages.prefill", GONE, "has no prefill"),
    in_record("a rate of 0", RUN, "device_rates.copy_gb_per_s", 0.0, "greater than 0"),
    in_record("no limit for captions", RUN, "max_new_tokens.captioning", GONE, "no captioning"),
    in_record("requests of one workload", RUN, "provenance.data_fingerprints.qa", GONE, "no qa"),
    in_record("a failure at no setting", RUN, "failed", [FAILED | {"setting": UNKNOWN}],
              "failed at 9/4/8, which is not in grid"),
    in_record("a failed reference", RUN, "failed", [FAILED | {"setting": REFERENCE}],
              "failed at the reference"),
    in_record("a failure in another mode", RUN, "failed",
              [FAILED | {"decode_mode": "reference_length"}], "in mode reference_length"),
    in_record("E1 failed elsewhere", RUN, "failed", [FAILED | {"experiment": "e1"}],
              "e1 failed at 16/4/4, not at the reference"),
    in_record("a failure of no experiment", RUN, "failed", [FAILED | {"experiment": "e4"}],
              "experiment"),
    in_record("invalid for no reason", RUN, "validity.verdict", "invalid", "of the checks"),
    in_record("an infinite duration", RUN, "provenance.duration_s", float("inf"), "finite"),
    in_record("answers for one workload", MADE, "made.n_requests.qa", GONE, "has no qa"),
    in_record("a request id twice", QA, "requests", first_doubled,
              "request_id 'qa-0000-0' is there more than once"),
    in_record("an image id of two images", QA, "requests.1.image_id", "image-0000",
              "image_id 'image-0000' is that of several images"),
    in_record("a swapped frontier", FRONTIER, "frontier.workload", "qa", "is that of qa"),
    in_record("an infinite estimate", FRONTIER, "frontier.hypervolume.high", float("inf"),
              "finite number"),
    in_record("an interval upside down", FRONTIER, "frontier.hypervolume.low", 9.0, "below its"),
    in_record("a share above 1", FRONTIER, "frontier.points.0.frontier_share", 1.5, "equal to 1"),
    in_record("a reference off the frontier", FRONTIER, "frontier.reference", UNKNOWN,
              "is not among points"),
    in_record("a point twice", FRONTIER, "frontier.points", first_doubled, "more than once"),
    in_record("swapped frontiers", CONTRAST, "frontiers",
              lambda own: {"qa": own["captioning"], "captioning": own["qa"]},
              "the frontier of qa at 144/4/8 is that of captioning"),
    in_record("one workload's latency", CONTRAST, "latency.captioning", GONE, "no captioning"),
    in_record("a stage less", CONTRAST, "stage_breakdown.qa.decode", GONE, "has no decode"),
    in_record("a latency of 0", CDF, "0.latency_ms", 0.0, "greater than 0"),
]  # fmt: skip

CASES = [*MIXED, *TABLES, *OF_TABLES, *RECORDS_ALONE]
