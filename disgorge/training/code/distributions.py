"""The installed distributions that a job used, by name: version, and SHA-256 of the RECORD that lists their files.

A job says from which places it loaded modules; which distribution each belongs to is looked up here, in the process
that gave the order, where the lists of files are read once. Distributions that the method declares are named too,
loaded or not. They stand in the environment and decide nothing: a part stays usable whatever happened to a library that
its method does not declare (:data:`disgorge.training.environment.DECIDES_BITS`).

Not named: what has no RECORD, which no box shows, and what was loaded and removed from ``sys.modules`` again.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from disgorge.errors import BadModel
from disgorge.training.sandbox.namespace import package_folders
from lineage.records import Json

_OF_NO_PACKAGE = ("..", "__pycache__", "__editable__")
"""How first parts of paths begin by which nothing is found. What is installed to be edited is local code."""


def distributions_used(
    loaded: Iterable[str], libraries: Iterable[str], *, exposed: Collection[str] = ()
) -> dict[str, Json]:
    """Return the distributions that modules were loaded from, or that a method declares by the names of modules.

    ``loaded`` are paths of modules that lie by themselves among installed packages, and of the folders of others;
    ``exposed`` are distributions, by canonical name, whose data files could be read.
    """
    records = set[Path]()
    for folder in package_folders():
        for path in map(Path, loaded):
            if path.is_relative_to(folder) and path != folder:
                records.update(_listing(folder, path.relative_to(folder).as_posix()))
        for library in {module.partition(".")[0] for module in libraries}:
            records.update(*(found for top, found in _by_top(folder).items() if top.split(".")[0] == library))
    if exposed:
        records.update(path for path in _installed() if _name_and_version(path)[0] in exposed)
    return dict(sorted(map(_described, records)))


def require_installed(exposed: Collection[str]) -> None:
    """Raise :class:`BadModel` for a package, by canonical name, whose data files are to be read and that is missing."""
    there = {_name_and_version(path)[0] for path in _installed()} if exposed else set()
    for name in exposed:
        if name not in there:
            tops = [records for folder in package_folders() for top, records in _by_top(folder).items() if top == name]
            brings = sorted({_name_and_version(path)[0] for records in tops for path in records})
            perhaps = f"; the module is in {' and '.join(brings)}" if brings else ""
            raise BadModel(f"expose: no package {name!r} is installed{perhaps}; install it, or correct the model file")


def not_as_installed(used: Mapping[str, Json]) -> tuple[str, ...]:
    """Return, in words, which distributions that a job used are no longer installed as they were."""
    there = dict(_described(path) for path in _installed() if _name_and_version(path)[0] in used)
    return tuple(f"{name} is not installed as it was" for name, was in used.items() if there.get(name) != was)


def canonical_name(name: str) -> str:
    """Return a distribution's name as registries compare it: ``Scikit_Learn`` is ``scikit-learn``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed() -> list[Path]:
    """Return the RECORD of every installed distribution."""
    return [path for folder in package_folders() for path in folder.glob("*.dist-info/RECORD")]


def _listing(folder: Path, path: str) -> Iterator[Path]:
    """Yield the RECORDs that list a file, or files in a folder."""
    records = _by_top(folder).get(path.partition("/")[0], ())
    for record in records:
        data = record.read_bytes() if len(records) > 1 else b""
        if len(records) == 1 or re.search(rb"^\"?" + re.escape(path.encode()) + rb"[/,]", data, re.MULTILINE):
            yield record


@cache
def _by_top(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the RECORDs of a folder of packages by the first parts of the paths they list; read once a process."""
    found = defaultdict[str, list[Path]](list)
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        lines = record.read_bytes().splitlines()
        for top in {line.partition(b",")[0].partition(b"/")[0].lstrip(b'"') for line in lines}:
            found[top.decode(errors="replace")].append(record)
    return {top: tuple(records) for top, records in found.items() if not top.startswith(_OF_NO_PACKAGE)}


@cache
def _described(record: Path) -> tuple[str, Json]:
    name, version = _name_and_version(record)
    return name, {"version": version, "record": hashlib.sha256(record.read_bytes()).hexdigest()}


def _name_and_version(record: Path) -> tuple[str, str]:
    name, _, version = record.parent.name.removesuffix(".dist-info").rpartition("-")
    return canonical_name(name), version
