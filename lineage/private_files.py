"""The JSON files of ``private/``, read by their form: requests, near-duplicates, holds, what DVC may keep.

No other file can stand in for a damaged one, so an error names it, what is lost with it and the way out. What stands in
a file is never in an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lineage.errors import LineageError
from lineage.workspace import Workspace

Form = TypeVar("Form")


@dataclass(frozen=True)
class AskedFor:
    """A request's file: its hidden selectors, value by mark. Particulars beside them are whatever they are."""

    selectors: dict[str, str]


@dataclass(frozen=True)
class Added:
    """What a person added to a request: digests of near-duplicates."""

    items: list[str]


@dataclass(frozen=True)
class HeldItems:
    """What holds on some items select, for one request: hidden values by mark."""

    selectors: dict[str, str]


DvcKept = dict[str, dict[str, list[str]]]
"""What DVC may keep, by the digest of a shard or object: hashes, by how they are known."""

_RESTORE = "restore it from a backup of the private folder"
_LOST: dict[Any, str] = {
    AskedFor: f"so which items were meant is not known; {_RESTORE}, or deny the request and file it again",
    Added: f"so which near-duplicates were added is not known; {_RESTORE}, or deny the request and file it again",
    HeldItems: f"so which items are held is not known; {_RESTORE}, or lift the hold and put it on again",
    DvcKept: f"so what DVC kept of what was purged is not known; {_RESTORE}, or delete it and look in DVC's cache "
    "yourself",
}
_FOLDERS: dict[str, Any] = {
    "requests/*.json": AskedFor,
    "near/*.json": Added,
    "holds/*.json": HeldItems,
    "dvc.json": DvcKept,
}


def read_private(path: Path, form: type[Form]) -> Form:
    """Return what a private file holds; :class:`LineageError` for one that cannot be read or has another form."""
    from pydantic import TypeAdapter, ValidationError  # read on use: most commands read no private file

    try:
        return TypeAdapter(form).validate_json(path.read_bytes())
    except ValidationError as problem:
        words = problem.errors(include_input=False, include_context=False)[0]["msg"]
    except OSError as problem:
        words = problem.strerror or "it cannot be opened"
    raise LineageError(f"{path}: cannot be read ({words[:1].lower()}{words[1:]}), {_LOST[form]}")


def damaged_files(workspace: Workspace) -> Iterator[tuple[str, LineageError]]:
    """Yield every private file that is not whole, by its path within ``private``, and what is the matter with it."""
    for pattern, form in _FOLDERS.items():
        for path in sorted(workspace.private.folder.glob(pattern)):
            try:
                read_private(path, form)
            except LineageError as error:
                yield path.relative_to(workspace.private.folder).as_posix(), error
