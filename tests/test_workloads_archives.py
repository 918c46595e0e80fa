"""Files are taken out of archives safely."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from m1.errors import UserError
from m1.workloads import archives
from m1.workloads.archives import COCO_CAPTIONS, KARPATHY, VQA_V2, unpack

TEXT = '{"captions": "Café ☕"}'.encode()


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return whole.getvalue()


def symlink(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def with_declared_size(archive: bytes, n_bytes: int) -> bytes:
    """The same archive, but its directory says that its only file has `n_bytes`."""
    at = archive.index(b"PK\x01\x02") + 24
    return archive[:at] + struct.pack("<I", n_bytes) + archive[at + 4 :]


def test_only_the_wanted_file_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(("annotations/c.json", TEXT), ("x.json", b"{}")))
    unpack(tmp_path / "a.zip", "c.json", tmp_path / "to" / "c.json")
    assert (tmp_path / "to" / "c.json").read_bytes() == TEXT
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["c.json"]


GOOD = zipped(("c.json", TEXT * 100))
BAD = {
    "not a zip": (b"<html>", "not a readable zip archive"),
    "empty": (b"", "not a readable zip archive"),
    "truncated": (GOOD[: len(GOOD) // 2], "not a readable zip archive"),
    "damaged": (GOOD.replace(GOOD[45:50], b"\xff" * 5), "not a readable zip archive"),
    "parent": (zipped(("c.json", TEXT), ("../evil.json", b"")), "../evil.json points out"),
    "wanted in a parent": (zipped(("../c.json", TEXT)), "../c.json points out"),
    "Windows": (zipped(("c.json", TEXT), ("..\\evil.json", b"")), "points out of the archive"),
    "absolute": (zipped(("c.json", TEXT), ("/etc/evil", b"")), "/etc/evil points out"),
    "symlink": (zipped((symlink("c.json"), b"/etc/passwd")), "c.json points out of the archive"),
    "bomb": (zipped(("c.json", bytes(10**6))), "would unpack to 1,000,000 bytes, "),
    "lying about more": (with_declared_size(GOOD, 2_000_000_000), "unpack to 2,000,000,000 bytes"),
    "lying about less": (with_declared_size(GOOD, 10), "not a readable zip archive"),
    "absent": (zipped(("d.json", TEXT)), "0 files c.json in it instead of one"),
    "twice": (zipped(("a/c.json", TEXT), ("b/c.json", TEXT)), "2 files c.json in it"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_is_named_and_leaves_earlier_files(case: str, tmp_path: Path) -> None:
    content, expected = BAD[case]
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.zip").write_bytes(content)
    (folder / "c.json").write_bytes(b"earlier")
    with pytest.raises(UserError) as caught:
        unpack(folder / "a.zip", "c.json", folder / "c.json")
    message = str(caught.value)
    assert message.startswith(f"{folder / 'a.zip'}: ")
    assert expected in message
    assert "\n" not in message
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "c.json", "data"]
    assert (folder / "c.json").read_bytes() == b"earlier"


def test_an_archive_of_absurd_size_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_UNPACKED_BYTES", len(TEXT) - 1)
    (tmp_path / "a.zip").write_bytes(zipped(("c.json", TEXT)))
    with pytest.raises(UserError, match=f"c.json would unpack to {len(TEXT)} bytes"):
        unpack(tmp_path / "a.zip", "c.json", tmp_path / "c.json")
    assert not (tmp_path / "c.json").exists()


def test_readers_look_for_the_unpacked_files() -> None:
    for archive in (*VQA_V2, COCO_CAPTIONS, KARPATHY):
        assert Path(archive.member).match(archive.pattern)
        assert len(bytes.fromhex(archive.sha256)) == 32
