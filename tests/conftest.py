"""What several test modules share."""

import os
import signal
import tempfile
from pathlib import Path

import pytest
from reference_cases import EACH_FOUND, FOUND, Cases

# Nothing in the tests may reach for a model hub; its library looks here once, when it is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

from m1.params import ModelParams
from m1.scene_vlm.evaluation import HeldOut
from m1.vlm.loading.load import load_vlm
from m1.vlm.model import LoadedVlm

# A run that measures on this machine is neither waited for nor made to wait.
LOCKS = tempfile.TemporaryDirectory()
os.environ["M1_LOCKS"] = LOCKS.name

# In the background, and under nohup, these are ignored, and programs inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

SCENE_VLM = Path(__file__).parent.parent / "data" / "models" / "scene-vlm"


@pytest.fixture(scope="session")
def vlm() -> LoadedVlm:
    """The embedded model, in float32 on the CPU; tests leave it as they found it."""
    return load_vlm(
        ModelParams(
            source=str(SCENE_VLM),
            weights="pretrained",
            dtype="float32",
            device="cpu",
            experts="eager",
            n_threads=1,
        )
    )


@pytest.fixture(scope="session")
def held_out() -> HeldOut:
    """A few evaluation scenes with their pictures and questions."""
    return HeldOut.draw(12, seed=4)


@pytest.fixture(scope="session", params=EACH_FOUND, ids=lambda cases: cases.folder.name)
def cases(request: pytest.FixtureRequest) -> Cases:
    """Reference cases: the excerpts, and the whole of them where they are at hand."""
    chosen: Cases = request.param
    return chosen


@pytest.fixture(scope="session")
def captioned_photos() -> Path:
    """Six photographs with captions in the layout of COCO."""
    return FOUND.photos


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders that were synced to the disk."""
    paths: list[Path] = []

    def note(handle: int) -> None:
        paths.append(Path(f"/proc/self/fd/{handle}").resolve())

    monkeypatch.setattr(os, "fsync", note)
    return paths
