"""The catalog: what was trained on what, asked of the state that the facts come to and of the items of live shards.

::

    with Catalog.of(workspace) as catalog:
        impact = catalog.impact([Selector("subject", workspace.subject("Ada"))])

It answers as of one head of the ledger and never changes anything. A component is affected when a chain of uses, in any
role and through retired components too, leads to it from a withdrawn artifact, from a shard that holds a withdrawn
item, or from a shard that one was cut from. Where two names share one digest, what shaped either shaped both: equal
bytes cannot be told apart, so an impact may report too much, never too little of what was recorded.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from lineage.catalog.forget_set import ForgetSet
from lineage.catalog.influence import in_order, paths_from
from lineage.catalog.projection import open_projection
from lineage.catalog.selection import selected_artifacts
from lineage.catalog.trace import Trace
from lineage.catalog.trace_queries import trace_of
from lineage.errors import LineageError, UnknownRecord
from lineage.ledger.state import Entry, State, cut_from, reachable
from lineage.records import (
    Affected,
    Artifact,
    Component,
    Composition,
    Impact,
    Release,
    ReleaseHit,
    Selector,
    Shard,
    Use,
    is_unicode,
)
from lineage.workspace import Workspace

if TYPE_CHECKING:
    import duckdb

Named = TypeVar("Named", Shard, Artifact, Component)
_BEGINNING = re.compile(r"[0-9a-f]{8,63}")  # of a digest, which has 64; eight name one of some ten thousand


class Catalog:
    """Answers about one ledger, as of :attr:`lineage_head`. Close it, or use it in a ``with`` block."""

    def __init__(self, state: State, items: "duckdb.DuckDBPyConnection"):
        self._state = state
        self._items = items

    @classmethod
    def of(cls, workspace: Workspace) -> "Catalog":
        """Return the catalog of a ledger as it is now; errors as of :func:`.open_projection`."""
        return cls(*open_projection(workspace))

    @classmethod
    def anew(cls, workspace: Workspace) -> "Catalog":
        """Return the catalog of a ledger with every live manifest hashed again: for what must not be answered wrongly.

        A manifest that changed since this process loaded it stops the question.
        """
        return cls(*open_projection(workspace, anew=True))

    @property
    def lineage_head(self) -> str:
        """The digest of the last fact that changed lineage, "" if there is none."""
        return self._state.lineage_head

    def close(self) -> None:
        """Let go of the snapshot."""
        self._items.close()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What was recorded -------------------------------------------------------------------------------------------

    def shards(self, *, live: bool = True) -> tuple[Shard, ...]:
        """Return the live shards, or all there ever were, in the order in which they were recorded."""
        return tuple(entry.record for entry in self._state.shards.values() if entry.live or not live)

    def shard(self, name_or_digest: str) -> Shard:
        """Return the live shard of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return self._one("shard", self._state.shards, name_or_digest)

    def artifacts(self, *, live: bool = True) -> tuple[Artifact, ...]:
        """Return the live artifacts, or all there ever were, in the order in which they were recorded."""
        return tuple(entry.record for entry in self._state.artifacts.values() if entry.live or not live)

    def artifact(self, name_or_digest: str) -> Artifact:
        """Return the live artifact of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return self._one("artifact", self._state.artifacts, name_or_digest)

    def components(self, *, live: bool = True) -> tuple[Component, ...]:
        """Return the live components, or all there ever were, in the order in which they were recorded."""
        return tuple(entry.record for entry in self._state.components.values() if entry.live or not live)

    def component(self, name_or_digest: str) -> Component:
        """Return the live component of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return self._one("component", self._state.components, name_or_digest)

    def composition(self, digest: str) -> Composition:
        """Return the composition with that digest; :class:`~lineage.errors.UnknownRecord`."""
        if digest not in self._state.compositions:
            raise UnknownRecord(f"no composition {digest} was recorded; `disgorge release list` shows those in use")
        return self._state.compositions[digest]

    def releases(self, *, live: bool = True) -> tuple[Release, ...]:
        """Return the live releases, or the last under every name and alias, in the order of their facts."""
        return tuple(entry.record for entry in self._state.releases.values() if entry.live or not live)

    def release(self, name: str, alias: str = "live") -> Release:
        """Return the live release under that name and alias; :class:`~lineage.errors.UnknownRecord`."""
        entry = self._state.releases.get((name, alias))
        if entry is None:
            near = did_you_mean(f"{name}@{alias}", [release.id for release in self.releases()])
            raise UnknownRecord(f"no release {name}@{alias}{near}; `disgorge release list` shows those there are")
        if not entry.live:
            raise UnknownRecord(f"release {name}@{alias} was withdrawn; `disgorge release list --all` shows it")
        return entry.record

    def without_subject(self) -> dict[str, int]:
        """Return how many items of each live shard name no person, by the shard's name, where there are any."""
        return dict(
            self._ask(
                """
                select s.name, count(*) from item i join shard s on s.digest = i.shard and s.live
                where i.subject is null group by s.seq, s.name order by s.seq
                """
            )
        )

    def people(self) -> dict[frozenset[str], int]:
        """Return how many people have items in which live shards, by the digests of these.

        An item that names no person counts as one of a person of its own.
        """
        rows = self._ask(
            """
            select shards, count(*) from (
                select list_sort(list(distinct i.shard)) as shards
                from item i join shard s on s.digest = i.shard and s.live
                group by coalesce(i.subject, i.digest || ' ' || i.key)
            ) group by shards
            """
        )
        return {frozenset(shards): count for shards, count in rows}

    # What a removal touches --------------------------------------------------------------------------------------

    def selected(self, selectors: Sequence[Selector], *, also: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
        """Return the item digests of the forget set, for every live shard that holds one, by shard digest.

        Selectors of one field are alternatives; different fields must all hold, of one and the same row. Then every
        row with the same bytes counts, in whatever live shard. One entry a row, sorted. ``also`` are items by digest
        that count whatever the selectors say.
        """
        return ForgetSet(self._items, selectors, also).items()

    def licenses(self, selectors: Sequence[Selector] | None = None, *, also: Collection[str] = ()) -> tuple[str, ...]:
        """Return the licenses of the forget set as they are spelled, sorted; without selectors those of all live items.

        An item without its own has its shard's.
        """
        if selectors is not None:
            return ForgetSet(self._items, selectors, also).licenses()
        rows = self._ask(
            """
            select distinct coalesce(i.license, s.license)
            from item i join shard s on s.digest = i.shard and s.live
            where coalesce(i.license, s.license) is not null order by 1
            """
        )
        return tuple(license for (license,) in rows)

    def impact(
        self,
        selectors: Sequence[Selector],
        *,
        withdrawn: Collection[str] = (),
        also: Collection[str] = (),
        spare: Collection[str] = (),
        artifacts: Collection[str] = (),
    ) -> Impact:
        """Return what removing the selected items, and ``also`` by digest, touches; nothing at all is an empty impact.

        ``spare`` are items and artifacts, by digest, that stay whatever selects them; ``artifacts`` go as well.

        ``withdrawn`` are shards that held selected items, and selected artifacts, by digest, which are withdrawn
        already: what learned from them and is still there counts too.

        ``items`` counts different digests, ``subjects`` different persons, ``duplicates`` rows that only their bytes
        selected. Paths are kept up to :data:`lineage.catalog.influence.PATHS_KEPT` a component. Raises
        :class:`~lineage.errors.LineageError` when a live release has a composition or a member that is not
        recorded, because then what is in it is unknown.
        """
        self._refuse_unknown_releases()
        forget = ForgetSet(self._items, selectors, also, spare)
        changes = forget.changes()
        going = {*artifacts, *(each.digest for each in selected_artifacts(self.artifacts(), selectors))} - {*spare}
        selected = {*(change.before.digest for change in changes), *going}
        origins = cut_from(self.shards(live=False), {*withdrawn, *selected})
        below = defaultdict[str, list[tuple[str, Use]]](list)
        for target, uses in self._state.influences.items():
            for use in uses:
                below[use.digest].append((target, use))
        touched = set(reachable(origins, lambda digest: [target for target, _ in below[digest]]))
        steps = [(digest, target, use.role) for digest in touched for target, use in below[digest]]
        reached = {target for _, target, _ in steps}
        paths = paths_from(origins, steps)
        live = self.components()
        place = {digest: n for n, digest in enumerate(in_order(reached, steps))}
        influenced = sorted((c for c in live if c.digest in reached), key=lambda c: (place[c.digest], c.name))
        released = [ReleaseHit(release, self.composition(release.composition)) for release in self.releases()]
        releases = tuple(
            hit for hit in released if not touched.isdisjoint(m.component for m in hit.composition.members)
        )
        members = {(m.name, m.component) for found in releases for m in found.composition.members}
        items, subjects, duplicates, spellings = forget.counts()
        others, other_rows = forget.others() if duplicates else (0, 0)
        return Impact(
            lineage_head=self.lineage_head,
            shards=changes,
            affected=tuple(Affected(c, paths[c.digest]) for c in influenced),
            retained=tuple(c for c in live if (c.name, c.digest) in members and c.digest not in reached),
            releases=releases,
            items=items,
            subjects=subjects,
            duplicates=duplicates,
            spellings=spellings,
            others=others,
            other_rows=other_rows,
            artifacts=tuple(artifact for artifact in self.artifacts() if artifact.digest in going),
        )

    # What learned from what --------------------------------------------------------------------------------------

    def trace(self, start: str, *, up: bool, down: bool) -> Trace:
        """Return what learned from ``start`` (down), what it learned from (up), or both.

        ``start`` is the digest or key of an item, what selects a subject, the name or digest of a shard, artifact or
        component, or a release (``name`` or ``name@alias``); where it is several of these, all count. The beginning of
        a digest will do. A name means what is live, or what once was if nothing is. Downwards, what is retired or
        withdrawn is shown where something live came of it. Raises :class:`~lineage.errors.UnknownRecord`.
        """
        found = trace_of(self._state, self._items, self._whole(start), up=up, down=down)
        if found is None:
            raise UnknownRecord(f"nothing named {start!r} is recorded{did_you_mean(start, self._names())}")
        return found

    # How it is asked ---------------------------------------------------------------------------------------------

    def _ask(self, sql: str, *values: Any) -> list[Any]:
        return self._items.execute(sql, list(values)).fetchall()

    def _one(self, what: str, entries: Mapping[tuple[str, str], Entry[Named]], named: str) -> Named:
        named = self._whole(named)
        found = [
            entry for (name, digest), entry in entries.items() if digest == named or (name == named and entry.live)
        ]
        if found:
            return max(found, key=lambda entry: (entry.live, entry.seq)).record
        if any(name == named for name, _ in entries):
            gone = "retired" if what == "component" else "withdrawn"
            listed = "" if what == "component" else f"; `disgorge {what} list --all` shows it"
            raise UnknownRecord(f"{what} {named!r} was {gone}; give its digest to speak of what it was{listed}")
        near = did_you_mean(named, [entry.record.name for entry in entries.values() if entry.live])
        near = near or ("" if what == "component" else f"; `disgorge {what} list` shows those there are")
        raise UnknownRecord(f"no {what} {named!r} is recorded{near}")

    def _whole(self, text: str) -> str:
        """Return the recorded digest that begins with ``text``, or ``text`` itself if it is no beginning of one.

        Tables show digests by their beginning, and people copy what they see. A name is what it is, whatever it looks
        like. Raises :class:`~lineage.errors.UnknownRecord` for text that is not Unicode, and for the beginning of
        several digests.
        """
        if not is_unicode(text):
            raise UnknownRecord(f"nothing is recorded under {text[:40]!r}, which is not Unicode; write it in UTF-8")
        if not _BEGINNING.fullmatch(text) or text in self._names():
            return text
        if self._ask("select 1 from item where nfc_normalize(key) = nfc_normalize(?) limit 1", text):
            return text
        recorded = (*self._state.shards, *self._state.artifacts, *self._state.components)
        found = {digest for _, digest in recorded if digest.startswith(text)}
        found.update(digest for (digest,) in self._ask("select digest from item where starts_with(digest, ?)", text))
        if len(found) > 1:
            raise UnknownRecord(f"ambiguous digest prefix {text!r} ({len(found)} matches); give more of its digits")
        return found.pop() if found else text

    def _names(self) -> set[str]:
        """Return every name, and of releases name and alias together as well."""
        recorded = (*self._state.shards, *self._state.artifacts, *self._state.components, *self._state.releases)
        return {name for name, _ in recorded} | {entry.record.id for entry in self._state.releases.values()}

    def _refuse_unknown_releases(self) -> None:
        recorded = {digest for _, digest in self._state.components}
        for release in self.releases():
            composition = self._state.compositions.get(release.composition)
            if composition is None:
                raise LineageError(
                    f"release {release.id} has a composition that is not recorded ({release.composition}), so its "
                    "parts are unknown; record the composition, or withdraw the release"
                )
            for member in composition.members:
                if member.component not in recorded:
                    raise LineageError(
                        f"release {release.id} has a member that is not recorded ({member.component}), so what it "
                        "learned from is unknown; record the component with its uses, or withdraw the release"
                    )


def did_you_mean(named: str, names: Iterable[str]) -> str:
    """Return in words which of some names are like one that is not there, "" if none is."""
    close = get_close_matches(named, sorted(set(names)), n=3)
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
