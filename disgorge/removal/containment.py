"""Putting back into service what a request contained, where that request ends without a removal of its own.

Only the composition that was contained comes back, and only if it may be served: nothing in it was retired or learned
from withdrawn data, its bytes are whole, no other open request contains it and no hold stops it. Otherwise it stays out
of service and the words say why. MLflow aliases that people had set themselves are not set again: the words name them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from disgorge.errors import DisgorgeError
from disgorge.facts import RequestClosedFact
from disgorge.release.serving import Wanted, unfit
from disgorge.removal.preconditions import is_begun
from disgorge.request.case import Case, docket, open_case
from disgorge.request.holds.open import delete_private_lists
from disgorge.request.holds.out_of_service import KeptOut, Key, stopped_words
from disgorge.request.particulars import is_erased
from disgorge.request.withdrawn.forget_list import ForgetList
from disgorge.request.workflow.decide import require_current
from disgorge.tracking.registry import Registrar
from disgorge.workspace_lock import turn
from lineage.ledger.fact_kinds import FactBody, ReleaseContainedFact, ReleaseFact, said
from lineage.records import Composition, Release
from lineage.workspace import Workspace
from policies.taxonomy import Outcome


@dataclass(slots=True)
class Served:
    """The facts that record what is served again, and what people must be told."""

    facts: list[FactBody] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def take_back(workspace: Workspace, request: str, *, by: str, registrar: Registrar) -> tuple[str, ...]:
    """Close a request that its requester took back; ``by``, who says so, is kept as a pseudonym. Returns what to tell.

    What it contained is served again. Raises :class:`DisgorgeError` once more than containment was done.
    """
    with turn(workspace, then=f"run `disgorge request close {request} --taken-back` again"):
        case = open_case(workspace, request)
        plans = {*case.steps, *([case.plan] if case.plan else [])}
        if is_begun(workspace, case) or any(ForgetList(workspace, plan).path.exists() for plan in plans):
            raise DisgorgeError(
                f"request {request} was carried out beyond containment, and what was withdrawn does not come back; "
                f"finish it with `disgorge request resume {request}`"
            )
        served = serve_again(workspace, case, registrar)
        workspace.ledger.record(*served.facts, RequestClosedFact(request, "taken-back", by=workspace.pseudonym(by)))
        delete_private_lists(workspace, case)
        return tuple(served.words)


def deny_begun(workspace: Workspace, request: str, *, reason: str, registrar: Registrar) -> tuple[str, ...]:
    """Close a request whose execution was begun and that is granted no more; returns what to tell.

    An order that is set aside, or a claim that turns out to be none, in the middle of an execution: nothing more is
    carried out. What it only contained is served again; what was withdrawn stays out, and what was purged is gone.
    So is one that only contained, and whose private file was erased: what it would remove is unknown.
    Raises :class:`DisgorgeError` while the decision that holds still grants it.
    """
    with turn(workspace, then="deny it again"):
        case = open_case(workspace, request)
        lost = is_erased(workspace, case.request) and not is_begun(workspace, case)
        if not lost:
            require_current(case)
        granted = case.decision is None or case.decision.outcome is Outcome.GRANTED
        if (granted and not lost) or case.partly_done:
            raise DisgorgeError(f"request {request} is being carried out; resume it, it can no longer be denied")
        served = serve_again(workspace, case, registrar)
        if case.withdrawn:
            served.words.append(
                f"items of {', '.join(sorted(set(case.withdrawn.values())))} were withdrawn for it and are not brought "
                "back; a release that learned from them is trained again without them (`disgorge train`)"
            )
            served.words += _deleted_for_others(workspace, case)
        workspace.ledger.record(*served.facts, RequestClosedFact(request, "denied", reason=reason))
        delete_private_lists(workspace, case)
        return tuple(dict.fromkeys(served.words))


def _deleted_for_others(workspace: Workspace, case: Case) -> list[str]:
    """Say which requests, planned together with one that is denied, delete what was withdrawn for all of them."""
    others = [each for name, each in docket(workspace).items() if not each.closed and name != case.request.id]
    going = [each.request.id for each in others if each.steps.keys() & case.steps.keys()]
    if not going:
        return []
    return [
        f"the purge for {', '.join(going)}, planned together with {case.request.id}, deletes them; where they must be "
        "kept, put a hold on them first"
    ]


def serve_again(workspace: Workspace, case: Case, registrar: Registrar) -> Served:
    """Set the aliases again that a request took away, and return the facts of it. Doing it twice is doing it once."""
    served = Served()
    told = (each for _, each in said(case.facts, ReleaseContainedFact) if not each.hold)
    if contained := dict.fromkeys((each.name, each.alias) for each in told):
        _set_again(workspace, case, registrar, contained, served)
    served.words += [words for done in case.steps.values() for step in done.values() for words in step.residuals]
    return served


def _set_again(workspace: Workspace, case: Case, registrar: Registrar, keys: Iterable[Key], served: Served) -> None:
    """Set these aliases again as far as nothing stands against it, and note for each what was done or why not."""
    wanted = Wanted(workspace)
    for key in keys:
        entry = wanted.state.releases.get(key)
        if entry is None or not entry.live or not entry.record.contained:
            continue
        label, composition = "@".join(key), wanted.state.compositions[entry.record.composition]
        if why := _against(workspace, case, entry.record, composition, wanted):
            served.words.append(f"{label} stays out of service: {why}")
            continue
        registrar.adopt(*key, composition)
        served.facts.append(ReleaseFact(*key, composition.digest))
        served.words.append(f"{label} is served again, as it was before {case.request.id} contained it")


def _against(workspace: Workspace, case: Case, release: Release, composition: Composition, wanted: Wanted) -> str:
    """Say why a contained release may not be served again, or nothing."""
    key = (release.name, release.alias)
    kept = wanted.recorded.get(key, KeptOut())
    for other in wanted.cases.values():
        if other.request.id != case.request.id and not other.closed and other.request.id in kept.removals:
            return f"request {other.request.id} contains it as well"
    if by := wanted.by(composition, key):
        return f"it is {stopped_words(by)}"
    return unfit(workspace, release.name, composition)
