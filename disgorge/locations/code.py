"""Code and installed packages, in which rows may stand as constants or as data: the user's own, so they are only named.

Looked into, for rows of the target: the stored code of what is live; the modules and packages of that code, where
Python finds them now, with what else lies in their folders; packages that were installed from a file or folder, or that
a model file exposes, with their data. Packages from an index are public and are counted, not looked into.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from disgorge.locations.location import Copy, Deletion, Location, Spare, Target, Traces, shown
from disgorge.locations.rows.packages import files_below, installed
from disgorge.locations.rows.search import RowSearch
from disgorge.training.sandbox.hidden import is_data
from lineage.plural import counted
from lineage.records import Component
from lineage.storage.tree import TreeFile, listed


class Code(Location):
    """The location of code and packages; deletes nothing."""

    name = "code and packages"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Say which files of code, stored or as they lie, and of packages hold rows."""
        rows = RowSearch(self.workspace, target.marks, (*target.shards, *target.weights))
        places = (*self._stored(spare), *self._lying(spare), *self._packages(spare)) if rows.marks else ()
        holding = rows.holding(path for _, path in places)
        return Traces(unsupported=tuple(f"{what} holds removed rows" for what, path in places if path in holding))

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """Say what was looked into, and how many packages were not."""
        places = (self._stored(spare), self._lying(spare), self._packages(spare))
        code, beside, packaged = (sum(1 for _ in place) if target.marks else 0 for place in places)
        exposed, packages = _exposed(spare), installed()
        local = sum(bool(each.origin) or each.name in exposed for each in packages)
        words = (
            f"of code and packages {counted(code, 'stored file')}, {counted(beside, 'file')} of code folders and "
            f"{counted(packaged, 'file')} of {counted(local, 'package')} were looked into for rows; "
            f"{counted(len(packages) - local, 'package')} from an index were not"
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
            for path in files_below(place, deep=place not in folders):
                if not path.is_relative_to(self.workspace.root):
                    yield f"code {shown(path, self.workspace.root)}", path

    def _packages(self, spare: Spare) -> Iterator[tuple[str, Path]]:
        """Yield the files of packages that were installed from files, and the data of those that are exposed."""
        exposed = _exposed(spare)
        for each in installed():
            if not each.origin and each.name not in exposed:
                continue
            for path in each.files():
                with suppress(OSError):
                    if not path.is_relative_to(self.workspace.root) and (
                        each.origin or is_data(path.as_posix(), path.stat().st_size)
                    ):
                        yield f"package {each.name}: {path.name}", path


def _live(spare: Spare) -> Iterable[Component]:
    return (entry.record for entry in spare.state.components.values() if entry.live)


def _exposed(spare: Spare) -> frozenset[str]:
    """Return the packages, by canonical name, whose data the recipes of what is live may read."""
    said = (component.recipe.get("parameters") for component in _live(spare))
    named = (each.get("expose") for each in said if isinstance(each, dict))
    return frozenset(str(name) for each in named if isinstance(each, list | tuple) for name in each)
