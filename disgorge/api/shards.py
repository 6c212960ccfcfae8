"""Shards: recording, listing, showing, and checking them against what was recorded."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.api.lineage import apart, learned_rows
from disgorge.errors import WrongUse
from disgorge.request.case import docket
from disgorge.request.workflow.impact import left_out_lines
from disgorge.result import Listing, Result, require_name, require_reason, several
from lineage.catalog.catalog import Catalog
from lineage.catalog.trace import Node
from lineage.errors import LineageError
from lineage.formats.decoding.compressed import called as file_called
from lineage.git_ignored import ignore_data, is_exposed
from lineage.ledger.chain import Fact
from lineage.ledger.state import facts_about
from lineage.plural import counted
from lineage.records import Json, Shard, plain
from lineage.shards.add import Added, add_file, live_shards, shard_rows
from lineage.shards.divide import MOST_SHARDS, Division
from lineage.shards.files import check_items, check_manifests
from lineage.shards.validation.rules import Rules
from lineage.shown import Attention, Table, short, table
from lineage.storage.manifest import read_licenses
from lineage.workspace import Workspace
from policies.vocabulary.legal_basis import basis_of, require_basis
from policies.vocabulary.licenses import licenses_of, near_licenses

_DELIMITERS = {"tab": "\t", "\\t": "\t"}
"""What a delimiter may be called that no keyboard types into a command."""
_SHOWN = 5
"""Licenses named in a warning; the rest is a count."""


@dataclass(frozen=True, slots=True)
class ShardAdded(Result):
    """A shard as it was recorded, or had been before, and what was found about its items."""

    added: Added

    @property
    def shard(self) -> Shard:
        """The shard."""
        return self.added.shard

    def plain(self) -> Json:
        """Return the shard and what was found."""
        return plain(self.added)


def add_shards(
    workspace: Workspace,
    paths: Path | str | Sequence[Path | str],
    *,
    name: str | None = None,
    key: str | None = None,
    subject: str | None = None,
    subject_id: str | None = None,
    subject_name: str | None = None,
    source_column: str | None = None,
    license_column: str | None = None,
    fields: str | Sequence[str] | None = None,
    source: str | None = None,
    license: str | None = None,
    basis: str | None = None,
    core: bool = False,
    check: bool = True,
    rules: Path | None = None,
    dvc: bool | None = None,
    likeness: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: str = "refuse",
    by: str | None = None,
    into: int | None = None,
    most: int = MOST_SHARDS,
    files: bool = False,
    in_place: bool = False,
    let_in: str | None = None,
    reason: str | None = None,
    on_added: Callable[[ShardAdded], None] = lambda added: None,
) -> tuple[ShardAdded, ...]:
    """Read files or folders and record each as a shard, or as several, if it passes its checks: all of it, or none.

    ``key``, ``subject``, ``source_column`` and ``license_column`` name columns with each item's key, person, source and
    license; ``source`` and ``license`` are those of all items. Whether ``subject`` holds names, which are compared
    without case and spaces, or ids is guessed and said; ``subject_id`` and ``subject_name`` say it. ``fields``
    are the columns that training reads, ``basis`` the legal basis, ``core`` declares the items not removable. ``rules``
    is a JSON file with what the data must be beyond the usual, ``likeness`` is ``image:FIELD`` or ``text:FIELD``.
    ``dvc=False`` leaves the content out of DVC. ``delimiter`` and ``decimal`` say how a CSV file is written, and
    ``missing="keep"`` takes what has no value where no number stands, which is refused else. ``on_added`` hears of each
    shard as soon as it is recorded.

    ``by`` makes a shard for each value of a column, or, ``into`` so many, by a keyed hash of the value: whoever has one
    value lies in one shard. ``most`` is how many shards a file may come to. ``files`` takes the files of a folder
    whole, as their bytes. ``in_place`` records digests and where the items lie, and copies no content. ``let_in`` is
    who lets items in that were withdrawn before (another person's equal rows, new consent), for a ``reason``.
    """
    # Long: every option of the command with what it means, then one loop over the files.
    notes: list[str | Attention] = [
        Attention(f"{file}: lines were added, so that git takes in no data; what it has already stays in its history")
        for file in ignore_data(workspace.root, home=workspace.home)
    ]
    if missing not in ("keep", "refuse"):
        raise WrongUse(f"invalid --missing {missing[:40]!r}: use keep or refuse")
    checked = Rules.read(rules) if rules else None
    named = _named([Path(path) for path in several(paths)], name)
    allowed = _let_in(workspace, let_in, reason)
    subject, by_id = _subject_column(subject, subject_id, subject_name)
    bases, recorded = _bases_of(workspace, named, basis), list[ShardAdded]()
    division = _division(by, into, most)
    for called, path in named.items():
        if is_exposed(path):
            words = f"{path}: git takes it in, and keeps what is removed later; ignore it, or keep it elsewhere"
            notes.append(Attention(words))
        parts = add_file(
            workspace, path, name=called, key=key, subject=subject, source_column=source_column,
            license_column=license_column, fields=several(fields) if fields else None, source=source, license=license,
            legal_basis=bases[called], core=core, check=check, rules=checked, dvc=dvc, likeness=likeness,
            encoding=encoding, division=division, whole=files, in_place=in_place, by_id=by_id,
            delimiter=_DELIMITERS.get(delimiter or "", delimiter), decimal=decimal, missing=missing == "keep",
            let_in=allowed,
        )  # fmt: skip
        notes += [f"note: {words}" for words in parts[0].notes]
        for added in parts:
            lines = _added_lines(added) if division is None else _part_lines(added)
            shown = (*notes, *lines, *map(Attention, _license_doubts(workspace, added.shard)))
            recorded.append(ShardAdded(added, shown=shown))
            on_added(recorded[-1])
            notes.clear()
    return tuple(recorded)


def _let_in(workspace: Workspace, by: str | None, reason: str | None) -> tuple[str, str] | None:
    """Return who lets withdrawn items in and why; :class:`WrongUse` while a removal would find them again."""
    if by is None:
        if reason is not None:
            raise WrongUse("--reason says why withdrawn items are let in; add --let-in NAME, or leave it out")
        return None
    running = [case.request.id for case in docket(workspace).values() if case.steps and not case.closed]
    if running:
        raise WrongUse(
            f"{', '.join(running)} is being carried out, and would find what is let in; finish it, then add the shard"
        )
    return require_name(by, "lets them in"), require_reason(reason)


def _subject_column(guessed: str | None, ids: str | None, names: str | None) -> tuple[str | None, bool | None]:
    """Return the column that names persons, and whether it holds ids, None where its values are to tell."""
    given = [column for column in (guessed, ids, names) if column is not None]
    if len(given) > 1:
        raise WrongUse("give one of --subject, --subject-id and --subject-name: one column says whose an item is")
    return (given[0] if given else None), True if ids is not None else False if names is not None else None


def _division(by: str | None, into: int | None, most: int) -> Division | None:
    if by is None and into is not None:
        raise WrongUse("--into says how many shards, and not by what; add --by subject, --by key or --by COLUMN")
    return Division(by, into, most) if by is not None else None


def _part_lines(added: Added) -> Iterator[str]:
    """Yield what is said of one of several shards of a file, in a line or two."""
    shard, across = added.shard, f", {added.duplicates_across} of them in other shards too"
    doubled = across if added.duplicates_across else ""
    yield f"{'recorded' if added.new else 'already recorded'}: {shard.name}, {counted(shard.count, 'item')}{doubled}"
    yield from _mixed(added)
    yield from map(Attention, added.warnings)


def _mixed(added: Added) -> Iterator[str]:
    if added.sources:
        yield (
            f"mixed: its items are of {len(added.sources)} sources, so a request against one cuts the shard and trains "
            "again what learned from it; --by source records a shard for each"
        )


def _added_lines(added: Added) -> Iterator[str | Table]:
    shard = added.shard
    yield f"{'recorded' if added.new else 'already recorded'}: {shard.name}, {counted(shard.count, 'item')}"
    yield table(rows=_about(shard))
    yield from _mixed(added)
    if added.in_place:
        yield "in place: its content was not copied, and is read where it lies; keep it there as it is"
    yield f"duplicates: {added.duplicates_within} within, {added.duplicates_across} across other shards"
    if added.shared_with:
        yield f"shared with: {', '.join(added.shared_with)}"
    yield from map(Attention, added.warnings)


def list_shards(workspace: Workspace, *, withdrawn: bool = False) -> Listing[Shard]:
    """Return the live shards, or the withdrawn ones too."""
    with Catalog.of(workspace) as catalog:
        live = {(shard.name, shard.digest) for shard in catalog.shards()}
        shards = tuple(catalog.shards(live=not withdrawn))
    lives = [(shard.name, shard.digest) in live for shard in shards]
    rows = [
        (s.name, s.count, "core" if s.core else "live" if lives else "withdrawn", s.source, s.license, short(s.digest))
        for s, lives in zip(shards, lives, strict=True)
    ]
    columns, ordered = ("name", "items", "state", "source", "license", "digest"), sorted(rows, key=lambda row: row[0])
    shown = table(*columns, rows=ordered, empty="no shard is recorded")
    return Listing(shards, tuple({"live": lives} for lives in lives), shown=(shown,))


@dataclass(frozen=True, slots=True)
class ShardShown(Result):
    """A shard, how many people are in it, what learned from it, and its history."""

    shard: Shard
    people: int | None
    learned: tuple[Node, ...]
    history: tuple[Fact, ...]

    def plain(self) -> Json:
        """Return the shard, and of the facts of its history place, time and kind."""
        facts = [{"seq": fact.seq, "at": fact.at, "kind": fact.kind} for fact in self.history]
        return plain({"shard": self.shard, "people": self.people, "learned": self.learned, "history": facts})


def show_shard(workspace: Workspace, name: str, *, references: bool = False) -> ShardShown:
    """Return one shard, by name or digest: what it is, how many people are in it, what learned from it, its history.

    ``references`` lists those of probes too.
    """
    with Catalog.of(workspace) as catalog:
        shard = catalog.shard(name)
        below = catalog.trace(shard.digest, up=False, down=True)
    history = facts_about(workspace.ledger.facts(), shard.name)
    seen, left_out = (below, 0) if references else apart(below)
    people = _people(workspace, shard)
    columns, empty = ("learned from it", "is", "state", "detail"), "nothing live that is released learned from it"
    shown: tuple[str | Table, ...] = (
        f"{shard.name}: {counted(shard.count, 'item')}",
        table(rows=[*_about(shard), ("people", people)]),
        table(*columns, rows=learned_rows(seen.nodes), empty=empty),
        *left_out_lines(left_out),
        table("at", "fact", rows=[(fact.at, fact.kind) for fact in history]),
    )
    learned = tuple(node for node in below.nodes if node.kind in ("component", "release"))
    return ShardShown(shard, people, learned, history, shown=shown)


@dataclass(frozen=True, slots=True)
class ShardChecked(Result):
    """What is wrong with a shard's files; None if they are as recorded."""

    name: str
    digest: str
    items: int
    wrong: str | None


def check_shards(workspace: Workspace, names: str | Sequence[str] | None = None) -> Listing[ShardChecked]:
    """Check that every item is byte for byte what was recorded, in all live shards or those of these names."""
    with Catalog.of(workspace) as catalog:
        shards = [catalog.shard(name) for name in several(names)] if names else list(catalog.shards())
    checked = tuple(ShardChecked(s.name, s.digest, s.count, _wrong_with(workspace, s)) for s in shards)
    rows = [(each.name, each.items, each.wrong or "as recorded") for each in checked]
    return Listing(checked, shown=(table("name", "items", "found", rows=rows, empty="no shard is recorded"),))


def _named(paths: list[Path], name: str | None) -> dict[str, Path]:
    """Return the files to read by what their shards are to be called."""
    if name is not None:
        if len(paths) > 1:
            raise WrongUse(f"--name names one shard, and {len(paths)} paths are given; leave it out, or add one path")
        return {name: paths[0]}
    named: dict[str, Path] = {}
    for path in paths:
        called = path.name if path.is_dir() else file_called(path)
        if called in named:
            raise WrongUse(f"{named[called]} and {path} would both be called '{called}'; add one alone, with --name")
        named[called] = path
    return named


def _wrong_with(workspace: Workspace, shard: Shard) -> str | None:
    """Return what is wrong with a shard's files, None if nothing."""
    try:
        check_manifests(workspace, [shard])
        digests = check_items(workspace, shard.digest)
        rows = shard_rows(workspace, shard.digest)
    except LineageError as problem:
        return str(problem)
    if not len(digests) == len(rows) == shard.count:
        return f"has {len(digests)} items and {len(rows)} manifest rows, recorded were {shard.count}"
    return None


def _people(workspace: Workspace, shard: Shard) -> int | None:
    """Return how many people a shard's items name; None for a shard that was withdrawn, whose manifest is gone."""
    if not workspace.manifest_path(shard.digest).exists():
        return None
    rows = shard_rows(workspace, shard.digest)
    return len({(row.subject, row.written if row.is_id else None) for row in rows if row.subject is not None})


def _about(shard: Shard) -> list[tuple[str, object]]:
    return [
        ("digest", shard.digest),
        ("fields", shard.fields),
        ("source", shard.source),
        ("license", shard.license),
        ("basis", shard.legal_basis),
        ("core", "yes: declared not removable" if shard.core else None),
        ("cut from", shard.derived_from),
        ("DVC", shard.dvc),
    ]


def _bases_of(workspace: Workspace, names: Iterable[str], basis: str | None) -> dict[str, str | None]:
    """Return the basis on which each shard is recorded, as its controlled word.

    A shard that is recorded already keeps the spelling it has, so that adding it again says the same. Raises
    :class:`~policies.errors.BadRequest` for a word that means none of the list.
    """
    if basis is None:
        return dict.fromkeys(names)
    recorded = {shard.name: shard.legal_basis for shard in live_shards(workspace)}
    bases: dict[str, str | None] = {}
    for name in names:
        before = recorded.get(name)
        same = before is not None and (before == basis or basis_of(before) == basis_of(basis) is not None)
        bases[name] = before if same else require_basis(basis).value
    return bases


def _license_doubts(workspace: Workspace, shard: Shard) -> Iterator[str]:
    """Yield a warning if items of a shard have licenses that neither SPDX nor Hugging Face lists."""
    spelled = {shard.license, *read_licenses(workspace.manifest_path(shard.digest))} - {None}
    unknown = sorted(text for text in spelled if text and licenses_of(text) is None)
    if unknown:
        near = list(dict.fromkeys(name for text in unknown[:_SHOWN] for name in near_licenses(text)))
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        yield (
            f"{shard.name}: no list of licenses has {', '.join(repr(text) for text in unknown[:_SHOWN])}{more}"
            f"{'; nearest: ' + ', '.join(near) if near else ''}; a rule that reads licenses sends a request for such "
            "data to a person"
        )
