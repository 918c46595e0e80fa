"""Fetching a dataset: the official annotations, then only the images of the sample."""

import asyncio
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from m1.errors import UserError
from m1.images import image_bytes
from m1.params import DataParams, FetchParams, WorkloadData
from m1.schemas.requests import Workload
from m1.workloads import archives
from m1.workloads.archives import Archive, unpack
from m1.workloads.download import Remote, Report, download
from m1.workloads.fetch_progress import FetchProgress
from m1.workloads.fetchable import Dataset
from m1.workloads.manifest import Manifest, folder_of
from m1.workloads.official import OfficialImages, find_all, image_name
from m1.workloads.partial import part_of
from m1.workloads.sources import draw_sample, read_source

WORKLOAD_OF: dict[Dataset, Workload] = {"vqa-v2": "qa", "coco-captions": "captioning"}

MOST_ARCHIVE_BYTES = 1 << 30
MOST_IMAGE_BYTES = 1 << 26


def fetch(dataset: Dataset, data: DataParams, params: FetchParams, progress: FetchProgress) -> None:
    """Fetch what is missing of a dataset to where `root` in its section of the parameters says.

    Files that are there and were not fetched are the user's own: they are used as they are.

    Raises:
        UserError: what is wrong and how to mend it; what was fetched before stays as it was.
    """
    workload = WORKLOAD_OF[dataset]
    chosen = data.of(workload).model_copy(update={"source": dataset})
    folder = folder_of(Path(chosen.root))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; set data.{workload}.root to where to fetch to")
    try:
        asyncio.run(_fetch(workload, chosen, data.seed, params, progress))
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None


async def _fetch(
    workload: Workload,
    chosen: WorkloadData,
    seed: int,
    params: FetchParams,
    progress: FetchProgress,
) -> None:
    manifest = Manifest(Path(chosen.root))
    try:
        async with _client(params) as client:
            fetcher = Fetcher(client, params, manifest.folder, manifest, progress)
            for archive in _archives(workload, chosen):
                await fetcher.fetch_annotations(archive)
            requests = read_source(workload, chosen, manifest.folder, manifest.folder).requests
            sample = draw_sample(workload, requests, chosen.n_requests, seed)
            # Several questions may be about one image.
            await fetcher.fetch_images(dict.fromkeys(int(r.image_id) for r in sample))
    finally:
        manifest.save()


def _archives(workload: Workload, chosen: WorkloadData) -> Sequence[Archive]:
    if workload == "qa":
        return archives.VQA_V2
    split = getattr(chosen, "split", None)
    return (archives.COCO_CAPTIONS, *((archives.KARPATHY,) if split else ()))


def _client(params: FetchParams) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        # Ranges count the bytes of the file itself, not of a compressed answer.
        headers={
            "User-Agent": "m1-workload-contrast",
            "Accept-Encoding": "identity",
        },
        timeout=params.timeout_s,
        follow_redirects=True,
    )


@dataclass(frozen=True)
class Fetcher:
    """Fetches into one folder."""

    client: httpx2.AsyncClient
    params: FetchParams
    folder: Path
    manifest: Manifest
    progress: FetchProgress

    async def fetch_annotations(self, archive: Archive) -> None:
        """See that an annotation file is there: the user's own, an earlier fetch, or a new one."""
        found = find_all(self.folder, archive.pattern)
        if found and not any(map(self.manifest.has_changed, found)):
            return
        url = f"{getattr(self.params, archive.mirror).rstrip('/')}/{archive.path}"
        packed = self.folder / Path(archive.path).name
        remote = Remote(url, MOST_ARCHIVE_BYTES, archive.sha256)
        with self.progress.archive(packed.name) as report:
            await download(self.client, remote, packed, self.params, report)
        target = self.folder / "annotations" / archive.member
        try:
            unpack(packed, archive.member, target)
        finally:
            packed.unlink()
        self.manifest.note(target, url)
        self.progress.note(f"{archive.member}: here, {target.stat().st_size / 1e6:.1f} MB")

    async def fetch_images(self, image_ids: Collection[int]) -> None:
        """Fetch the images that are missing, a few at a time; one failure stops the others."""
        here = OfficialImages(self.folder)
        missing = [i for i in image_ids if i not in here or self._has_changed(here, i)]
        if missing:
            with self.progress.images(len(missing)) as report:
                await self._fetch_each(missing, here, report)
        n = len(image_ids)
        self.progress.note(f"images: {n} here, {len(missing)} of them new, in {self.folder}")

    async def _fetch_each(self, missing: list[int], here: OfficialImages, report: Report) -> None:
        slots, done = asyncio.Semaphore(self.params.n_parallel), itertools.count(1)

        async def fetch_one(image_id: int) -> None:
            async with slots:
                await self._fetch_image(image_id, here)
            report(next(done), len(missing))

        try:
            async with asyncio.TaskGroup() as group:
                for image_id in missing:
                    group.create_task(fetch_one(image_id))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _fetch_image(self, image_id: int, here: OfficialImages) -> None:
        name = f"val2014/COCO_val2014_{image_name(image_id)}.jpg"
        url = f"{self.params.coco_url.rstrip('/')}/{name}"
        target = here.path_of(image_id) if image_id in here else self.folder / name
        remote = Remote(url, MOST_IMAGE_BYTES, self.manifest.sha256_on_record(target))
        try:
            await download(
                self.client, remote, target, self.params, _ignore, lambda p: image_bytes(p, url)
            )
        finally:
            # Too small to be gone on with.
            part_of(target).discard()
        self.manifest.note(target, url)

    def _has_changed(self, here: OfficialImages, image_id: int) -> bool:
        return self.manifest.has_changed(here.path_of(image_id))


def _ignore(here: int, total: int | None) -> None:
    """Images are counted whole."""
