"""Takes releases out of service because of a hold, and serves them again when the hold is over.

What holds want is computed anew each time (:class:`Wanted`) and the releases are brought in line with it, so doing it
twice is harmless, and the next such command finishes what a kill interrupted; until then the audit reports it. Stopping
needs no lock. Serving again takes the lock, and waits for all else that keeps the release out: the hold of another
request, a removal under way, data that was withdrawn meanwhile. MLflow aliases that people had set themselves are taken
away with the release's own and not set again: the words name them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from disgorge.errors import CertificateRefused, DisgorgeError
from disgorge.release.places import served_besides, unexplained_besides
from disgorge.request.case import docket
from disgorge.request.holds.held_items import Coverage
from disgorge.request.holds.out_of_service import KeptOut, Key, kept_out, learned_from, stopped_words, stopping_holds
from disgorge.tracking.registry import Registrar
from disgorge.workspace_lock import turn
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences, members_of
from lineage.errors import LineageError, WorkspaceBusy
from lineage.ledger.fact_kinds import FactBody, ReleaseContainedFact, ReleaseFact
from lineage.ledger.state import State
from lineage.records import Composition, Json, Release
from lineage.shards.files import shard_rows
from lineage.storage.components import require_whole
from lineage.workspace import Workspace

Facts = list[tuple[str, dict[str, Json]]]


class Wanted:
    """Which compositions open holds want out of service: manifests are read once, and none where no hold says stop.

    ``cases``, ``state`` and ``recorded``, what was taken out of service, are of the same moment.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.cases = docket(workspace)
        facts = list(workspace.ledger.facts())
        self.recorded = kept_out(facts)
        self.state = workspace.ledger.state()
        self._shards: dict[str, frozenset[str]] = {}
        self._unknown: set[str] = set()
        if holds := stopping_holds(self.cases):
            with Coverage(workspace) as coverage:
                for hold in holds:
                    items, unknown = coverage.covered(hold)
                    known = self._shards.get(hold.request, frozenset())
                    artifacts = (digest for _, digest in self.state.artifacts if digest in items)
                    self._shards[hold.request] = known.union(_shards_with(workspace, self.state, items), artifacts)
                    self._unknown |= {hold.request} if unknown else set()

    def by(self, composition: Composition, key: Key | None = None) -> tuple[str, ...]:
        """Return the requests whose holds want a composition out of service.

        One whose items are not known any more counts for the release ``key`` that it stopped before.
        """
        holds = {request for request, shards in self._shards.items() if learned_from(composition, self.state, shards)}
        if key is not None and key in self.recorded:
            holds |= self._unknown & self.recorded[key].holds
        return tuple(sorted(holds))


@dataclass(slots=True)
class Settled:
    """The releases that were stopped and those that are served again, as name@alias, and what people must be told."""

    stopped: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def settle(workspace: Workspace, registrar: Registrar) -> Settled:
    """Stop what open holds want out of service, and serve again what only holds that are over kept out."""
    settled, wanted = Settled(), Wanted(workspace)
    ended: list[tuple[Key, tuple[str, ...]]] = []
    for key, entry in wanted.state.releases.items():
        composition = wanted.state.compositions.get(entry.record.composition)
        if not entry.live or composition is None:
            continue
        by, kept = wanted.by(composition, key), wanted.recorded.get(key, KeptOut())
        if new := sorted(set(by) - kept.holds):
            _stop(workspace, registrar, entry.record, new, settled)
        if kept.holds - set(by):
            ended.append((key, by))
    if ended:
        try:
            with turn(workspace, then="repeat this command, or `disgorge release serve-again`"):
                for key, by in ended:
                    _serve_again(workspace, registrar, key, by, settled)
        except WorkspaceBusy as busy:
            names = ", ".join(f"{name}@{alias}" for (name, alias), _ in ended)
            settled.words.append(f"{names}: not served again yet, {busy}")
    return settled


def _stop(workspace: Workspace, registrar: Registrar, release: Release, by: Sequence[str], settled: Settled) -> None:
    name, alias = release.name, release.alias
    registrar.contain(name, alias)
    others = registrar.stop(release.composition)
    workspace.ledger.record(*(ReleaseContainedFact(name, alias, each, hold=True, aliases=others) for each in by))
    settled.stopped.append(f"{name}@{alias}")
    settled.words += [
        f"MLflow's alias {other} served it as well and was taken away; it is not set again when the hold ends"
        for other in others
    ]
    settled.words += [*served_besides(workspace, name, alias), *unexplained_besides(workspace)]


def _serve_again(workspace: Workspace, registrar: Registrar, key: Key, by: tuple[str, ...], settled: Settled) -> None:
    """Serve a release as it is recorded, unless something else keeps it out of service: then say what."""
    facts = list(workspace.ledger.facts())
    state, kept = workspace.ledger.state(), kept_out(facts).get(key, KeptOut())
    entry, label = state.releases[key], "@".join(key)
    if not entry.live or not kept.holds:
        return
    composition = state.compositions[entry.record.composition]
    cases = docket(workspace)
    if by:
        why = stopped_words(by)
    elif under_way := sorted(each for each in kept.removals if each in cases and not cases[each].closed):
        why = f"request {' and '.join(under_way)} contains it"
    else:
        why = unfit(workspace, entry.record.name, composition)
    if why:
        settled.words.append(f"{label} stays out of service: {why}")
        return
    registrar.adopt(*key, composition)
    workspace.ledger.record(ReleaseFact(*key, composition.digest))
    settled.served.append(label)
    settled.words += [
        f"MLflow's alias {alias} was taken away with {label} and is not set again; set it if it is needed"
        for alias in _aliases_taken(workspace, key, entry.seq)
    ]


def unfit(workspace: Workspace, name: str, composition: Composition) -> str:
    """Say why a composition may not be served again, or nothing: data withdrawn since, parts retired or damaged."""
    try:
        refuse_what_went_since(workspace, name, composition)
        for member in composition.members:
            require_whole(workspace.objects, member.component)
    except (DisgorgeError, LineageError) as problem:
        return str(problem)
    return ""


def refuse_what_went_since(workspace: Workspace, subject: str, composition: Composition) -> None:
    """Raise :class:`CertificateRefused` if a member was retired, or learned from any shard that is withdrawn by now."""
    with Catalog.anew(workspace) as catalog:
        parts = by_digest(catalog.components(live=False))
        live = {(component.name, component.digest) for component in catalog.components()}
        still = {shard.digest for shard in catalog.shards()} | {artifact.digest for artifact in catalog.artifacts()}
        ever = {shard.digest: shard.name for shard in catalog.shards(live=False)}
        ever |= {artifact.digest: artifact.name for artifact in catalog.artifacts(live=False)}
        gone = {digest: name for digest, name in ever.items() if digest not in still}
    reached = sorted({gone[digest] for digest in influences(members_of(composition, parts), parts) & gone.keys()})
    retired = sorted(m.name for m in composition.members if (m.name, m.component) not in live)
    if reached or retired:
        why = (
            f"learned from withdrawn data of {', '.join(reached)}" if reached else f"has {', '.join(retired)}, retired"
        )
        raise CertificateRefused(f"release {subject} is not adopted: it {why} since; plan the request again")


def release_it(
    workspace: Workspace, registrar: Registrar, key: Key, composition: Composition
) -> tuple[list[FactBody], list[str]]:
    """Serve a new composition under a name and alias, or only register it where a hold wants it out of service.

    Returns the facts to append, and in words that it is not served.
    """
    name, alias = key
    released: list[FactBody] = [ReleaseFact(name, alias, composition.digest)]
    by = Wanted(workspace).by(composition, key)
    if not by:
        registrar.adopt(name, alias, composition)
        return released, []
    registrar.register(name, composition)
    registrar.contain(name, alias)
    stops = [ReleaseContainedFact(name, alias, request, hold=True) for request in by]
    words = f"{name}@{alias} is made and not served: {stopped_words(by)}, because it learned from held items"
    return [*released, *stops], [words]


def _aliases_taken(workspace: Workspace, key: Key, since: int) -> list[str]:
    """Return the MLflow aliases that people had set and that were taken away since a release was made."""
    taken = [
        alias
        for fact, contained in workspace.ledger.said(ReleaseContainedFact)
        if (contained.name, contained.alias) == key and fact.seq > since
        for alias in contained.aliases
    ]
    return list(dict.fromkeys(taken))


def _shards_with(workspace: Workspace, state: State, items: Collection[str]) -> Iterator[str]:
    """Yield the shards, withdrawn ones too, that have one of these items and whose manifest is here."""
    for digest in {digest for _, digest in state.shards}:
        if workspace.manifest_path(digest).is_file():
            if any(row.digest in items for row in shard_rows(workspace, digest)):
                yield digest
