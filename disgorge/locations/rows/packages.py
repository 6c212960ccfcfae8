"""Installed packages and their files, told by the RECORDs that lie beside them."""

import csv
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from disgorge.training.sandbox.namespace import package_folders

_MOST = 20_000
"""Files of one folder that are looked into."""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package: its canonical name, its RECORD, the file, folder or repository it is from, if any."""

    name: str
    record: Path
    origin: str
    edited: Path | None
    """The folder in which one that is installed to be edited lies."""

    def files(self) -> Iterator[Path]:
        """Yield its files."""
        if self.edited is not None:
            yield from files_below(self.edited, deep=True)
            return
        with self.record.open(encoding="utf-8", errors="replace", newline="") as lines:
            yield from (self.record.parents[1] / line[0] for line in csv.reader(lines) if line)


def installed() -> list[Package]:
    """Return every installed package but this tool."""
    found = (_package(record) for folder in package_folders() for record in _records(folder))
    return [each for each in found if each.name != "disgorge"]


@cache
def _records(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(folder.glob("*.dist-info/RECORD")))


@cache
def _package(record: Path) -> Package:
    name = re.sub(r"[-_.]+", "-", record.parent.name.removesuffix(".dist-info").rpartition("-")[0]).lower()
    origin, edited = "", None
    with suppress(OSError, ValueError, AttributeError):
        said = json.loads((record.parent / "direct_url.json").read_text(encoding="utf-8"))
        origin = str(said["url"])
        if said.get("dir_info", {}).get("editable"):
            edited = Path(url2pathname(urlparse(origin).path))
    return Package(name, record, origin, edited)


def files_below(place: Path, *, deep: bool) -> Iterator[Path]:
    """Yield up to 20,000 files of a folder; of those below none in virtual environments and hidden folders."""
    count = 0
    for folder, folders, names in os.walk(place):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = [name for name in sorted(folders) if deep and not name.startswith((".", "__pycache__"))]
        for name in sorted(names):
            if (count := count + 1) > _MOST:
                return
            yield Path(folder, name)
