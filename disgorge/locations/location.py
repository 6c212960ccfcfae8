"""The contract of a location: somewhere copies of data or weights may rest. Each place is one class in one file.

A location searches for what must be gone, plans its deletion (the dry run) and deletes. What it could not look into is
part of what a search returns, so that no location can leave it out. :mod:`disgorge.locations.every` lists all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from os import fsencode
from pathlib import Path
from typing import Protocol, TypeVar

from disgorge.locations.fingerprints import holds_any
from lineage.storage.file_types import Reading, holds
from lineage.storage.objects import sha256_of
from lineage.workspace import Workspace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spare:
    """What something live needs and no location deletes: digest to who needs it."""

    shards: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    """Retired components that a live release serves all the same: not deleted, yet a residue."""
    outlived: frozenset[str] = frozenset()
    """Images that no report may show any more (:mod:`disgorge.locations.report_images`)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Digests of what must be gone: shards, weights and tensors by SHA-256, withdrawn items, compositions of weights.

    ``request`` is the request it is removed for.
    """

    shards: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    items: frozenset[str] = frozenset()
    tensors: frozenset[str] = frozenset()
    compositions: frozenset[str] = frozenset()
    request: str = ""

    def without(self, shards: Iterable[str], weights: Iterable[str]) -> "Target":
        """Return the target without these shards and weights, each digest once."""
        kept, needed = set(shards), set(weights)
        return replace(
            self,
            shards=tuple(digest for digest in dict.fromkeys(self.shards) if digest not in kept),
            weights=tuple(digest for digest in dict.fromkeys(self.weights) if digest not in needed),
        )

    def trace_in(self, path: Path, reading: Reading) -> str | None:
        """Return in words what of the target a file holds, None for nothing. May raise ``OSError``."""
        if reading is Reading.PARQUET and self.items and holds(path, self.items):
            return "holds withdrawn items"
        if reading is Reading.SAFETENSORS:
            if self.weights and sha256_of(path) in self.weights:
                return "is one of the weights"
            if holds_any(path, self.tensors):
                return "holds some of the weights"
        return None


@dataclass(frozen=True, slots=True)
class Traces:
    """What a search found, and what it could not look into.

    ``found`` and ``needs_a_person`` (a copy that only a person can judge) stop a certificate, and ``unreachable`` makes
    it inconclusive. ``unreadable`` files are there and cannot be read as data, ``unsupported`` copies lie where nothing
    is deleted, ``unexplained`` are registered models that no composition explains (None without a registry): named in
    the report. ``places`` counts what was looked at.
    """

    found: tuple[str, ...] = ()
    needs_a_person: tuple[str, ...] = ()
    unreadable: tuple[Path, ...] = ()
    unreachable: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    unexplained: tuple[str, ...] | None = None
    places: int = 0

    @property
    def left(self) -> tuple[str, ...]:
        """Every trace that stops a certificate."""
        return (*self.needs_a_person, *self.found)

    def __add__(self, other: "Traces") -> "Traces":
        registries = [each.unexplained for each in (self, other) if each.unexplained is not None]
        return Traces(
            self.found + other.found,  # two copies may be called the same
            _once(self.needs_a_person, other.needs_a_person),
            _once(self.unreadable, other.unreadable),
            _once(self.unreachable, other.unreachable),
            _once(self.unsupported, other.unsupported),
            _once(*registries) if registries else None,
            self.places + other.places,
        )


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is deleted of a target: planned, or done.

    ``paths`` are files, ``records`` entries of stores and ``rewritten`` what names less afterwards, in words. ``kept``
    is spared because something live needs it, ``left`` is out of reach or could not be deleted, and why.
    """

    target: Target = Target()
    spare: Spare = field(default_factory=Spare)
    paths: tuple[Path, ...] = ()
    records: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[str, ...]:
        """Every file, record and rewritten entry, as text."""
        return (*map(str, self.paths), *self.records, *self.rewritten)

    def __add__(self, other: "Deletion") -> "Deletion":
        return replace(
            self,
            paths=_once(self.paths, other.paths),
            records=_once(self.records, other.records),
            rewritten=_once(self.rewritten, other.rewritten),
            kept=_once(self.kept, other.kept),
            left=_once(self.left, other.left),
        )


class Location(Protocol):
    """Somewhere copies may rest; ``target`` and ``spare`` have nothing in common when they are handed in.

    Third parties register a callable that takes the workspace and returns one, in the entry-point group
    ``disgorge.locations``.
    """

    @property
    def name(self) -> str:
        """The name by which it is told of."""
        ...

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look for traces of the target; reads only."""
        ...

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """Return what :meth:`delete` would delete, for this target and spare; reads only."""
        ...

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what was planned, or what its target finds now, and return what went; twice does no harm."""
        ...


def shown(path: Path, workspace: Workspace) -> str:
    """Return a path as seen from the workspace, fit to be written anywhere."""
    root = workspace.root.absolute()
    named = path.absolute()
    text = fsencode(named.relative_to(root) if named.is_relative_to(root) else named).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def delete_files(workspace: Workspace, planned: Deletion) -> Deletion:
    """Delete planned files that lie in the workspace; what has another name elsewhere is said to be left there."""
    deleted, left = [], list(planned.left)
    for path in planned.paths:
        name = shown(path, workspace)
        if not path.parent.resolve().is_relative_to(workspace.root.resolve()):
            left.append(f"{name} lies outside the workspace by way of a link and was left; delete it there")
            continue
        left += _elsewhere(workspace, path, name)
        try:
            path.unlink(missing_ok=True)
            deleted.append(path)
        except OSError as problem:
            left.append(f"{name} could not be deleted ({problem.strerror}); check its permissions and repeat")
    return replace(planned, paths=tuple(deleted), left=tuple(left))


def _elsewhere(workspace: Workspace, path: Path, name: str) -> Iterator[str]:
    if path.is_symlink() and not path.resolve().is_relative_to(workspace.root.resolve()):
        yield f"{name} was a link out of the workspace; what it pointed at was left, delete it there"
    elif path.is_file() and path.stat().st_nlink > 1:
        yield f"{name} has another name somewhere (a hard link), under which its bytes are left; delete it there"


def _once(*several: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(each for one in several for each in one))
