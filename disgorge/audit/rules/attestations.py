"""Attestations of components: whether each holds, and whether what is served has one, as close as is demanded."""

from collections.abc import Iterator

from disgorge.attestation.standing import Attested, ForeignKey, Refusal, Standing, standings
from disgorge.attestation.workspace_key import can_check_seals
from disgorge.audit.findings import BAD_ATTESTATION, BELOW_DEMAND, UNATTESTED, Finding, Level
from disgorge.audit.snapshot import Snapshot
from disgorge.facts import AttestedFact, SigningKeyFact
from disgorge.plan.plan import Action
from disgorge.request.case import Case, begun_plan
from lineage.errors import LineageError
from lineage.ledger.state import Entry
from lineage.plural import counted
from lineage.records import Component, Release
from policies.taxonomy import Confinement


def attestations(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what is the matter with the attestations that the ledger names, and with what live releases have.

    Nothing where no run was ever attested: all components are the operator's record then, and each plan says so.
    """
    try:
        attested = Attested.of(snapshot.workspace)
    except LineageError:  # a key is damaged, which another rule says
        return
    if not attested.facts:
        return
    yield from _bad(snapshot, attested)
    demands = dict(_demands(snapshot))
    for entry in snapshot.state.releases.values():
        if entry.live and not entry.record.contained:
            yield from _served(snapshot, attested, entry, demands)


def _bad(snapshot: Snapshot, attested: Attested) -> Iterator[Finding]:
    """Yield an error per attestation that does not hold, where its key can be told from a foreign one."""
    facts = list(snapshot.workspace.ledger.said(AttestedFact))
    if not attested.keys:
        words = f"is missing, so {counted(len(facts), 'attestation')} could not be checked"
        yield Finding(BAD_ATTESTATION, "public.pem", words, "restore it", Level.WARNING)
        return
    unchecked = set[str]()
    if not can_check_seals(snapshot.workspace):
        unchecked = {named.key for _, named in snapshot.workspace.ledger.said(SigningKeyFact)}
    for fact, said in facts:
        try:
            attested.opened(said)
        except Refusal as refusal:
            if isinstance(refusal, ForeignKey) and refusal.key in unchecked:
                continue
            recorded = snapshot.known.get(said.component)
            yield Finding(
                BAD_ATTESTATION,
                recorded[0].name if recorded else said.component,
                str(refusal),
                "find out who changed or appended it; run `disgorge attest` to have the component attested anew",
                fact=fact.seq,
            )


def _served(
    snapshot: Snapshot, attested: Attested, entry: Entry[Release], demands: dict[str, tuple[str, Confinement]]
) -> Iterator[Finding]:
    """Yield a note for a release with components that are not attested, and one where an open request demands more."""
    release, composition = entry.record, snapshot.state.compositions.get(entry.record.composition)
    members = composition.members if composition else ()
    places = ((member.name, member.component) for member in members)
    components = [snapshot.state.components[place].record for place in places if place in snapshot.state.components]
    if bare := _falling(attested, components, None):
        yield Finding(
            UNATTESTED,
            release.id,
            f"{len(bare)} of {counted(len(components), 'component')} {'is' if len(bare) == 1 else 'are'} shown by the "
            f"operator's record alone; {bare[0].why}",
            _next_of_bare(release, components, bare),
            fact=entry.seq,
        )
    if release.name in demands:
        request, demanded = demands[release.name]
        known = {each.why for each in bare}
        for below in _falling(attested, components, demanded):
            if below.why not in known:
                yield Finding(
                    BELOW_DEMAND,
                    release.id,
                    f"request {request} demands level {demanded}; {below.why}",
                    f"run `disgorge attest --again {release.id}` on a machine that reaches it",
                    fact=entry.seq,
                )


def _next_of_bare(release: Release, components: list[Component], bare: list[Standing]) -> str:
    """Return what makes up for attestations that are missing: a component without a recipe cannot be run again."""
    without = [each.name for each in components if not each.recipe]
    give = "give it a recipe with `disgorge attest --component {} --recipe MODEL.yaml`, or a removal drops it"
    words = [f"run `disgorge attest {release.id}` when nobody waits: a removal has to make them again otherwise"]
    words = words if len(without) < len(bare) else []
    return "; ".join([*words, *([give.format(without[0])] if without else [])])


def _falling(attested: Attested, components: list[Component], accepts: Confinement | None) -> list[Standing]:
    return [each for each in standings(attested, components, accepts=accepts) if not each.stands]


def _demands(snapshot: Snapshot) -> Iterator[tuple[str, tuple[str, Confinement]]]:
    """Yield the releases that plans of open requests renew, each with the request of the strictest demand."""
    open_cases = [case for case in snapshot.cases.values() if case.plan and not case.closed]
    ranked = sorted(
        ((demanded, case) for case in open_cases if (demanded := _demanded(case)) is not None),
        key=lambda each: list(Confinement).index(each[0]),
    )
    for demanded, case in ranked:  # the strictest comes last, and stays
        try:
            steps = begun_plan(snapshot.workspace, str(case.plan)).steps
        except (LineageError, ValueError):  # it cannot be read, which another rule says
            continue
        for step in steps:
            if step.action is Action.ADOPT:
                yield step.subject, (case.request.id, demanded)


def _demanded(case: Case) -> Confinement | None:
    owed = case.decision.owed if case.decision else None
    return owed.confinement if owed else None
