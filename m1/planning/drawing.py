"""Draw the requests that `prepare` will write, and find their mistakes. Nothing is written."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from m1.errors import Problems, UserError
from m1.files import read_record
from m1.images import image_size
from m1.kept import PACKAGE, source_fingerprint
from m1.params import DataParams
from m1.reading import is_file, read_bytes
from m1.schemas.plan import Drawn, DrawnRequests, PixelSize
from m1.schemas.requests import WORKLOADS, Request, Workload
from m1.workloads.dataset import Dataset
from m1.workloads.opened import check_fetched, opened_dataset
from m1.workloads.scorable import check_scorable
from m1.workloads.sources import draw_sample

# If all images of a dataset are missing, naming a few of them is enough.
MOST_IMAGES_TOLD = 5


def draw_both(
    data: DataParams, problems: Problems, earlier: Path | None = None
) -> dict[Workload, DrawnRequests]:
    """Draw the requests of each workload for which this is possible.

    Args:
        data: the sources of the requests.
        problems: gets a line for each mistake.
        earlier: requests that were drawn before. If their sources are the same they are used again,
            and the datasets are not needed: experiments in DVC's queue run in copies without them.
    """
    made_from = fingerprint_of(data)
    if earlier and (known := _known(earlier, made_from)):
        return known.by_workload
    drawn = {workload: _draw(workload, data, problems) for workload in WORKLOADS}
    return {workload: requests for workload, requests in drawn.items() if requests}


def fingerprint_of(data: DataParams) -> str | None:
    """SHA-256 of everything that decides the sample; `None` if a dataset is a folder."""
    digest = hashlib.sha256(data.model_dump_json().encode())
    digest.update(source_fingerprint(PACKAGE / "workloads").encode())
    for chosen in (data.of(workload) for workload in WORKLOADS):
        if chosen.source != "scenes":
            if not is_file(Path(chosen.root)):
                return None
            digest.update(hashlib.sha256(read_bytes(Path(chosen.root))).digest())
    return digest.hexdigest()


def _known(earlier: Path, made_from: str | None) -> Drawn | None:
    if made_from is None or not is_file(earlier):
        return None
    try:
        known = read_record(Drawn, earlier)
    except UserError:
        return None
    return known if known.made_from == made_from else None


def _draw(workload: Workload, data: DataParams, problems: Problems) -> DrawnRequests | None:
    chosen = data.of(workload)
    with problems.noted(), opened_dataset(workload, data) as dataset:
        sample = dataset.requests
        with problems.noted():
            sample = draw_sample(workload, sample, chosen.n_requests, data.seed)
        with problems.noted():
            check_scorable(workload, sample, dataset.corpus)
        images = _Images(problems)
        paths = images.find(dataset, sample)
        with problems.noted():
            check_fetched(chosen, paths.values())
        sizes = images.sizes(paths)
        images.tell_rest(workload)
        if chosen.resize_to:
            sizes = dict.fromkeys(sizes, chosen.resize_to)
        kept = tuple(request for request in sample if request.image_id in sizes)
        if kept:
            return DrawnRequests(
                source=chosen.source,
                n_in_dataset=len(dataset.requests),
                requests=kept,
                image_sizes=sizes,
            )
    return None


class _Images:
    """Looks up images. The first few missing or broken ones are reported, the others counted."""

    def __init__(self, problems: Problems) -> None:
        self.problems, self.mine = problems, Problems()

    def find(self, dataset: Dataset, sample: Iterable[Request]) -> dict[str, Path]:
        """The path of each image by its id."""
        paths: dict[str, Path] = {}
        for request in {request.image_id: request for request in sample}.values():
            with self.mine.noted():
                paths[request.image_id] = dataset.image_path(request)
        return paths

    def sizes(self, paths: dict[str, Path]) -> dict[str, PixelSize]:
        """The size of each image that can be decoded, by its id."""
        sizes: dict[str, PixelSize] = {}
        for image_id, path in paths.items():
            with self.mine.noted():
                sizes[image_id] = image_size(path)
        return sizes

    def tell_rest(self, workload: Workload) -> None:
        """Add the mistakes to all problems."""
        lines = self.mine.lines
        self.problems.lines += lines[:MOST_IMAGES_TOLD]
        if len(lines) > MOST_IMAGES_TOLD:
            n = len(lines) - MOST_IMAGES_TOLD
            self.problems.lines.append(f"data.{workload}: {n} more images cannot be used")
