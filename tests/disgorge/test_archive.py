"""The zip has one byte form: what was packed comes back, and nothing hostile gets as far as a file or a traceback."""

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from disgorge.errors import BundleBroken
from disgorge.statement.bundle_zip import pack, read_members, unpack

MEMBERS = {"a.json": b"{}", "ledger-slice.jsonl": b"", f"inputs/{'a' * 64}.parquet": bytes(range(256)) * 4}
WHOLE = pack(MEMBERS)
MODE = 0o100644 << 16


def test_members_come_back_and_order_is_no_matter() -> None:
    assert unpack(WHOLE, where="x.zip") == MEMBERS
    assert pack(dict(reversed(MEMBERS.items()))) == WHOLE


def test_other_programs_can_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS


def test_every_bit_of_the_container_counts() -> None:
    """A random bit of every byte: signatures, sizes, names, times, attributes, checksums, content."""
    rng = random.Random(3)
    for place in range(len(WHOLE)):
        flipped = bytearray(WHOLE)
        flipped[place] ^= 1 << rng.randrange(8)
        with pytest.raises(BundleBroken):
            unpack(bytes(flipped), where="x.zip")


@pytest.mark.parametrize("size", range(0, len(WHOLE), 37))
def test_a_truncated_zip_is_refused(size: int) -> None:
    with pytest.raises(BundleBroken):
        unpack(WHOLE[:size], where="x.zip")


def entry(name: str, data: bytes = b"x", *, mode: int = MODE, how: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of one member, as another program may write it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", how) as archive:
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr, info.compress_type = 3, mode, how
        archive.writestr(info, data)
    return whole.getvalue()


def doubled() -> bytes:
    """Two members of one name."""
    return pack({"a.json": b"1", "b.json": b"2"}).replace(b"b.json", b"a.json")


def claiming(size: int) -> bytes:
    """A member whose directory entry claims more bytes than the file has."""
    data = bytearray(entry("a.json"))
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", size, size)
    return bytes(data)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "traversal": lambda: entry("../plan.json"),
    "absolute": lambda: entry("/etc/passwd"),
    "windows": lambda: entry("..\\plan.json"),
    "drive": lambda: entry("C:plan.json"),
    "hidden traversal": lambda: entry("inputs/../../plan.json"),
    "zero in the name": lambda: entry("a.jsonXexe").replace(b"a.jsonXexe", b"a.json\x00exe"),
    "name of a kilobyte": lambda: entry("a" * 1024 + ".json"),
    "name in no alphabet": lambda: entry("\u202ea.json"),
    "symlink": lambda: entry("a.json", b"/etc/passwd", mode=0o120777 << 16),
    "device": lambda: entry("a.json", mode=0o020666 << 16),
    "set-uid": lambda: entry("a.json", mode=0o104755 << 16),
    "folder": lambda: entry("inputs/", b"", mode=0o040755 << 16),
    "bomb": lambda: entry("a.json", bytes(50_000_000), how=zipfile.ZIP_DEFLATED),
    "bzip2": lambda: entry("a.json", bytes(1000), how=zipfile.ZIP_BZIP2),
    "lzma": lambda: entry("a.json", bytes(1000), how=zipfile.ZIP_LZMA),
    "larger than the file": lambda: claiming(1 << 31),
    "twice the same": doubled,
    "comment": lambda: WHOLE[:-2] + b"\x05\x00hello",
    "before": lambda: b"#!/bin/sh\n" + WHOLE,
    "after": lambda: WHOLE + b"PK",
    "twice over": lambda: WHOLE + WHOLE,
    "empty file": bytes,
    "no zip": lambda: b"hello",
    "only an end": lambda: b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_no_report_has_is_refused_in_one_line(how: str) -> None:
    if how == "only an end":  # a zip of nothing is one, and no report
        assert unpack(HOSTILE[how](), where="x.zip") == {}
        return
    with pytest.raises(BundleBroken) as refused:
        unpack(HOSTILE[how](), where="x.zip")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("x.zip")


def test_a_folder_is_read_as_its_zip_is(tmp_path: Path) -> None:
    folder = tmp_path / "R-1"
    (folder / "inputs").mkdir(parents=True)
    for name, data in MEMBERS.items():
        (folder / name).write_bytes(data)
    (tmp_path / "R-1.zip").write_bytes(WHOLE)
    assert read_members(folder) == read_members(tmp_path / "R-1.zip") == MEMBERS


def test_a_folder_with_links_or_other_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "a.json").symlink_to("/etc/hostname")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "inputs").symlink_to(tmp_path / "link")
    (tmp_path / "empty" / "inputs").mkdir(parents=True)
    (tmp_path / "deep" / "inputs" / "more").mkdir(parents=True)
    for name in ("link", "linked", "empty", "deep"):
        with pytest.raises(BundleBroken):
            read_members(tmp_path / name)
