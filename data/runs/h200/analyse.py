"""Make metrics/h200 and plots/h200 again, on any machine, from the rows that are in git.

python data/runs/h200/analyse.py [--out <folder>] [<run in profile/> ...]

No DVC pipeline: the rows took a GPU, and `dvc status` of every clone would miss it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from m1.errors import run_command
from m1.schemas.requests import WORKLOADS
from stages import answers, contrast, figures, pareto, prepare

HERE = Path("data/runs/h200")
PARAMS = HERE / "params.yaml"


def main(
    runs: Annotated[list[str] | None, typer.Argument(help="Folders of profile/; else all.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of metrics/ and plots/.")] = Path(),
) -> None:
    """Analyse runs, and draw their figures."""
    with TemporaryDirectory() as folder:
        made = Path(folder)
        for workload in WORKLOADS:
            prepare.main(workload, PARAMS, made / "requests" / workload)
        # Weights are random: this only says that there are no answers.
        answers.main(made / "requests", PARAMS, made / "kept", made / "answers")
        for run in runs or sorted(path.name for path in (HERE / "profile").iterdir()):
            print(f"\n{run}")
            analyse(run, made, out / "metrics/h200" / run, out / "plots/h200" / run)


def analyse(run: str, made: Path, metrics: Path, plots: Path) -> None:
    """What the pipeline makes of measured rows, of one run."""
    profile, scores, data = HERE / "profile" / run, made / "scores" / run, plots / "data"
    for workload in WORKLOADS:
        pareto.main(
            workload,
            made / "requests" / workload / "requests.json",
            scores / f"{workload}.parquet",
            metrics / f"e2_pareto_{workload}.json",
            profile,
            made / "answers",
            PARAMS,
        )
    rows, record = profile / "rows.parquet", profile / "run.json"
    contrast.main(rows, record, scores, metrics, PARAMS, metrics, data)
    result = metrics / "m1_workload_contrast.json"
    figures.main(result, data / "latency_cdf.json", plots / "figures")


if __name__ == "__main__":
    run_command(main)
