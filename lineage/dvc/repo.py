"""What DVC knows of a shard's content: under which hash it is kept. Deletion is :mod:`disgorge.locations.dvc`.

DVC is used in the process, not by its command line, which takes seconds a call. Its usage report is turned off before
it is imported, and its hints and progress bars are kept from the output, which belongs to the caller.

DVC names content by MD5. That is recorded as what it is, where DVC keeps the bytes; identity is always the SHA-256 that
lineage computes itself.
"""

import configparser
import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineage.activity import activity
from lineage.errors import LineageError


def is_repo(folder: Path) -> bool:
    """Return whether ``folder`` itself is the root of a DVC repository; loads no DVC to say so."""
    return (folder / ".dvc" / "config").is_file()


def moves_cache(folder: Path) -> bool:
    """Return whether a repository's own settings keep the cache elsewhere, so that no store lies in ``.dvc/cache``."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read([folder / ".dvc" / "config", folder / ".dvc" / "config.local"], encoding="utf-8")
    except (configparser.Error, ValueError):
        return True  # DVC will say what is wrong
    return settings.has_option("cache", "dir")


def tracked_hash(path: Path) -> str | None:
    """Return the MD5 under which DVC tracks a file: from its ``.dvc`` file, or a ``dvc.lock`` at or above it.

    Reads those files only: the bytes on disk may have changed since.
    """
    beside = path.with_name(path.name + ".dvc")
    if beside.is_file():
        return _hash_in(_loaded(beside).get("outs"), path.name)
    for folder in path.absolute().parents:
        lock = folder / "dvc.lock"
        if lock.is_file():
            name = path.absolute().relative_to(folder).as_posix()
            stages = _loaded(lock).get("stages")
            listed = stages.values() if isinstance(stages, dict) else ()
            hashes = (_hash_in(stage.get("outs"), name) for stage in listed if isinstance(stage, dict))
            return next((found for found in hashes if found), None)
    return None


def track(path: Path) -> str:
    """Put a file under DVC (as ``dvc add``) and return the MD5 it is kept under.

    Raises ``LineageError`` if DVC is not installed or refuses.
    """
    root = root_of(path)
    if root is None:
        raise LineageError(f"{path}: lies in no DVC repository; run `dvc init`, or leave DVC out with --no-dvc")
    with opened(root) as repo:
        try:
            stages = repo.add([str(path)])
            return str(stages[0].outs[0].hash_info.value)
        except Exception as problem:  # DVC has a tree of its own, and lets those of its storage libraries through
            raise LineageError(
                f"{path}: DVC cannot track it ({reason(problem)}); mend that, or leave DVC out with --no-dvc"
            ) from problem


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Any]:
    """Open the DVC repository at ``root`` in silence; only one may be open in a process.

    What DVC raises, at opening or inside the block, becomes a ``LineageError`` of one line.
    """
    os.environ["DVC_NO_ANALYTICS"] = "1"
    silence = io.StringIO()
    with (
        activity("working with DVC"),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
    ):
        warnings.simplefilter("ignore")  # deprecations among DVC's own libraries
        try:
            from dvc.exceptions import DvcException
            from dvc.repo import Repo
        except ImportError as problem:
            raise LineageError(
                "this folder is a DVC repository; pip install 'disgorge[dvc]', or leave DVC out with --no-dvc"
            ) from problem
        try:
            with Repo(str(root)) as repo:
                yield repo
        except DvcException as problem:
            raise LineageError(f"DVC in {root.name} failed ({reason(problem)}); run `dvc doctor`") from problem


def reason(problem: Exception) -> str:
    """Return what a library raised as one short line."""
    return " ".join(str(problem).split())[:200] or type(problem).__name__


def root_of(path: Path) -> Path | None:
    """Return the root of the DVC repository a file or folder is in, or None; DVC is not imported to find out."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if is_repo(folder)), None)


def _loaded(file: Path) -> dict[str, Any]:
    try:
        from dvc.utils.serialize import load_yaml
    except ImportError as problem:
        raise LineageError(f"{file}: reading it needs DVC; pip install 'disgorge[dvc]'") from problem
    try:
        told = load_yaml(str(file))
    except Exception as problem:  # as in track
        raise LineageError(f"{file}: cannot be read as DVC writes it; restore it from git") from problem
    return told if isinstance(told, dict) else {}


def _hash_in(outs: Any, name: str) -> str | None:
    for out in outs if isinstance(outs, list) else ():
        if isinstance(out, dict) and out.get("path") == name and isinstance(out.get("md5"), str):
            return str(out["md5"])
    return None
