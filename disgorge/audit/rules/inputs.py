"""Inputs of live components and releases that were never recorded, or were withdrawn or retired."""

from collections.abc import Iterator

from disgorge.audit.findings import AFFECTED_RELEASE, TRAINED_ON_WITHDRAWN, UNREGISTERED_INPUT, Finding
from disgorge.audit.snapshot import Snapshot
from lineage.ledger.fact_kinds import FACT_KINDS, ReleaseContainedFact, ReleaseFact
from lineage.ledger.state import influences_of
from lineage.records import Composition, Release


def unregistered(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding per digest that something live rests on and no fact records, or that only a recipe names."""
    recorded = {digest for _, digest in (*snapshot.state.shards, *snapshot.state.artifacts)} | snapshot.known.keys()
    for entry in snapshot.components():
        component = entry.record
        for digest, way in snapshot.ways(component).items():
            if digest not in recorded:
                yield Finding(
                    UNREGISTERED_INPUT,
                    component.name,
                    f"learned from {digest}, which is not recorded, by way of {' <- '.join(way)}",
                    "record that shard, artifact or component, or retire this one",
                    fact=entry.seq,
                )
        declared = {use.digest for use in component.uses}
        for use in influences_of(component):
            if use.digest in recorded and use.digest not in declared:
                yield Finding(
                    UNREGISTERED_INPUT,
                    component.name,
                    f"its recipe names {use.digest} as input, its recorded uses do not",
                    "record the component again with all of its uses, or retire it",
                    fact=entry.seq,
                )


def trained_on_withdrawn(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding per live component and withdrawn shard that shaped it, unless a removal is under way."""
    for entry in snapshot.components():
        for digest, way in snapshot.withdrawn_inputs(entry.record).items():
            if snapshot.in_progress(entry, digest):
                continue
            withdrawal = snapshot.withdrawals[digest]
            again = entry.seq > withdrawal.seq
            request = f"for request {withdrawal.request}" if withdrawal.request else "before"
            yield Finding(
                TRAINED_ON_WITHDRAWN,
                entry.record.name,
                f"learned from shard {withdrawal.name} ({digest[:12]}), withdrawn {request}, by way of "
                f"{' <- '.join(way)}" + ("; it was recorded after that" if again else ""),
                "take down what uses it, then train it again on the shard as it is now",
                fact=entry.seq,
            )


def affected_releases(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding per release that is live, not contained, and has a member that must not be served.

    A contained release is not served, so it is none; a removal that never ends shows as an overdue request.
    """
    for entry in snapshot.state.releases.values():
        release = entry.record
        if not entry.live or release.contained:
            continue
        composition = snapshot.state.compositions.get(release.composition)
        if composition is None:
            yield Finding(
                UNREGISTERED_INPUT,
                _name(release),
                f"serves the composition {release.composition}, which is not recorded",
                "release a recorded composition under this name, or withdraw the release",
                fact=entry.seq,
            )
        else:
            yield from _members(snapshot, release, composition, entry.seq)
            yield from _served_again(snapshot, release, entry.seq)


def _members(snapshot: Snapshot, release: Release, composition: Composition, place: int) -> Iterator[Finding]:
    for member in composition.members:
        entry = snapshot.state.components.get((member.name, member.component))
        withdrawn = snapshot.withdrawn_inputs(entry.record) if entry else {}
        if entry is None:
            yield Finding(
                UNREGISTERED_INPUT,
                _name(release),
                f"serves {member.name} ({member.component[:12]}), which is not recorded",
                "record the component with its uses, or withdraw the release",
                fact=place,
            )
        elif not entry.live:
            yield Finding(
                AFFECTED_RELEASE,
                _name(release),
                f"serves {member.name} ({member.component[:12]}), which was retired",
                "stop serving it and release a composition without that component",
                fact=place,
            )
        elif withdrawn:
            names = ", ".join(sorted({snapshot.withdrawals[digest].name for digest in withdrawn}))
            yield Finding(
                AFFECTED_RELEASE,
                _name(release),
                f"serves {member.name} ({member.component[:12]}), which learned from withdrawn data of {names}",
                "stop serving it, and carry out or resume the removal",
                fact=place,
            )


def _served_again(snapshot: Snapshot, release: Release, place: int) -> Iterator[Finding]:
    """Find a release that an open request contained and that was released again as it was."""
    contained: dict[tuple[str, str], tuple[str, str]] = {}
    serving: dict[tuple[str, str], str] = {}
    for fact in snapshot.workspace.ledger.facts("release", "release-contained"):
        match FACT_KINDS[fact.kind].read(fact):
            case ReleaseFact(name, alias, composition):
                serving[name, alias] = composition
            case ReleaseContainedFact(name, alias, request, hold=False):
                contained[name, alias] = (request, serving.get((name, alias), ""))
    request, composition = contained.get((release.name, release.alias), ("", ""))
    case = snapshot.cases.get(request)
    if case is not None and not case.closed and composition == release.composition:
        yield Finding(
            AFFECTED_RELEASE,
            _name(release),
            f"serves again what request {request} contained, and that request is open",
            f"stop serving it, and resume the removal with `disgorge request resume {request}`",
            fact=place,
        )


def _name(release: Release) -> str:
    return f"{release.name}@{release.alias}"
