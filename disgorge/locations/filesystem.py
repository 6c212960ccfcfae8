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
from dataclasses import dataclass, field
from pathlib import Path

from disgorge.locations.mlflow_search import OURS as MLFLOW
from disgorge.locations.target import Sought
from lineage.dvc.repo import is_repo
from lineage.storage.file_types import Reading
from lineage.storage.objects import is_digest
from lineage.workspace import Workspace


@dataclass(slots=True)
class Swept:
    """What a walk came to: what each file that holds something holds, how many were looked at, which cannot be read."""

    found: dict[Path, str] = field(default_factory=dict)
    places: int = 0
    unread: list[Path] = field(default_factory=list)


def sweep(workspace: Workspace, sought: Sought) -> Swept:
    """Look at every file of the workspace's folder."""
    return _look(workspace, workspace.root, sought)


def strays_of(workspace: Workspace, sought: Sought) -> list[Path]:
    """Return the files among objects, manifests and contents that are none of them and hold what is sought."""
    folders = (folder for folder in own_folders(workspace) if not folder.is_symlink())
    return [path for folder in folders for path in _look(workspace, folder, sought).found]


def own_folders(workspace: Workspace) -> tuple[Path, ...]:
    """Return the folders in which nothing but objects, manifests and contents has to lie."""
    return (workspace.home / "objects", workspace.home / "manifests", workspace.root / "shards")


def shown(path: Path, workspace: Workspace) -> str:
    """Return a path as seen from the workspace, fit to be written anywhere."""
    root = workspace.root.absolute()
    named = path.absolute()
    text = os.fsencode(named.relative_to(root) if named.is_relative_to(root) else named).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def is_of_a_report(path: Path) -> bool:
    """Whether a file is one of a report that was logged or copied somewhere."""
    return path.suffix in (".json", ".jsonl", ".pdf", ".sig") and (path.parent / "statement.json").is_file()


def _look(workspace: Workspace, root: Path, sought: Sought) -> Swept:
    swept, left_out = Swept(), _LeftOut(workspace)
    for path in _walk(root, left_out, swept.unread):
        swept.places += 1
        try:
            reading = Reading.of(path)
            words = sought.trace_in(path, reading)
        except FileNotFoundError:
            continue  # somebody else's, deleted meanwhile
        except OSError:
            swept.unread.append(path)
            continue
        if words is not None:
            swept.found[path] = words
        elif reading is Reading.UNREAD and not left_out.name(path):
            swept.unread.append(path)
    return swept


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
