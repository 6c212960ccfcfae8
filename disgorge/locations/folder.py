"""Scan of a workspace's folder for copies of removed data or weights under any other name.

Copies lie where no store knows of them: beside an object, in a folder called ``backup``. So every file is looked at by
its first bytes, and opened where those are of a kind that can be read; rows are looked for in every text, database and
archive (:mod:`disgorge.locations.rows`). What cannot be read, and links that lead out of the workspace, are counted and
named, so that they are not taken for searched.

Left out are git, what other searches look into (MLflow's artifacts, DVC's cache, files named as objects, manifests and
contents are), and in ``reports`` the bundles that are, byte for byte, what was recorded. A virtual environment is named
and not entered.

Files that lie among objects, manifests and contents and are not named as those are, belong to no user: a purge deletes
those that hold what it deletes. Files anywhere else are the user's and are only named.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISLNK, S_ISREG

from disgorge.locations.location import Copy, Deletion, Location, Seen, Spare, Target, Traces, shown
from disgorge.locations.mlflow import FOLDERS
from disgorge.locations.rows.search import RowSearch, recorded_reports
from lineage.dvc.repo import is_repo, moves_cache
from lineage.storage.objects import is_digest
from lineage.texts.read import is_too_large
from lineage.workspace import Workspace

_NOT_LOOKED_AT = (
    "backups and copies outside the workspace, of what shards were read from too, were not searched",
    "names and times of files were not compared with what was removed, nor was what a database deleted and did not "
    "overwrite yet",
)


@dataclass(slots=True)
class _Walk:
    """What a walk came by: files, links, and files and folders that are closed to it."""

    files: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)


class Folder(Location):
    """The location of every other file; deletes copies among the workspace's own files."""

    name = "workspace folder"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look at every file of the workspace's folder."""
        seen = Seen()
        matches, unread = self.look(self.workspace.root, target, seen)
        words = tuple(f"{shown(path, self.workspace.root)} {words}" for path, words in matches.items())
        naming = (
            f"file {shown(path, self.workspace.root)} names a removed person: look whether it is a copy"
            for path in seen.naming
        )
        return Traces(words, unreadable=tuple(unread), unsupported=tuple(naming)) + seen.traces()

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the strays among objects, manifests and contents that hold some of the target."""
        folders = (folder for folder in own_folders(self.workspace) if not folder.is_symlink())
        files = [path for folder in folders for path in self.look(folder, target)[0]]
        every = self._walk(self.workspace.root).files
        left = [*_NOT_LOOKED_AT, *self._too_large(every)]
        if any((folder / ".git").exists() for folder in (self.workspace.root, *self.workspace.root.parents)):
            left.append("git history keeps what was committed: names and hashes, and bytes where they were committed")
        return Deletion(paths=tuple(path for path in files if path.is_file()), left=Copy.NOT_ENUMERATED.words(left))

    def look(self, root: Path, target: Target, seen: Seen | None = None) -> tuple[dict[Path, str], list[Path]]:
        """Return what each file below holds of the target, and which files and folders cannot be read."""
        walk = self._walk(root)
        matches, unread = target.look(walk.files, seen=seen)
        search = RowSearch(self.workspace, target.marks, (*target.shards, *target.weights))
        rows = search.look((path for path in walk.files if path not in matches), walk.links)
        found = matches | rows.found
        if seen is not None:
            seen.compare(rows.read)
            seen.naming += search.naming(path for path in walk.files if path not in found)
        home, private = self.workspace.home, f"{self.workspace.home / 'private'}{os.sep}"
        own = (home / "ledger.jsonl", home / "head.json", home / "mlflow.db", self.workspace.root / "mlflow.db")
        spared = frozenset(map(str, own))  # text, since there may be many files
        unread = [
            path
            for path in unread
            if (text := str(path)) not in spared
            and not text.startswith(private)
            and path not in rows.read
            and path not in rows.found
        ]
        return found, list(dict.fromkeys([*walk.closed, *unread, *rows.unread]))

    def _too_large(self, paths: Sequence[Path]) -> Iterator[str]:
        """Yield which of some texts, tables and databases rows are not looked for in because of their size."""
        most = self.workspace.largest_searched
        for path in paths:
            try:
                if is_too_large(path, most):
                    name, size = shown(path, self.workspace.root), path.stat().st_size / 10**9
                    yield (
                        f"rows were not looked for in {name} ({size:,.3g} GB): look yourself, or raise "
                        f"largest_searched_gb in .disgorge/config.toml"
                    )
            except OSError:
                continue  # named by the search

    def _walk(self, root: Path) -> _Walk:
        """Return what lies below. Links are not followed: what they lead to is met by itself, or elsewhere."""
        walk = _Walk()
        recorded = recorded_reports(self.workspace) if root == self.workspace.root else frozenset()
        closed = walk.closed

        def note(problem: OSError) -> None:
            if not isinstance(problem, FileNotFoundError):  # another program's folder, deleted meanwhile
                closed.append(Path(problem.filename))

        own = own_folders(self.workspace)
        may_hold_settings = {self.workspace.root, self.workspace.home, *own}
        for place, folders, names in os.walk(root, onerror=note):
            here = Path(place)
            is_own = here in own[1:] or here.parent == own[0] or here == self.workspace.ledger.journal.file.parent
            if "pyvenv.cfg" in names and here not in may_hold_settings:
                closed.append(here)
                folders.clear()
                continue
            paths = [here / name for name in sorted((*folders, *names))]
            if ".git" in folders and here != self.workspace.root:
                closed.append(here / ".git")  # a repository of its own, with objects of large files perhaps
            folders[:] = sorted(name for name in folders if not self._is_folder_of_others(here / name))
            for path in paths:
                try:
                    kind = path.lstat().st_mode
                except OSError as problem:
                    note(problem)  # in a folder that may be listed and not entered
                    continue
                if S_ISLNK(kind):
                    walk.links.append(path)
                    closed += [path] if self._leads_out(path) else []
                elif S_ISREG(kind) and not (is_own and self._is_named(path, own)) and path not in recorded:
                    walk.files.append(path)
        return walk

    def _is_folder_of_others(self, path: Path) -> bool:
        """Whether a folder is left to other searches."""
        root, home = self.workspace.root, self.workspace.home
        if path.parent == root / ".dvc":
            return is_repo(root) and (path.name == "tmp" or (path.name == "cache" and not moves_cache(root)))
        is_stage = path.parent == home and path.name.startswith("apart-")
        return path.name == ".git" or is_stage or (path.parent == root and path.name in FOLDERS)

    def _is_named(self, path: Path, own: tuple[Path, ...]) -> bool:
        """Whether a file is looked at by another search, for what it is called."""
        objects, *tables = own
        if path == self.workspace.ledger.journal.file:
            return True  # facts, which hold no items
        if path.parent in tables:
            return path.suffix == ".parquet"
        return path.parent.parent == objects and is_digest(path.name) and path.name.startswith(path.parent.name)

    def _leads_out(self, link: Path) -> bool:
        """Whether a link leads out of the workspace or cannot be resolved."""
        try:
            return not link.resolve().is_relative_to(self.workspace.root.resolve())
        except (OSError, RuntimeError):  # links in a circle
            return True


def own_folders(workspace: Workspace) -> tuple[Path, ...]:
    """Return the folders in which nothing but objects, manifests and contents has to lie."""
    return (workspace.home / "objects", workspace.home / "manifests", workspace.root / "shards")
