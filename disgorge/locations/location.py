"""The contract of a location, where copies of data or weights may lie. Each location is one class in one file.

A location searches for what must be gone, plans its deletion (the dry run) and deletes. What it could not look into is
part of what a search returns, so that no location can leave it out. :mod:`disgorge.locations.every` lists all of them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from itertools import chain
from os import fsencode
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from disgorge.locations.fingerprints import LEAST_BYTES, holds_any
from lineage.ledger.chain import Fact
from lineage.ledger.state import State
from lineage.storage.file_types import Reading, is_text, lists_any
from lineage.storage.objects import sha256_of
from lineage.storage.other_forms import OtherForms
from lineage.storage.tensor_samples import TensorSample
from lineage.workspace import Workspace

T = TypeVar("T", "Traces", "Deletion")
SAME_TEXT = "is equal to a file of a removed component; delete it or, if it is public, record what it is part of"
"""Said of text, which may be settings or a vocabulary that others have as well: a person decides."""


OTHER_FORM = "holds removed weights in another form"
"""How words begin about a file with tensors that come from removed ones."""


class Copy(StrEnum):
    """What became of a copy that was not erased: the one word for it in reports and in JSON."""

    UNSUPPORTED = "unsupported"
    """It lies where this tool deletes nothing."""
    RESIDUAL = "residual"
    """It is still there, and stops a certificate."""
    NOT_ENUMERATED = "not enumerated"
    """Whether there is one is not known: the place could not be looked into."""

    def words(self, sentences: Iterable[str]) -> tuple[str, ...]:
        """Return sentences about such copies, the word before each."""
        return tuple(f"{self}: {each}" for each in sentences)


@dataclass(frozen=True, slots=True)
class Spare:
    """What something live needs and no location deletes: digest to who needs it, by these facts and their state."""

    shards: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    """Retired components that a live release serves all the same: not deleted, yet a residue."""
    outlived: frozenset[str] = frozenset()
    """Images that no report may show any more (:mod:`disgorge.locations.report_images`)."""
    facts: tuple[Fact, ...] = ()
    state: State = field(default_factory=State)


@dataclass(frozen=True, slots=True)
class Target:
    """Digests of what must be gone: shards, weights and tensors by SHA-256, withdrawn items, compositions of weights.

    ``weights`` are objects: components of tensors, listings of those that are folders, and the files of these.
    ``files`` are the files among them, with their sizes; those too small to be known by their bytes go as objects and
    are looked for nowhere else (:attr:`known`). ``request`` is the request it is removed for. ``marks`` are those of
    the items' rows in texts (:mod:`lineage.shards.row_marks`). ``samples`` are those of the tensors, by which they are
    known in ``other_forms``: that compares them, and is made where the search begins.
    """

    shards: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    items: frozenset[str] = frozenset()
    tensors: frozenset[str] = frozenset()
    compositions: frozenset[str] = frozenset()
    request: str = ""
    files: Mapping[str, int] = field(default_factory=dict)
    marks: Mapping[str, Collection[str]] = field(default_factory=dict)
    samples: tuple[TensorSample, ...] = ()
    other_forms: OtherForms = field(default_factory=lambda: OtherForms(()), compare=False)

    @property
    def known(self) -> tuple[str, ...]:
        """Those of the weights that are looked for outside the object store: what is too small is equal by chance."""
        return tuple(each for each in self.weights if self.files.get(each, LEAST_BYTES) >= LEAST_BYTES)

    def with_files(self, files: Mapping[str, int]) -> "Target":
        """Return the target with these files, by digest with their sizes, of components that are folders."""
        weights = dict.fromkeys((*self.weights, *files))
        return replace(self, weights=tuple(weights), files={**self.files, **files})

    def without(self, shards: Iterable[str], weights: Iterable[str]) -> "Target":
        """Return the target without these shards and weights, each digest once."""
        kept, needed = set(shards), set(weights)
        return replace(
            self,
            shards=tuple(digest for digest in dict.fromkeys(self.shards) if digest not in kept),
            weights=tuple(digest for digest in dict.fromkeys(self.weights) if digest not in needed),
        )

    def look(
        self, paths: Iterable[Path], *, stored: bool = False, seen: "Seen | None" = None
    ) -> tuple[dict[Path, str], list[Path]]:
        """Return in words what each of these files holds of the target, and which of them cannot be read as data.

        ``stored`` is for a place where only data is kept. How each of the others was looked at is noted in ``seen``.
        """
        matches, unread, seen = dict[Path, str](), list[Path](), seen or Seen()
        known, sizes = frozenset(self.known), frozenset(self.files.values())
        for path in paths:
            try:
                reading = Reading.of(path, stored=stored)
                words = self._trace_in(path, reading, known, sizes) or self._other_form_in(path, reading, seen)
            except FileNotFoundError:
                continue  # another program's file, deleted meanwhile
            except (OSError, ValueError):  # closed, or damaged: Arrow and safetensors raise a ValueError
                unread.append(path)
                continue
            if words is not None:
                matches[path] = words
            elif reading is Reading.UNREAD:
                unread.append(path)
                continue
            (seen.opened if reading is Reading.WORDS else seen.compared).append(path)
        return matches, unread

    def _other_form_in(self, path: Path, reading: Reading, seen: "Seen") -> str | None:
        if reading is not Reading.SAFETENSORS:
            return None
        forms = self.other_forms.look(path)
        if forms.open_shapes:
            seen.undecided.append(path)
        if not forms.found:
            return None
        more = f" and {len(forms.found) - 1:,} more" if len(forms.found) > 1 else ""
        return f"{OTHER_FORM}: {forms.found[0]}{more}"

    def _trace_in(self, path: Path, reading: Reading, known: AbstractSet[str], sizes: AbstractSet[int]) -> str | None:
        if reading is Reading.PARQUET and self.items and lists_any(path, self.items):
            return "holds withdrawn items"
        is_tensors = reading is Reading.SAFETENSORS
        if known and (is_tensors or path.stat().st_size in sizes):
            if sha256_of(path) in known:
                return "is one of the weights" if is_tensors or not is_text(path) else SAME_TEXT
        if is_tensors and holds_any(path, self.tensors):
            return "holds some of the weights"
        return None


@dataclass(slots=True)
class Seen:
    """How a search looked at files: compared them with its target by what they hold, or only opened them, as text is.

    ``undecided`` have tensors of the removed weights' shapes that may or may not come from them; those ``naming`` a
    removed person hold no row that is known.
    """

    compared: list[Path] = field(default_factory=list)
    opened: list[Path] = field(default_factory=list)
    undecided: list[Path] = field(default_factory=list)
    naming: list[Path] = field(default_factory=list)

    def compare(self, paths: Collection[Path]) -> None:
        """Note files as compared, those that were only opened so far too."""
        self.opened = [path for path in self.opened if path not in paths]
        self.compared += paths

    def traces(self) -> "Traces":
        """Return it as part of what a search returns."""
        return Traces(compared=tuple(self.compared), opened=tuple(self.opened), undecided=tuple(self.undecided))


@dataclass(frozen=True, slots=True)
class Traces:
    """What a search found, and what it could not look into.

    ``found`` and ``needs_a_person`` (a copy that only a person can judge) are residual and stop a certificate.
    ``unreachable`` and ``unreadable`` are not enumerated: the first, in words, makes the certificate inconclusive, the
    second are files that are there and cannot be read as data. ``compared``, ``opened`` and ``undecided`` are those of
    :class:`Seen`. ``unsupported`` copies lie where nothing is deleted;
    ``unexplained`` are registered models that no composition explains (None without a registry).
    """

    found: tuple[str, ...] = ()
    needs_a_person: tuple[str, ...] = ()
    unreadable: tuple[Path, ...] = ()
    unreachable: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    unexplained: tuple[str, ...] | None = None
    compared: tuple[Path, ...] = ()
    opened: tuple[Path, ...] = ()
    undecided: tuple[Path, ...] = ()

    @property
    def left(self) -> tuple[str, ...]:
        """Every trace that stops a certificate."""
        return (*self.needs_a_person, *self.found)

    def __add__(self, other: "Traces") -> "Traces":
        return _sum(self, other)  # each once: two locations may look into one file


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is deleted of a target: planned, or done.

    ``paths`` are files, ``records`` entries of stores and ``rewritten`` what names less afterwards, in words. ``kept``
    is spared because something live needs it, ``left`` says what is out of reach or could not be deleted, and why.
    ``ahead`` counts the steps of a plan that come before and are not done yet.
    """

    target: Target = Target()
    spare: Spare = field(default_factory=Spare)
    paths: tuple[Path, ...] = ()
    records: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    ahead: int = 0

    @property
    def entries(self) -> tuple[str, ...]:
        """Every file, record and rewritten entry, as text."""
        return (*map(str, self.paths), *self.records, *self.rewritten)

    def __add__(self, other: "Deletion") -> "Deletion":
        return _sum(self, other)


@dataclass(frozen=True)
class Location:
    """A place where copies may lie; ``target`` and ``spare`` must have no digest in common.

    Third parties register a subclass in the entry-point group ``disgorge.locations``. What a method raises stops the
    purge before this location, and makes the search inconclusive.
    """

    workspace: Workspace
    name: ClassVar[str]

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look for traces of the target; reads only."""
        raise NotImplementedError

    def present(self, target: Target) -> Iterable[Path]:
        """Yield the files that are there under the names of the target: an audit's look, which loads no library."""
        return ()

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """Return what :meth:`delete` would delete, for this target and spare; reads only. By default nothing."""
        return Deletion()

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what was planned, or what its target finds now, and return what went; twice does no harm."""
        return delete_files(planned, self.workspace.root)


def shown(path: Path, root: Path) -> str:
    """Return a path as seen from a folder, fit to be written anywhere."""
    root, named = root.absolute(), path.absolute()
    text = fsencode(named.relative_to(root) if named.is_relative_to(root) else named).decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def delete_files(planned: Deletion, root: Path, *, anywhere: bool = False) -> Deletion:
    """Delete the planned files, those that lie in a folder or ``anywhere``; what has another name is said to be left.

    A file that a link on its path leads out of the folder is left.
    """
    deleted, left, real = [], list(planned.left), root.resolve()
    for path in planned.paths:
        name = shown(path, root)
        if not anywhere and not path.parent.resolve().is_relative_to(real):
            words = f"{name} lies outside the workspace by way of a link and was left; delete it there"
            left += Copy.RESIDUAL.words([words])
            continue
        left += Copy.UNSUPPORTED.words(_elsewhere(path, name, real))
        try:
            path.unlink(missing_ok=True)
            deleted.append(path)
        except OSError as problem:
            words = f"{name} could not be deleted ({problem.strerror}); check its permissions and repeat"
            left += Copy.RESIDUAL.words([words])
    return replace(planned, paths=tuple(deleted), left=tuple(left))


def _elsewhere(path: Path, name: str, root: Path) -> Iterator[str]:
    if path.is_symlink() and path.exists() and not path.resolve().is_relative_to(root):
        yield f"{name} was a link out of the workspace; what it pointed at was left, delete it there"
    elif path.is_file() and path.stat().st_nlink > 1:
        yield f"{name} has another name somewhere (a hard link), under which its bytes are left; delete it there"


def _sum(one: T, other: T) -> T:
    """Return a value with what two say in each of their tuples, each once; None is a tuple that is not there."""
    values: dict[str, Any] = {}
    for each in fields(one):
        both: list[Any] = [getattr(one, each.name), getattr(other, each.name)]
        if any(isinstance(several, tuple) for several in both):
            values[each.name] = tuple(dict.fromkeys(chain(*filter(None, both))))
    return replace(one, **values)
