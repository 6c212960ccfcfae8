"""What DVC knows of a shard's content: under which hash it is kept, and how to make it forget.

DVC is used in the process, not by its command line, which takes seconds a call. Its usage report is turned off before
it is imported, and its hints and progress bars are kept from the output, which belongs to the caller.

DVC names content by MD5. That is recorded as what it is, where DVC keeps the bytes; identity is always the SHA-256 that
lineage computes itself. What :func:`forget` cannot reach: git's history, which keeps names and hashes, and clones.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lineage.errors import LineageError


def is_repo(folder: Path) -> bool:
    """Return whether ``folder`` itself is the root of a DVC repository; loads no DVC to say so."""
    return (folder / ".dvc" / "config").is_file()


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
            stages = _loaded(lock).get("stages") or {}
            hashes = (_hash_in(stage.get("outs"), name) for stage in stages.values() if isinstance(stage, dict))
            return next((found for found in hashes if found), None)
    return None


def track(path: Path) -> str:
    """Put a file under DVC (as ``dvc add``) and return the MD5 it is kept under.

    Raises ``LineageError`` if DVC is not installed or refuses.
    """
    with _repository(path) as repo:
        try:
            stages = repo.add([str(path)])
            return str(stages[0].outs[0].hash_info.value)
        except Exception as problem:  # DVC has a tree of its own, and lets those of its storage libraries through
            reason = " ".join(str(problem).split()) or type(problem).__name__
            raise LineageError(f"{path}: DVC cannot track it ({reason}); mend that, or pass dvc=False") from problem


def forget(path: Path, md5: str) -> tuple[str, ...]:
    """Remove a file from the working folder, from DVC's cache, its run-cache and its remotes.

    Returns the places that still hold the bytes, in words; none means that all of them are gone. Idempotent.
    """
    left = []
    with _repository(path) as repo:
        try:
            if path.with_name(path.name + ".dvc").is_file():
                repo.remove(str(path) + ".dvc", outs=True)
            path.unlink(missing_ok=True)
            stores = {"the DVC cache": repo.cache.local}
            for name in repo.config.get("remote") or {}:
                stores[f"the DVC remote '{name}'"] = repo.cloud.get_remote_odb(name)
            for place, store in stores.items():
                if store.exists(md5):
                    store.delete(md5)
                if store.exists(md5):
                    left.append(place)
            _forget_runs(Path(repo.stage_cache.cache_dir), md5)
        except Exception as problem:  # as in track
            reason = " ".join(str(problem).split()) or type(problem).__name__
            raise LineageError(f"{path}: DVC cannot forget it ({reason}); mend that, then repeat") from problem
    return tuple(left)


def _forget_runs(folder: Path, md5: str) -> None:
    """Delete remembered runs that read the file: DVC would restore what they made, without training again."""
    for run in folder.rglob("*"):
        if run.is_file() and md5 in run.read_text(encoding="utf-8", errors="replace"):
            run.unlink()


@contextlib.contextmanager
def _repository(path: Path) -> Iterator[Any]:
    """Open the DVC repository that holds ``path``, in silence; only one may be open in a process."""
    os.environ["DVC_NO_ANALYTICS"] = "1"
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")  # deprecations among DVC's own libraries
        try:
            from dvc.exceptions import DvcException
            from dvc.repo import Repo
        except ImportError as problem:
            raise LineageError(
                "this folder is a DVC repository; pip install 'disgorge[dvc]', or pass dvc=False"
            ) from problem
        try:
            repo = Repo(str(_root(path)))
        except DvcException as problem:
            raise LineageError(
                f"{path}: its DVC repository cannot be opened ({problem}); run `dvc doctor`"
            ) from problem
        with repo:
            yield repo


def _root(path: Path) -> Path:
    for folder in path.absolute().parents:
        if is_repo(folder):
            return folder
    raise LineageError(f"{path}: lies in no DVC repository; run `dvc init`, or pass dvc=False")


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
