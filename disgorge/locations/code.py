"""Code and installed packages, in which rows may stand as constants or as data: the user's own, so they are only named.

Looked into, for rows of the target: the stored code of what is live; the modules and packages of that code, where
Python finds them now, with what else lies in their folders; packages that were installed from a file or folder, or that
a model file exposes, with their data. Packages from an index are public and are counted, not looked into.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import disgorge
from disgorge.locations.location import Copy, Deletion, Location, Spare, Target, Traces, shown
from disgorge.locations.rows import RowSearch
from disgorge.training.sandbox.hidden import is_data
from lineage.plural import counted
from lineage.records import Component
from lineage.storage.tree import TreeFile, listed

_OURS = Path(disgorge.__file__).resolve().parents[1]
"""The folder where this tool lies: a part of no user's code, though it may be installed to be edited."""
_MOST = 20_000
"""Files of one folder that are looked into."""


class Code(Location):
    """The location of code and packages; deletes nothing."""

    name = "code and packages"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Say which files of code, stored or as they lie, and of packages hold rows."""
        rows = RowSearch(self.workspace, target)
        places = (*self._stored(spare), *self._lying(spare), *self._packages(spare)) if rows.marks else ()
        return Traces(unsupported=tuple(f"{what} holds removed rows" for what, path in places if rows.holds(path)))

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """Say what was looked into, and how many packages were not."""
        places = (self._stored(spare), self._lying(spare), self._packages(spare))
        code, beside, packaged = (sum(1 for _ in place) if target.marks else 0 for place in places)
        local = sum(_is_looked_into(each, _exposed(spare)) for each in _installed())
        words = (
            f"of code and packages {counted(code, 'stored file')}, {counted(beside, 'file')} of code folders and "
            f"{counted(packaged, 'file')} of {counted(local, 'package')} were looked into for rows; "
            f"{counted(len(_installed()) - local, 'package')} from an index were not"
        )
        return Deletion(left=Copy.NOT_ENUMERATED.words([words]))

    def _stored(self, spare: Spare) -> Iterator[tuple[str, Path]]:
        """Yield the files of stored code that something live was made with or answers by."""
        for digest, files in self._trees(spare).items():
            for file in files:
                yield f"code {file.path} as it was stored ({digest[:12]})", self.workspace.objects.path(file.sha256)

    def _trees(self, spare: Spare) -> dict[str, tuple[TreeFile, ...]]:
        made = (component.recipe.get("code") for component in _live(spare))
        answering = (
            spare.state.compositions[release.record.composition].stored_code.get("code")
            for release in spare.state.releases.values()
            if release.live and release.record.composition in spare.state.compositions
        )
        digests = dict.fromkeys(each for each in (*made, *answering) if isinstance(each, str))
        return {digest: listed(self.workspace.objects, digest) for digest in digests}

    def _lying(self, spare: Spare) -> Iterator[tuple[str, Path]]:
        """Yield the files of the folders, outside the workspace's, in which code lies that was stored."""
        stored = {file.path for files in self._trees(spare).values() for file in files}
        folders = dict.fromkeys(Path(each or ".").absolute() for each in ("", *sys.path))
        places = dict.fromkeys(
            folder / path.partition("/")[0] if "/" in path else folder
            for folder in folders
            for path in sorted(stored)
            if folder.name not in ("site-packages", "dist-packages") and (folder / path).is_file()
        )
        for place in places:
            for path in _files(place, deep=place not in folders):
                if not path.is_relative_to(self.workspace.root):
                    yield f"code {shown(path, self.workspace.root)}", path

    def _packages(self, spare: Spare) -> Iterator[tuple[str, Path]]:
        """Yield the files of packages that were installed from files, and the data of those that are exposed."""
        exposed = _exposed(spare)
        for each in _installed():
            if not _is_looked_into(each, exposed):
                continue
            edited = _edited(each)
            paths = (
                _files(edited, deep=True)
                if edited
                else (Path(str(each.locate_file(file))) for file in each.files or ())
            )
            for path in paths:
                with suppress(OSError):
                    if not path.is_relative_to(self.workspace.root) and (
                        _origin(each) or is_data(path.as_posix(), path.stat().st_size)
                    ):
                        yield f"package {each.name}: {path.name}", path


def _live(spare: Spare) -> Iterable[Component]:
    return (entry.record for entry in spare.state.components.values() if entry.live)


def _exposed(spare: Spare) -> frozenset[str]:
    """Return the packages, by canonical name, whose data the recipes of what is live may read."""
    said = (component.recipe.get("parameters") for component in _live(spare))
    named = (each.get("expose") for each in said if isinstance(each, dict))
    return frozenset(str(name) for each in named if isinstance(each, list | tuple) for name in each)


@cache
def _installed() -> tuple[Distribution, ...]:
    """Return every installed distribution but this one, once in a process."""
    return tuple(each for each in distributions() if _edited(each) != _OURS and each.name != "disgorge")


def _is_looked_into(package: Distribution, exposed: frozenset[str]) -> bool:
    return bool(_origin(package)) or package.name.lower().replace("_", "-") in exposed


@cache
def _origin(package: Distribution) -> str:
    """Return the address that a distribution was installed from, if that is a file, folder or repository."""
    try:
        return str(json.loads(package.read_text("direct_url.json") or "{}").get("url", ""))
    except (ValueError, AttributeError):
        return ""


def _edited(package: Distribution) -> Path | None:
    """Return the folder of a distribution that is installed to be edited."""
    with suppress(ValueError, AttributeError):
        said = json.loads(package.read_text("direct_url.json") or "{}")
        if said.get("dir_info", {}).get("editable"):
            return Path(url2pathname(urlparse(said["url"]).path))
    return None


def _files(place: Path, *, deep: bool) -> Iterator[Path]:
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
