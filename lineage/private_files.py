"""The kinds of JSON file in ``private/``: where they lie, what they hold, what is lost with one.

No other file can stand in for a damaged one, so an error names it, what is lost with it and the way out. What stands in
a file is never in an error. Keys and the list of withdrawn items are not JSON: :mod:`lineage.private`.
"""

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lineage.errors import LineageError
from lineage.records import adapter
from lineage.storage.objects import remove_asides, write_atomically
from lineage.storage.tensor_samples import TensorSample
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Form = TypeVar("Form")


@dataclass(frozen=True)
class PrivateFile(Generic[Form]):
    """A kind of private file. ``pattern`` is its path within ``private``, with ``*`` for a file's own name.

    A ``sealed`` one carries a keyed seal of its text and its name, so that an edited or exchanged one is refused.
    """

    pattern: str
    form: type[Form]
    """What a file of this kind holds, as pydantic checks it."""
    lost: str
    """What is lost with it, and the way out."""
    sealed: bool = False

    @property
    def _adapter(self) -> "TypeAdapter[Form]":
        kind: Any = self.form  # mypy takes a variable's type for one that cannot be hashed
        return adapter(kind)

    def path(self, workspace: Workspace, name: str = "") -> Path:
        """Return where the file of this name lies, whether it is there or not."""
        return workspace.private.folder / self.pattern.replace("*", name)

    def paths(self, workspace: Workspace) -> list[Path]:
        """Return the files of this kind that are there, in order."""
        return sorted(workspace.private.folder.glob(self.pattern))

    def read(self, workspace: Workspace, name: str = "") -> Form | None:
        """Return what a file holds, None if it is not there; :class:`LineageError` for a damaged one."""
        path = self.path(workspace, name)
        return self.read_at(workspace, path) if path.exists() else None

    def write(self, workspace: Workspace, value: Form, name: str = "") -> str:
        """Write a file, over what a killed command may have left, and return the SHA-256 of its bytes."""
        path, body = self.path(workspace, name), self._adapter.dump_json(value)
        if self.sealed:
            body = adapter(_Sealed).dump_json(_Sealed(body.decode(), self._seal(workspace, path, body.decode())))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(path, body, mode=0o600)
        return hashlib.sha256(body).hexdigest()

    def erase(self, workspace: Workspace, name: str = "") -> bool:
        """Delete a file and what a killed command left half-written beside it; returns whether there was one.

        The caller holds the lock under which files of this kind are written.
        """
        path = self.path(workspace, name)
        there = path.exists()
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            remove_asides(path.parent)
        return there

    def read_at(self, workspace: Workspace, path: Path) -> Form:
        """Return what the file at one of :meth:`paths` holds; :class:`LineageError` for a damaged one."""
        from pydantic import ValidationError  # read on use: most commands read no private file

        try:
            body: bytes | str = path.read_bytes()
            if self.sealed:
                sealed = adapter(_Sealed).validate_json(body)
                body = sealed.text
                if not hmac.compare_digest(sealed.seal, self._seal(workspace, path, sealed.text)):
                    raise LineageError(f"{path}: was changed, or withdrawn.key was, {self.lost}")
            return self._adapter.validate_json(body)
        except ValidationError as problem:
            words = problem.errors(include_input=False, include_context=False)[0]["msg"]
        except OSError as problem:
            words = problem.strerror or "it cannot be opened"
        raise LineageError(f"{path}: cannot be read ({words[:1].lower()}{words[1:]}), {self.lost}")

    def _seal(self, workspace: Workspace, path: Path, text: str) -> str:
        return workspace.private.seal(f"{path.stem} {text}")


@dataclass(frozen=True)
class _Sealed:
    text: str
    seal: str


@dataclass(frozen=True)
class RequestParticulars:
    """A request's hidden selectors, value by keyed mark, and the particulars beside them."""

    request: str
    salt: str
    selectors: dict[str, str]
    particulars: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AddedItems:
    """Digests of the near-duplicates that a person added to a request."""

    items: list[str]


@dataclass(frozen=True)
class HeldItems:
    """What the holds on some items of a request select: hidden values by keyed mark."""

    selectors: dict[str, str]


@dataclass(frozen=True)
class WithdrawnItems:
    """Digests of the items that a plan withdraws, with what searches for them need."""

    items: list[str] = field(default_factory=list)
    likenesses: dict[str, str] = field(default_factory=dict)
    """By item digest, of those that have one: how near-duplicates are known."""
    own: dict[str, list[str]] | None = None
    """Of a joint plan, the items that each of its requests selects, by the request's id."""
    found_before: int | None = None
    recognized: list[str] = field(default_factory=list)
    tensors: list[str] = field(default_factory=list)
    samples: list[TensorSample] = field(default_factory=list)
    """Of these tensors, by which they are known when they are rounded, cut or in a sum."""
    files: dict[str, int] = field(default_factory=dict)
    """By digest the sizes of the files that go with components which are folders."""
    row_marks: dict[str, list[str]] = field(default_factory=dict)
    """By item digest, keyed hashes of values by which its row is known in a text."""
    overlap: dict[str, Any] | None = None
    """The fact that names this list, where another request took its items."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """How a file or folder was read: kinds of fields, how text is encoded and divided, and whether files are whole.

    ``decimal`` stands before the fraction of a number, ``missing`` tells that nulls were kept, and ``metadata`` that a
    folder had a file with a line for each of its files.
    """

    kinds: dict[str, str]
    encoding: str
    whole: bool
    delimiter: str | None = None
    decimal: str | None = None
    missing: bool = False
    metadata: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file or folder as it was read: each of its files by name within it, "" for itself, with size and SHA-256.

    ``md5`` is the name DVC keeps a single file under. With ``in_place`` the items lie there and nowhere else; ``files``
    then has one for each item, and the item's digest in place of the file's. ``copied`` tells how it was read if not.
    ``keyed`` has key and file of a folder's items where keys are not the names of files.
    """

    path: Path
    files: tuple[tuple[str, int, str], ...]
    md5: str | None
    in_place: FileReading | None = None
    copied: FileReading | None = None
    keyed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sources:
    """Where a shard was read from."""

    sources: list[SourceFile]


@dataclass(frozen=True)
class WrittenPage:
    """A page with pictures of items: for which request, where and when it was written, keyed marks of the items."""

    request: str
    path: Path
    on: str
    marks: list[str]


@dataclass(frozen=True)
class LetIn:
    """Keyed marks of the rows that may be here though their items were withdrawn, by keyed mark of the item."""

    rows: dict[str, list[str]]


@dataclass(frozen=True)
class Erased:
    """Keyed marks of erased persons, and of source and key of erased rows, and the likenesses of these."""

    persons: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    likenesses: list[str] = field(default_factory=list)


_RESTORE = "restore it from a backup of the private folder"
REQUESTS = PrivateFile(
    "requests/*.json",
    RequestParticulars,
    f"so which items were meant is not known; {_RESTORE}, or deny the request and file it again",
)
ADDED = PrivateFile(
    "near/*.json",
    AddedItems,
    f"so which near-duplicates were added is not known; {_RESTORE}, or deny the request and file it again",
)
HOLDS = PrivateFile(
    "holds/*.json",
    HeldItems,
    f"so which items are held is not known; {_RESTORE}, or lift the hold and put it on again",
)
WITHDRAWN = PrivateFile(
    "executions/*.json",
    WithdrawnItems,
    "so what was withdrawn can no longer be searched for; restore the private folder and resume",
    sealed=True,
)
SOURCES = PrivateFile(
    "sources/*.json",
    Sources,
    f"so where a shard was read from is not known; {_RESTORE}, or delete the file to go on without",
)
PAGES = PrivateFile(
    "pages/*.json",
    WrittenPage,
    f"so a page with pictures of removed items that it tells of is not known; {_RESTORE}, or look for the page and "
    "delete both",
)
LET_IN = PrivateFile(
    "let-in.json",
    LetIn,
    f"so which withdrawn items were let in again is not known; {_RESTORE}, or delete it and let them in again",
    sealed=True,
)
ERASED = PrivateFile(
    "erased.json",
    Erased,
    f"so whether an erased person comes back is not known; {_RESTORE}, or delete it to go on without",
    sealed=True,
)
DVC_KEPT = PrivateFile(
    "dvc.json",
    dict[str, dict[str, list[str]]],
    f"so what DVC kept of what was purged is not known; {_RESTORE}, or delete it and look in DVC's cache yourself",
)
"""What DVC may keep, by the digest of a shard or object: hashes, by how they are known."""
KINDS: tuple[PrivateFile[Any], ...] = (REQUESTS, ADDED, HOLDS, WITHDRAWN, SOURCES, PAGES, LET_IN, ERASED, DVC_KEPT)
"""Every kind there is: what the audit looks at."""


def name_of(request_id: str) -> str:
    """Return under which name a request's private files lie; it does not say the id."""
    return hashlib.sha256(request_id.encode()).hexdigest()[:32]


def damaged_files(workspace: Workspace) -> Iterator[tuple[str, LineageError]]:
    """Yield every private file that is not whole, by its path within ``private``, and what is the matter with it."""
    for kind in KINDS:
        for path in kind.paths(workspace):
            try:
                kind.read_at(workspace, path)
            except LineageError as error:
                yield path.relative_to(workspace.private.folder).as_posix(), error
