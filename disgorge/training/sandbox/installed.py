"""A view of the installed packages for jobs: the files that distributions list, without data, strays and bytecode.

A folder of packages holds more than its packages: whatever somebody put there, links, compiled files that nobody
compares with their source, and data (:mod:`disgorge.training.sandbox.hidden`). None of it may reach a job. So a view is
made once for each state of the distributions: a folder of hard links to the files that a RECORD lists, each compared
with the SHA-256 that stands there; where the file system forbids such links, of copies. It is bound over the folder of
packages, read-only, so that hiding thousands of files costs a start nothing.

A view is named by the digests of the RECORDs and of what is exposed. Before it is used in a process its names, sizes
and times are compared with those it was made with; what differs is made again. Not closed: times, modes and link counts
of the listed files themselves can be read by a job, about 30 bits a file.
"""

import csv
import hashlib
import json
import os
import shutil
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from disgorge.training.sandbox.hidden import is_data

_RULES = 1
"""Counts changes of what a view leaves out."""
_UNUSED = 30 * 24 * 3600.0
"""Seconds after which a view that no job used is deleted."""
_COMPILED = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class View:
    """Installed packages as a job sees them."""

    folder: Path
    """What is bound over the folder of packages."""
    key: str
    """Its name: a digest of the RECORDs, and of what is exposed."""
    edited: tuple[str, ...]
    """Listed files whose bytes are not those that their RECORD states."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file that a RECORD lists: its distribution, and the SHA-256 stated, "" where none is."""

    distribution: str
    sha256: str


def cache_folder() -> Path:
    """Return the folder, of this user alone, where what can be made again is kept between commands."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "disgorge"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@cache
def view_of(packages: Path, exposed: tuple[str, ...] = ()) -> View:
    """Return the view of a folder of packages, made if it is missing or not as it was made.

    ``exposed`` are names of distributions whose data stays visible. The first time takes as long as reading every
    installed file once.
    """
    key = _key(packages, exposed)
    place = cache_folder() / "views" / key
    note = place.with_suffix(".json")
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(place.with_suffix(".lock")):
        try:
            noted = json.loads(note.read_text(encoding="utf-8"))
            if noted["files"] == state_of(place):
                os.utime(note)
                return View(place, key, tuple(noted["edited"]))
        except (OSError, ValueError, KeyError):
            pass  # none yet, or not as it was made
        edited = _make(packages, place, exposed)
        note.write_text(json.dumps({"edited": edited, "files": state_of(place)}), encoding="utf-8")
    delete_unused(place.parent)
    return View(place, key, tuple(edited))


def strays(packages: Path) -> list[str]:
    """Return what lies among installed packages and no distribution lists, bytecode aside, and every link.

    In a namespace none of it exists for a job; under Landlock a job can read it.
    """
    listed = _listed(packages)
    found = []
    for path, _ in _entries(packages, follow=False):
        if (path not in listed or (packages / path).is_symlink()) and not path.endswith(_COMPILED):
            found.append(path)
    return sorted(found)


def _key(packages: Path, exposed: Sequence[str]) -> str:
    digest = hashlib.sha256(f"{_RULES}\n{packages}\n{sorted(map(_normal, exposed))}\n".encode())
    for record in sorted(packages.glob("*.dist-info/RECORD")):
        digest.update(f"{record.parent.name} {hashlib.sha256(record.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _listed(packages: Path) -> dict[str, _Listed]:
    """Return every file below a folder of packages that a RECORD lists, compiled ones aside, by its path in it."""
    found: dict[str, _Listed] = {}
    for record in packages.glob("*.dist-info/RECORD"):
        name = _normal(record.parent.name.rpartition(".dist-info")[0].partition("-")[0])
        with record.open(encoding="utf-8", newline="") as lines:
            for row in csv.reader(lines):
                path = os.path.normpath(row[0]) if row else ".."
                if not path.startswith("..") and not os.path.isabs(path) and not path.endswith(_COMPILED):
                    found[path] = _Listed(name, row[1].removeprefix("sha256=") if len(row) > 1 else "")
    return found


def _make(packages: Path, place: Path, exposed: Sequence[str]) -> list[str]:
    """Make a view, aside and then under its name; return which listed files were edited."""
    shown = {_normal(name) for name in exposed}
    aside = Path(tempfile.mkdtemp(prefix="making-", dir=place.parent))
    kept: dict[str, str] = {}
    try:
        for path, of in sorted(_listed(packages).items()):
            source, target = packages / path, aside / path
            try:
                size = source.lstat().st_size
            except OSError:
                continue  # a distribution from which somebody deleted a file
            if source.is_symlink() or not source.is_file() or (of.distribution not in shown and is_data(path, size)):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
            kept[path] = of.sha256
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as threads:
            wrong = threads.map(lambda pair: bool(pair[1]) and _sha256(aside / pair[0]) != pair[1], kept.items())
            edited = [path for path, is_wrong in zip(kept, wrong, strict=True) if is_wrong]
        shutil.rmtree(place, ignore_errors=True)
        aside.chmod(0o755)
        aside.rename(place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return edited


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or another user's file
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return urlsafe_b64encode(hashlib.file_digest(file, "sha256").digest()).decode().rstrip("=")


def state_of(folder: Path) -> dict[str, list[int]]:
    """Return the size and time of every file below a folder, by path."""
    found = {}
    for path, entry in _entries(folder, follow=True):
        told = entry.stat()
        found[path] = [told.st_size, told.st_mtime_ns]
    return found


def _entries(folder: Path, *, follow: bool) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every file below a folder, after its path there, and links where they are not followed."""
    root, waiting = str(folder), [""]
    while waiting:
        inner = waiting.pop()
        with os.scandir(f"{root}/{inner}") as entries:
            for entry in entries:
                path = f"{inner}/{entry.name}" if inner else entry.name
                if entry.is_dir(follow_symlinks=follow):
                    waiting.append(path)
                else:
                    yield path, entry


def delete_unused(folder: Path) -> None:
    """Delete what is cached in a folder and no job used for a month."""
    for note in folder.glob("*.json"):
        if time.time() - note.stat().st_mtime > _UNUSED:
            shutil.rmtree(note.with_suffix(""), ignore_errors=True)
            note.unlink(missing_ok=True)
            note.with_suffix(".lock").unlink(missing_ok=True)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
