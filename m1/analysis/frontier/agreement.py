"""Compare answers made in batches with E2's timed rows: their origin, and their texts."""

import numpy as np
import pandas as pd

from m1.analysis.cells import labels_of
from m1.analysis.draws.bootstrap import resamples_of
from m1.analysis.draws.intervals import estimate
from m1.analysis.frontier.scoring import score_rows
from m1.analysis.inputs import AnswerFiles, ProfileFiles
from m1.errors import UserError
from m1.origin import apart
from m1.params import AnalysisParams
from m1.schemas.markup import Markup
from m1.schemas.requests import RequestSet
from m1.schemas.results import Agreement

PAIR = ["request_id", "label"]


def check_same_origin(profile: ProfileFiles, answers: AnswerFiles) -> None:
    """Check that latencies and answers come from the same model, data and settings.

    Raises:
        UserError: if they differ; the message names the differences.
    """
    run, made = profile.run, answers.record.made
    if made is None:
        return
    provenance = run.provenance
    alike = {
        "model": provenance.model_fingerprint == made.model_fingerprint,
        "requests": provenance.data_fingerprints == made.data_fingerprints,
        "dtype": provenance.dtype == made.dtype,
        "max_new_tokens": run.max_new_tokens == made.max_new_tokens,
        "blocks": run.kept_blocks == made.kept_blocks,
        "decode_mode": run.decode_mode != "reference_length",
    }
    if different := ", ".join(name for name, same in alike.items() if not same):
        raise apart(
            profile.run_file,
            answers.record_file,
            f"latencies and answers differ in {different}",
            "make both with the same parameters (`dvc repro`; for a model that DVC does not watch, "
            "such as one from the hub, `dvc repro -f -s profile answers`)",
        )


def compare(
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    requests: RequestSet,
    analysis: AnalysisParams,
    markup: Markup | None = None,
) -> Agreement:
    """Compare the outputs of requests that were both timed and answered.

    Args:
        rows: measured rows of E2 for one workload.
        scores: the scored answers of this workload.
        requests: the requests of this workload.
        analysis: resamples and confidence.
        markup: how the model marks parts of its outputs.

    Raises:
        UserError: if no request was both timed and answered.
    """
    single, batched = (frame.assign(label=labels_of(frame)) for frame in (rows, scores))
    single = single[single["request_id"].isin(batched["request_id"])]
    if single.empty:
        raise UserError(
            f"{requests.workload}: no request was both timed and answered: raise "
            "profile.e2_requests or quality.n_requests"
        )
    both = score_rows(single, requests, markup).merge(batched, on=PAIR, suffixes=("", "_batched"))
    same = both["output_text"] == both["output_text_batched"]
    gained = both["quality_batched"] - both["quality"]
    compared = np.column_stack([same, gained]).astype(np.float64)
    resamples = resamples_of(both, analysis)
    means = resamples.mean(compared, list(both["image_id"]))
    return Agreement(
        n_pairs=len(both),
        identical_share=estimate(means[:, 0], resamples.confidence),
        quality_difference=estimate(means[:, 1], resamples.confidence),
    )
