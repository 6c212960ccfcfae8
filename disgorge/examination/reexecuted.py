"""Facts that a part was re-executed, and reached the bytes that were recorded: work that need not be done again.

Such a fact saves a later removal a training, so it has to be worth believing: it carries a seal, an HMAC under a key in
``private/``. A fact without a right one spares nothing, and the audit names it.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import replace

from disgorge.facts import ReexecutedFact
from disgorge.method import methods
from disgorge.training.environment import can_be_reused
from lineage.records import Component, canonical
from lineage.workspace import Workspace


def reexecuted(workspace: Workspace, component: Component, *, confined: bool) -> ReexecutedFact:
    """Return the fact that a component's recipe was carried out in a process of its own and made its very bytes."""
    fact = ReexecutedFact(component.recipe_digest, component.digest, confined)
    return replace(fact, seal=_seal(workspace, fact))


def earlier_reexecutions(workspace: Workspace) -> dict[tuple[str, str], bool]:
    """Return whether it was confined, by recipe and component, of every re-execution whose fact is sealed."""
    return {
        (fact.recipe, fact.component): fact.confined
        for _, fact in workspace.ledger.said(ReexecutedFact)
        if is_sealed(workspace, fact)
    }


def is_proved(component: Component, earlier: Mapping[tuple[str, str], bool]) -> bool:
    """Whether an earlier re-execution made these very bytes by the recipe recorded."""
    return bool(component.recipe) and (component.recipe_digest, component.digest) in earlier


def recording_for_here(
    component: Component, recorded: Mapping[tuple[str, str], list[Component]], earlier: Mapping[tuple[str, str], bool]
) -> Component:
    """Return the recording of a component to make again here: one that was re-executed, else of this environment.

    Where there is neither it is the last one.
    """
    found = recorded.get((component.name, component.digest), [component])
    method = methods().get(found[-1].recipe.get("method", ""))
    libraries = method.libraries if method else ()
    last_first = found[::-1]
    proved = [each for each in last_first if is_proved(each, earlier)]
    return (proved or [each for each in last_first if can_be_reused(each, libraries)] or last_first)[0]


def unsealed(workspace: Workspace) -> Iterator[tuple[int, ReexecutedFact]]:
    """Yield the facts that say a part was re-executed and have no right seal, each after its place."""
    told = workspace.ledger.said(ReexecutedFact)
    return ((fact.seq, said) for fact, said in told if not is_sealed(workspace, said))


def is_sealed(workspace: Workspace, fact: ReexecutedFact) -> bool:
    """Whether a fact was written by a program that holds this workspace's private key."""
    return hmac.compare_digest(fact.seal.encode(), _seal(workspace, fact).encode())


def _seal(workspace: Workspace, fact: ReexecutedFact) -> str:
    return workspace.private.seal(fact.kind_of_fact + canonical(replace(fact, seal="")).decode())
