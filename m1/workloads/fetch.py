"""Fetching a dataset: the official annotations, then only the images of the sample."""

import asyncio
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from m1.errors import UserError
from m1.files import cannot_be_written
from m1.images import image_bytes
from m1.params import DataParams, FetchParams, WorkloadData
from m1.plain_text import address_below, public_address
from m1.reading import is_file, shown
from m1.schemas.requests import Request, Workload
from m1.terminal import Terminal
from m1.workloads import archives
from m1.workloads.archives import Archive, unpack
from m1.workloads.coco_captions import find_captions
from m1.workloads.dataset import Dataset as Source
from m1.workloads.download import Remote, Report, download
from m1.workloads.fetchable import FetchableDataset
from m1.workloads.manifest import Manifest, folder_of
from m1.workloads.official import MissingImageError, find_all, image_path, places_of
from m1.workloads.sources import annotations_of, check_source, draw_sample, read_source
from m1.workloads.vqa_v2 import find_questions


class FetchProgress:
    """Shows what is being fetched."""

    def __init__(self, console: Terminal | None = None) -> None:
        """Write to the console, by default on stderr."""
        self.console = console or Terminal(stderr=True)

    def note(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, soft_wrap=True)

    @contextmanager
    def archive(self, name: str) -> Iterator[Report]:
        """A bar of bytes; yields a function to call with the bytes so far and all bytes."""
        self._say_where_no_bar_is(f"{name}: fetching")
        with self._bar(DownloadColumn()) as bar:
            task = bar.add_task(name, total=None)
            yield lambda here, total: bar.update(task, completed=here, total=total)

    @contextmanager
    def images(self, n_images: int) -> Iterator[Report]:
        """A bar of images; yields a function to call with the number so far and of all images."""
        self._say_where_no_bar_is(f"images: fetching {n_images}")
        with self._bar(TextColumn("{task.completed:.0f} of {task.total:.0f}")) as bar:
            task = bar.add_task("images", total=n_images)
            yield lambda here, total: bar.update(task, completed=here, total=total)

    def _say_where_no_bar_is(self, text: str) -> None:
        if not self.console.is_terminal:
            self.note(text)

    def _bar(self, amount: ProgressColumn) -> Progress:
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            amount,
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )


WORKLOAD_OF: dict[FetchableDataset, Workload] = {"vqa-v2": "qa", "coco-captions": "captioning"}

# A folder in the folder of the dataset, and a folder in it.
IN_FLIGHT, IMAGES = ".fetching", "images"

MOST_ARCHIVE_BYTES = 1 << 30
MOST_IMAGE_BYTES = 1 << 26


def fetch(
    dataset: FetchableDataset, data: DataParams, params: FetchParams, progress: FetchProgress
) -> None:
    """Fetch the missing files of a dataset into the folder `root` of its parameters.

    Existing files that were not fetched are the user's own. They are used and never changed.

    Raises:
        UserError: with the mistake and how to fix it. Files that were fetched before stay.
    """
    workload = WORKLOAD_OF[dataset]
    chosen = data.of(workload).model_copy(update={"source": dataset})
    check_source(workload, chosen)
    folder = folder_of(Path(chosen.root))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; set data.{workload}.root to where to fetch to")
    try:
        asyncio.run(_fetch(workload, chosen, data.seed, params, progress))
    except OSError as error:
        raise cannot_be_written(Path(error.filename or folder), error) from None


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
            for archive, name in _archives(workload, chosen):
                await fetcher.fetch_annotations(archive, name)
            found = read_source(workload, chosen, manifest.folder, manifest.folder)
            sample = draw_sample(workload, found.requests, chosen.n_requests, seed)
            # Several questions may be about one image.
            images = {int(request.image_id): _where(found, request) for request in sample}
            await fetcher.fetch_images(images, _annotated_by(workload, chosen, manifest.folder))
            shutil.rmtree(fetcher.in_flight, ignore_errors=True)
    finally:
        manifest.save()


def _archives(workload: Workload, chosen: WorkloadData) -> Sequence[tuple[Archive, str | None]]:
    """The archives, each with the file that the parameters name instead of the official one."""
    of_workload = archives.VQA_V2 if workload == "qa" else (archives.COCO_CAPTIONS,)
    names = annotations_of(chosen) or (None,) * len(of_workload)
    karpathy = [(archives.KARPATHY, None)] if getattr(chosen, "split", None) else []
    return [*zip(of_workload, names, strict=True), *karpathy]


def _where(found: Source, request: Request) -> Path | None:
    """The path of an image; `None` if it has to be fetched."""
    try:
        return found.image_path(request)
    except MissingImageError:
        return None


def _annotated_by(workload: Workload, chosen: WorkloadData, folder: Path) -> Path:
    """The file that annotates the images."""
    names = annotations_of(chosen)
    if workload == "qa":
        return find_questions(folder, names)[0]
    return find_captions(folder, *(names or (None,)))


def _client(params: FetchParams) -> httpx2.AsyncClient:
    try:
        return httpx2.AsyncClient(
            # Ranges count the bytes of the file itself, not of a compressed answer.
            headers={
                "User-Agent": "m1-workload-contrast",
                "Accept-Encoding": "identity",
            },
            timeout=params.timeout_s,
            follow_redirects=True,
        )
    except (ValueError, ImportError, httpx2.InvalidURL):
        # Their messages may contain a part of a password.
        raise UserError(
            "a proxy in the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: give "
            "it as http://host:port, with %2F for a slash in a password"
        ) from None


def _address(folder: str, path: str) -> str:
    """The address of a file of a mirror.

    Raises:
        UserError: if the mirror's address is not valid.
    """
    try:
        return address_below(folder, path)
    except ValueError:
        raise UserError(f"{public_address(folder)}: no address; fix it in `fetch`") from None


@dataclass(frozen=True)
class Fetcher:
    """Fetches into one folder."""

    client: httpx2.AsyncClient
    params: FetchParams
    folder: Path
    manifest: Manifest
    progress: FetchProgress

    @property
    def in_flight(self) -> Path:
        """The folder of unfinished files. DVC ignores it, even if it watches the folder above."""
        return self.folder / IN_FLIGHT

    async def fetch_annotations(self, archive: Archive, name: str | None = None) -> None:
        """Make sure that an annotation file exists: the user's own, a fetched one, or a new one.

        Args:
            archive: the archive with the official file.
            name: the name of the file to use, if the user chose one.

        Raises:
            UserError: if the chosen file does not exist and is not in the archive.
        """
        found = find_all(self.folder, archive.pattern)
        if name is not None:
            found = [path for path in places_of(self.folder, name) if is_file(path)]
            if not found and Path(name).name != archive.member:
                raise UserError(
                    f"{self.folder}: no {shown(name)}, and `m1 fetch` has {archive.member} only: "
                    "put the file there, or set annotations to null"
                )
        if found and not any(map(self.manifest.has_changed, found)):
            return
        url = _address(getattr(self.params, archive.mirror), archive.path)
        packed = self.in_flight / Path(archive.path).name
        remote = Remote(url, MOST_ARCHIVE_BYTES, archive.sha256)
        # The archive exists already if an earlier fetch was killed while it unpacked.
        if not packed.exists():
            with self.progress.archive(packed.name) as report:
                await download(
                    self.client, remote, packed, self.params, report, tell=self.progress.note
                )
        target = self.folder / "annotations" / archive.member
        try:
            unpack(packed, archive.member, target)
        finally:
            packed.unlink()
        self.manifest.note(target, url)
        self.progress.note(f"{archive.member}: here, {target.stat().st_size / 1e6:.1f} MB")

    async def fetch_images(self, images: Mapping[int, Path | None], annotated_by: Path) -> None:
        """Fetch the missing images, a few at a time. One failure stops the others.

        Args:
            images: the path of each image by its COCO id; `None` if it is missing.
            annotated_by: the file that names the images.
        """
        missing = {
            image_path(image_id, annotated_by): path
            for image_id, path in images.items()
            if path is None or self.manifest.has_changed(path)
        }
        arriving = self.in_flight / IMAGES
        shutil.rmtree(arriving, ignore_errors=True)  # of a fetch that was killed
        if missing:
            try:
                with self.progress.images(len(missing)) as report:
                    await self._fetch_each(missing, report)
            finally:
                # Images are too small to be resumed.
                shutil.rmtree(arriving, ignore_errors=True)
        n = len(images)
        self.progress.note(f"images: {n} here, {len(missing)} of them new, in {self.folder}")

    async def _fetch_each(self, missing: Mapping[str, Path | None], report: Report) -> None:
        slots, done = asyncio.Semaphore(self.params.n_parallel), itertools.count(1)

        async def fetch_one(name: str, target: Path) -> None:
            async with slots:
                await self._fetch_image(name, target)
            report(next(done), len(missing))

        try:
            async with asyncio.TaskGroup() as group:
                for name, path in missing.items():
                    group.create_task(fetch_one(name, path or self.folder / name))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _fetch_image(self, name: str, target: Path) -> None:
        url = _address(self.params.coco_url, name)
        remote = Remote(url, MOST_IMAGE_BYTES, self.manifest.sha256_on_record(target))
        arrived = self.in_flight / IMAGES / target.name

        def check(path: Path) -> None:
            image_bytes(path, remote.place)

        tell = self.progress.note
        await download(self.client, remote, arrived, self.params, _ignore, check, tell)
        target.parent.mkdir(exist_ok=True)
        arrived.replace(target)
        self.manifest.note(target, url)


def _ignore(here: int, total: int | None) -> None:
    """Ignore progress within an image, since only whole images are counted."""
