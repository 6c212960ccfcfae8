"""One walk over a workspace's folder, for what was removed under any name that has nothing to do with it.

Copies lie where no store knows of them: beside an object, in a folder called ``backup``. So every file is looked at by
its first bytes, and opened where those are of a kind that can be read. What cannot be read, and links that lead out of
the workspace, are counted and named: nobody shall think that they were searched.

Left out are git, what other searches look into (MLflow's artifacts, DVC's cache, whatever is called as objects,
manifests and contents are), and ``reports``, whose bundles are named elsewhere. A virtual environment is named and not
entered.

Files that lie among objects, manifests and contents and are not called as those are, are nobody else's: a purge deletes
those that hold what it deletes. Files anywhere else are the user's and are only named.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from disgorge.locations.location import Deletion, Spare, Target, Traces, delete_files, shown
from disgorge.locations.mlflow_search import OURS as MLFLOW
from lineage.dvc.repo import is_repo
from lineage.storage.file_types import Reading
from lineage.storage.objects import is_digest
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Folder:
    """The location of every other file; deletes copies among the workspace's own files, and old projections."""

    workspace: Workspace
    name: str = "workspace folder"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look at every file of the workspace's folder."""
        found, unread, places = self.look(self.workspace.root, target)
        words = tuple(f"{shown(path, self.workspace)} {words}" for path, words in found.items())
        return Traces(words, unreadable=tuple(unread), places=places)

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the strays among objects, manifests and contents that hold some of the target."""
        folders = (folder for folder in own_folders(self.workspace) if not folder.is_symlink())
        files = [path for folder in folders for path in self.look(folder, target)[0]]
        files += self.workspace.home.glob("catalog-*")
        left = ["backups and copies outside the workspace, of what shards were read from too, were not searched"]
        if any((folder / ".git").exists() for folder in (self.workspace.root, *self.workspace.root.parents)):
            left.append("git history keeps what was committed: names and hashes, and bytes where they were committed")
        return Deletion(target, spare, tuple(path for path in files if path.is_file()), left=tuple(left))

    def delete(self, planned: Deletion) -> Deletion:
        """Delete the files."""
        return delete_files(self.workspace, planned)

    def look(self, root: Path, target: Target) -> tuple[dict[Path, str], list[Path], int]:
        """Return what each file below holds of the target, which files cannot be read, and how many there are."""
        found, unread, places = dict[Path, str](), list[Path](), 0
        left_out = _LeftOut(self.workspace)
        for path in _walk(root, left_out, unread):
            places += 1
            try:
                reading = Reading.of(path)
                words = target.trace_in(path, reading)
            except FileNotFoundError:
                continue  # another program's file, deleted meanwhile
            except OSError:
                unread.append(path)
                continue
            if words is not None:
                found[path] = words
            elif reading is Reading.UNREAD and not left_out.name(path):
                unread.append(path)
        return found, unread, places


def own_folders(workspace: Workspace) -> tuple[Path, ...]:
    """Return the folders in which nothing but objects, manifests and contents has to lie."""
    return (workspace.home / "objects", workspace.home / "manifests", workspace.root / "shards")


def _walk(root: Path, left_out: "_LeftOut", unread: list[Path]) -> Iterator[Path]:
    """Yield files, each folder's in order. Links are not followed: what they lead to is met by itself, or elsewhere."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError:
            unread.append(folder)
            continue
        if left_out.environment(folder) and any(entry.name == "pyvenv.cfg" for entry in entries):
            unread.append(folder)
            continue
        folders = []
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink():
                unread += [path] * left_out.leads_out(path)
            elif entry.is_dir(follow_symlinks=False):
                folders += [path] * (not left_out.folder(path))
            elif entry.is_file(follow_symlinks=False) and not left_out.file(path):
                yield path
        waiting += reversed(folders)


class _LeftOut:
    """What the walk leaves to others, and what it need not name."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._home = workspace_folder, home = workspace.root, workspace.home
        self._root = workspace_folder.resolve()
        self._folders = {workspace_folder / "reports", *(workspace_folder / name for name in MLFLOW)}
        self._folders |= {workspace_folder / ".dvc" / name for name in ("cache", "tmp") if is_repo(workspace_folder)}
        self._own = (workspace_folder, home, *own_folders(workspace))

    def folder(self, path: Path) -> bool:
        """Whether a folder is not walked."""
        is_stage = path.parent == self._home and path.name.startswith("apart-")
        return path.name == ".git" or path in self._folders or is_stage

    def environment(self, folder: Path) -> bool:
        """Whether a folder may be a virtual environment."""
        return folder not in self._own

    def file(self, path: Path) -> bool:
        """Whether a file is looked at by another search, for what it is called."""
        _, _, objects, manifests, contents = self._own
        if path.parent in (manifests, contents):
            return path.suffix == ".parquet"
        return path.parent.parent == objects and is_digest(path.name) and path.name.startswith(path.parent.name)

    def name(self, path: Path) -> bool:
        """Whether a file that cannot be read is one of the workspace's own."""
        if path.parent == self._home:
            return path.name.startswith("catalog-") or path.name in ("ledger.jsonl", "head.json", "mlflow.db")
        return self._home / "private" in path.parents or path == self._workspace / "mlflow.db"

    def leads_out(self, link: Path) -> bool:
        """Whether a link leads out of the workspace, or nobody can say where."""
        try:
            return not link.resolve().is_relative_to(self._root)
        except (OSError, RuntimeError):  # links in a circle
            return True
