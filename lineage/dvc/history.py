"""What DVC's files said in git's history: every version of every ``dvc.lock`` and ``.dvc`` file.

A hash that only an old commit names is one ``git checkout`` and ``dvc checkout`` away. So all that any branch, tag,
stash, experiment or reflog still reaches is read, with git itself, which knows the versions of a path in one walk; the
working tree's own files are read elsewhere. Negative consequence: other clones are not seen.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lineage.dvc.repo import reason

_FILES = (":(glob)**/dvc.lock", ":(glob)**/*.dvc")
_SECONDS = 600
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""Reads every scalar as text, ten times as fast as what DVC reads with: there may be a thousand versions."""


@dataclass(frozen=True)
class PastFile:
    """One version of a ``dvc.lock`` or ``.dvc`` file: where it lies or lay, and its bytes."""

    path: Path
    text: bytes

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """What it says: a lock file's stages, or a ``.dvc`` file as a whole."""
        try:
            document = yaml.load(self.text, _LOADER)
        except yaml.YAMLError:
            return []  # damaged: DVC cannot use it either
        if not isinstance(document, dict):
            return []
        stages = document.get("stages") if self.is_lock else {"": document}
        return [body for body in stages.values() if isinstance(body, dict)] if isinstance(stages, dict) else []

    @property
    def is_lock(self) -> bool:
        """Whether it says what stages read and made."""
        return self.path.name == "dvc.lock"


def past_files(root: Path, out_of_reach: list[str]) -> Iterator[PastFile]:
    """Yield every version of DVC's files below a folder that git reaches; none where there is no git."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    try:
        top = Path(os.fsdecode(_git(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
        listed = _git(root, "rev-list", "--all", "--reflog", "--full-history", "--objects", "--", *_FILES)
        names = dict(line.split(b" ", 1) for line in listed.splitlines() if b" " in line)
        wanted = {oid: name for oid, name in names.items() if name.endswith((b"dvc.lock", b".dvc"))}
        answer = _git(root, "cat-file", "--batch", given=b"".join(oid + b"\n" for oid in wanted)) if wanted else b""
    except (OSError, subprocess.SubprocessError) as problem:
        out_of_reach.append(f"git's history of DVC's files could not be read ({reason(problem)})")
        return
    while answer:
        head, _, answer = answer.partition(b"\n")
        oid, kind, size = head.split(b" ")
        if kind == b"blob":
            yield PastFile(top / os.fsdecode(wanted[oid]), answer[: int(size)])
        answer = answer[int(size) + 1 :]


def _git(root: Path, *arguments: str, given: bytes | None = None) -> bytes:
    command = ["git", "-c", "core.quotePath=false", "-C", str(root), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=_SECONDS)
    if done.returncode:
        raise subprocess.SubprocessError(done.stderr.decode("utf-8", "replace"))
    return done.stdout
