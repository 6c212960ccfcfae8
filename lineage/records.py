"""The nouns of lineage, as frozen values with canonical digests.

A value's digest is the SHA-256 of its canonical JSON (RFC 8785), so two machines that record the same thing agree
on its name. Nothing here reads a file or a clock.

>>> use = Use("ab" * 32, Role.TRAIN)
>>> digest_of(use) == digest_of(restore(Use, plain(use)))
True

Rules these records keep:

- a shard's digest covers its items' digests and nothing else: not its name, source, license or holder;
- a component's digest is that of its safetensors bytes, or of the tree of its files; its *name* is stable while digests
  come and go;
- an edge of a shard graph is a use of the other shard's *data*, never of the other component.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import rfc8785

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LEFT_OUT = "left out while empty"
"""Metadata of a field that records of earlier versions do not have: while it is empty, or has a default that is not and
is that, it does not change their digests."""

Json = Any
"""A value that canonical JSON can write: None, bool, int below 2**53, finite float, str, list, dict."""

Record = TypeVar("Record")


class Role(StrEnum):
    """How an input shaped a component. Every role counts as influence; none is "just preprocessing"."""

    TRAIN = "train"
    INITIALIZE = "initialize"
    NORMALIZE = "normalize"
    SELECT = "select"
    CALIBRATE = "calibrate"
    DISTILL = "distill"


@dataclass(frozen=True, slots=True)
class Item:
    """The smallest removable record: one manifest row.

    ``digest`` covers every byte that training may read (content and label or caption), not ``key``, ``subject`` or
    ``source``. ``subject`` is a keyed pseudonym, never a name. ``n_bytes`` counts the content's bytes. ``likeness`` is
    a hash by which near-duplicates are known (:mod:`lineage.perceptual_hash`), where one was asked for. ``written``
    says by keyed marks how the subject was written, and whether that is an id (:meth:`.Private.written`).
    """

    digest: str
    key: str
    subject: str | None
    source: str | None
    license: str | None
    n_bytes: int
    likeness: str | None = None
    written: str | None = None

    @property
    def is_id(self) -> bool:
        """Whether the subject is an id, so that what is written otherwise is another person."""
        return (self.written or "").startswith("id ")


@dataclass(frozen=True, slots=True)
class Shard:
    """A content-addressed set of items under one name.

    ``core`` declares its items not removable, on ``legal_basis``. ``derived_from`` is the digest of the shard this
    one was cut from. ``dvc`` is the hash under which DVC tracks the content, if it does. ``manifest`` is the SHA-256 of
    the manifest's file: keys, subjects and sources are in no item's digest, and a removal rests on them.
    """

    digest: str
    name: str
    source: str | None
    license: str | None
    legal_basis: str | None
    count: int
    core: bool = False
    derived_from: str | None = None
    dvc: str | None = None
    fields: tuple[str, ...] = ()
    """The names of the arrays each item has, for example ``("image", "label")``."""
    manifest: str | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something frozen that came from elsewhere: a file or folder of weights, a tokenizer, a configuration.

    ``digest`` is that of its tree (:mod:`lineage.storage.tree`), ``files`` and ``size`` (bytes) are of all of it. What
    lies ``in_place`` is not stored: its files stay where they were, and are checked when they are used.
    """

    digest: str
    name: str
    source: str
    license: str
    legal_basis: str
    files: int
    size: int
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """That a shard, a component or an artifact (``digest``) shaped a component, and as what."""

    digest: str
    role: Role


@dataclass(frozen=True, slots=True)
class Cost:
    """What training took, or is expected to take: examples processed, optimizer steps, seconds of wall clock."""

    examples: int = 0
    steps: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """Both, one after the other."""
        return Cost(self.examples + other.examples, self.steps + other.steps, self.seconds + other.seconds)


@dataclass(frozen=True, slots=True)
class Component:
    """A separable trained part, under a stable name: the digest of its safetensors bytes or, with ``files``, of a tree.

    ``kind`` is an open string. ``recipe`` is what was asked: method, version, parameters, seed, ordered uses, threads.
    ``environment`` is what it ran on: versions of the libraries it used, interpreter, processor, kernels. A component
    recorded by foreign code may leave both empty: such a component can be traced and withdrawn, not retrained.
    """

    digest: str
    name: str
    kind: str
    uses: tuple[Use, ...]
    recipe: dict[str, Json] = field(default_factory=dict)
    cost: Cost = Cost()
    locations: tuple[str, ...] = ()
    environment: dict[str, Json] = field(default_factory=dict, metadata={LEFT_OUT: True})
    files: bool = field(default=False, metadata={LEFT_OUT: True})

    @property
    def recipe_digest(self) -> str:
        """Digest of the recipe: an equal recipe in an equal environment makes an equal component."""
        return digest_of(self.recipe)


@dataclass(frozen=True, slots=True)
class Member:
    """A component's place in a composition: its name, its digest and the weight it enters with."""

    name: str
    component: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Composition:
    """Which components answer together, and how.

    ``method`` names the rule that combines them, ``spec`` is the model's description (see
    :class:`disgorge.method.ModelSpec`), ``members`` are sorted by component digest and then name.
    """

    method: str
    spec: dict[str, Json]
    members: tuple[Member, ...]

    @property
    def digest(self) -> str:
        """Digest over method, spec and members."""
        return digest_of(self)

    @property
    def stored_code(self) -> dict[str, Json]:
        """The code that it answers by, as recipes name it, where its description does: one composed by hand."""
        parameters = self.spec.get("parameters")
        stored = parameters.get("stored") if isinstance(parameters, dict) else None
        return stored if isinstance(stored, dict) else {}


@dataclass(frozen=True, slots=True)
class Release:
    """A composition made available under a name and alias. ``composition`` is its digest."""

    name: str
    alias: str
    composition: str
    contained: bool = False
    """True while the release must not be served because a request touches it."""

    @property
    def id(self) -> str:
        """Name and alias, as people write them; no digest reads like it."""
        return f"{self.name}@{self.alias}"


@dataclass(frozen=True, slots=True)
class Selector:
    """One condition that picks items: a field of the manifest and the value it must have.

    ``field`` is one of :data:`SELECTABLE`. A subject's value is what :meth:`lineage.private.Private.subject` makes of a
    name or an id; a pseudonym alone selects every id that folds to it as well.
    """

    field: str
    value: str


SELECTABLE = ("item", "key", "subject", "source", "license", "shard", "artifact")
"""Fields a selector may name; ``shard`` and ``artifact`` match a name or digest, the others a manifest column.

``source`` and ``license`` pick artifacts as well as items.
"""


@dataclass(frozen=True, slots=True)
class ShardChange:
    """What withdrawing the forget set does to one shard.

    ``after`` is the shard without the items, or None if nothing is left. ``removed`` counts manifest rows.
    """

    before: Shard
    after: Shard | None
    removed: int


@dataclass(frozen=True, slots=True)
class Path:
    """One way influence took: digests from a shard or artifact to a component, with the role of each step."""

    nodes: tuple[str, ...]
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Affected:
    """A live component the forget set reached, with every path it took (at least one)."""

    component: Component
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ReleaseHit:
    """A live release that contains at least one affected component."""

    release: Release
    composition: Composition


@dataclass(frozen=True, slots=True)
class Impact:
    """What a set of selectors touches, as of one head of the ledger. Read-only; every path kept.

    ``affected`` is in dependency order (inputs first). ``retained`` are live components of the releases hit that the
    forget set did not reach. ``duplicates`` counts rows found only because their bytes equal a selected item's,
    ``spellings`` the ways in which the persons are written, where some person is in several. ``other_rows`` are those
    of the duplicates, under keys of their own, that belong to ``others``, persons of whom nothing was selected.
    ``lineage_head`` is the digest of the last fact that changed lineage: a plan made from this impact is stale when
    it moves.
    """

    lineage_head: str
    shards: tuple[ShardChange, ...]
    affected: tuple[Affected, ...]
    retained: tuple[Component, ...]
    releases: tuple[ReleaseHit, ...]
    items: int = 0
    subjects: int = 0
    duplicates: int = 0
    licenses: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})
    """The licenses of the items themselves, as spelled; filled for a decision only, since nothing else reads them."""
    artifacts: tuple[Artifact, ...] = field(default=(), metadata={LEFT_OUT: True})
    """The live artifacts that are selected: each goes as a whole."""
    spellings: int = field(default=0, metadata={LEFT_OUT: True})
    others: int = field(default=0, metadata={LEFT_OUT: True})
    other_rows: int = field(default=0, metadata={LEFT_OUT: True})

    @property
    def hits_core(self) -> bool:
        """Whether a shard declared not removable holds one of the items."""
        return any(change.before.core for change in self.shards)

    @property
    def twins(self) -> str:
        """What persons who are not selected lose, because their rows equal selected ones, in words; "" if nothing."""
        if not self.others:
            return ""
        rows = "1 row" if self.other_rows == 1 else f"{self.other_rows:,} rows"
        people = "1 other person" if self.others == 1 else f"{self.others:,} other persons"
        return (
            f"{rows} of {people}, under keys of their own, hold the same values as what is selected, and go with it: a "
            "model that learned from them learned from these values"
        )

    @property
    def selected(self) -> tuple[Shard | Artifact, ...]:
        """The shards that hold selected items, and the selected artifacts, each as it was recorded."""
        return (*(change.before for change in self.shards), *self.artifacts)


def plain(value: Any) -> Json:
    """Return ``value`` as what JSON can write: records become dicts, tuples lists, enums values, dates ISO text."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: plain(getattr(value, each.name))
            for each in fields(value)
            if not each.metadata.get(LEFT_OUT) or not _says_nothing(each, getattr(value, each.name))
        }
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return value


def _says_nothing(field: Field[Any], value: Any) -> bool:
    """Return whether a record without this field says the same."""
    default = field.default
    return bool(value == default if default and default is not MISSING else not value)


def canonical(value: Any) -> bytes:
    """Return the canonical JSON (RFC 8785) of a record or plain value.

    Raises ``rfc8785.CanonicalizationError`` for what JSON cannot carry exactly, such as NaN.
    """
    return rfc8785.dumps(plain(value))


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``value``, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def restore(record: type[Record], value: Json) -> Record:
    """Return the ``record`` that :func:`plain` wrote as ``value``; ``pydantic.ValidationError`` if it does not fit."""
    kind: Any = record  # mypy takes a variable's type for one that cannot be hashed
    found: Record = adapter(kind).validate_python(value)
    return found


def restore_json(record: type[Record], text: str | bytes) -> Record:
    """Return the ``record`` that JSON text holds; ``pydantic.ValidationError`` unless every value has its very type."""
    kind: Any = record  # mypy takes a variable's type for one that cannot be hashed
    found: Record = adapter(kind).validate_json(text, strict=True)
    return found


@cache
def adapter(record: type[Any]) -> "TypeAdapter[Any]":
    """Return what validates a type of record, made once: making it takes a hundred times as long as using it."""
    from pydantic import TypeAdapter  # read on use: printing help needs no validation

    return TypeAdapter(record)


def is_unicode(text: str) -> bool:
    """Return whether text can be written at all: half a character, as names of files may hold, cannot."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def shard_digest(item_digests: Iterable[str]) -> str:
    """Return the digest of the shard that holds these items, in any order, repeats counted."""
    body = hashlib.sha256()
    for digest in sorted(item_digests):
        body.update(bytes.fromhex(digest))
    return body.hexdigest()


def in_member_order(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return members sorted as a composition keeps them, so that its digest does not remember an order of arrival."""
    return tuple(sorted(members, key=lambda member: (member.component, member.name)))
