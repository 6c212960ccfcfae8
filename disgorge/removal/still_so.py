"""What a report claims is looked at once more in the moment it is signed.

Between purge and report somebody may put old weights back, or point an alias at the old release again. So the aliases
are read again, in the ledger and in MLflow, and the stores are searched again; what was true only then is not signed.
The selectors are evaluated again too: while a purge is held new items of the same person may arrive and be trained on.

A release may have moved on meanwhile, to what was trained later: that is no objection, as long as it is not what it was
before the removal. Negative consequence: the evidence in the report is still that of the purge; this is one look more.
"""

from disgorge.errors import CertificateRefused
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.plan.plan import Action, Plan
from disgorge.request.case import Case
from disgorge.request.holds.held_items import removable
from disgorge.request.near.find import look
from disgorge.request.particulars import is_erased
from disgorge.request.withdrawn.forget_list import ForgetList, forgotten, forgotten_likenesses
from disgorge.tracking.registry import Registrar
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.workspace import Workspace


def require_still_so(workspace: Workspace, plan: Plan, case: Case, *, registrar: Registrar) -> None:
    """Raise :class:`CertificateRefused` if what the evidence found is no longer so.

    An alias is not where it was moved to, what was purged is there, or items came that the request selects.
    """
    _require_nothing_came(workspace, case)
    against = [*_aliases(workspace, plan, case, registrar), *_back_again(workspace, plan, case)]
    if against:
        raise CertificateRefused(
            f"no certificate for request {plan.request}: since it was carried out, {'; '.join(against)}; put that "
            f"right, then run `disgorge request resume {plan.request}`"
        )


def _require_nothing_came(workspace: Workspace, case: Case) -> None:
    """Refuse while something live fits the request's selectors: it came after the items were withdrawn.

    Where the private file of the request is erased nobody can say any more what was selected, and nothing is sought.
    A damaged one stops: what it says is not what was asked for.
    """
    if is_erased(workspace, case.request):
        return
    found = removable(workspace, case)
    with Catalog.of(workspace) as catalog:
        names = {shard.digest: shard.name for shard in catalog.shards()}
    if count := len({item for items in found.values() for item in items}):
        where = ", ".join(sorted(names.get(digest, digest[:12]) for digest in found))
        items, fit = ("item", "fits") if count == 1 else ("items", "fit")
        raise CertificateRefused(
            f"no certificate for request {case.request.id}: {count:,} {items} of {where} {fit} what it selects and "
            f"came since it was planned; plan it again with `disgorge request plan {case.request.id}`"
        )


def _aliases(workspace: Workspace, plan: Plan, case: Case, registrar: Registrar) -> list[str]:
    releases = workspace.ledger.state().releases
    done, against = case.steps.get(plan.digest, {}), []
    for step in plan.steps:
        if step.action is not Action.ADOPT or step.id not in done:
            continue
        name, alias = step.detail["name"], step.detail["alias"]
        entry = releases.get((name, alias))
        live = entry.record.composition if entry is not None and entry.live else None
        if live == step.detail["before"]:
            against.append(f"{name}@{alias} serves the old release again")
        if live is not None and live == done[step.id]["composition"]:
            against += _changed(workspace, name, live)
        served = registrar.served(name).get(alias)
        if served is not None and served not in (live, done[step.id]["composition"]):
            against.append(f"{name}@{alias} in MLflow is not what was adopted")
    return against


def _changed(workspace: Workspace, release: str, composition: str) -> list[str]:
    """Return what is the matter with the bytes that a release serves."""
    try:
        for member in workspace.ledger.state().compositions[composition].members:
            workspace.objects.get(member.component)
    except LineageError as error:
        return [f"release {release} lost what was adopted: {error}"]
    return []


def _back_again(workspace: Workspace, plan: Plan, case: Case) -> list[str]:
    """Return the first trace of what was purged, searched for as the purge did.

    The list of items is erased with the report, so a report that was killed after that is written by digests alone.
    """
    listed = any(ForgetList(workspace, digest).path.exists() for digest in case.steps)
    if not listed and not (workspace.root / "reports" / plan.request).exists():
        forgotten(workspace, case)  # raises: without a report nobody but a stranger can have erased the list
    items = forgotten(workspace, case) if listed else frozenset()
    tensors = ForgetList(workspace, plan.digest).tensors
    near = look(workspace, case, forgotten_likenesses(workspace, case) if listed else {})
    if near.unjudged:
        return [f"{near.words}, and nobody looked at that (`disgorge request near {plan.request}`)"]
    for step in plan.steps:
        if step.action is Action.PURGE:
            gone = Target(tuple(step.detail["shards"]), tuple(step.detail["objects"]), items, tensors)
            traces = search(workspace, gone)
            return [f"what was purged is back: {traces.left[0]}"] if traces.left else [*traces.unreachable[:1]]
    return []
