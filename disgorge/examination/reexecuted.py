"""Facts that a part was re-executed, and reached the bytes that were recorded: work that need not be done again.

Such a fact saves a later removal a training, so it has to be worth believing: it carries a seal, an HMAC under a key in
``private/``. A fact without a right one spares nothing, and the audit names it.
"""

import hmac
from collections.abc import Iterator, Mapping

from disgorge.method import methods
from disgorge.training.environment import can_be_reused
from lineage.ledger.chain import Fact
from lineage.records import Component, Json, canonical
from lineage.workspace import Workspace

KIND = "reexecuted"
_SEALED = ("recipe", "component", "confined")


def reexecuted(workspace: Workspace, component: Component, *, confined: bool) -> tuple[str, dict[str, Json]]:
    """Return the fact that a component's recipe was carried out in a process of its own and made its very bytes."""
    body: dict[str, Json] = {
        "recipe": component.recipe_digest,
        "component": component.digest,
        "confined": confined,
    }
    return KIND, body | {"seal": _seal(workspace, body)}


def earlier_reexecutions(workspace: Workspace) -> dict[tuple[str, str], bool]:
    """Return whether it was confined, by recipe and component, of every re-execution whose fact is sealed."""
    return {
        (fact.body["recipe"], fact.body["component"]): fact.body["confined"]
        for fact in workspace.ledger.facts(KIND)
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


def unsealed(workspace: Workspace) -> Iterator[Fact]:
    """Yield the facts that say a part was re-executed and have no right seal."""
    return (fact for fact in workspace.ledger.facts(KIND) if not is_sealed(workspace, fact))


def is_sealed(workspace: Workspace, fact: Fact) -> bool:
    """Whether a fact was written by a program that holds this workspace's private key."""
    body = fact.body
    seal = body.get("seal")
    if not isinstance(seal, str) or not isinstance(body.get("confined"), bool):
        return False
    return hmac.compare_digest(seal.encode(), _seal(workspace, body).encode())


def _seal(workspace: Workspace, body: dict[str, Json]) -> str:
    return workspace.private.seal(KIND + canonical({name: body.get(name) for name in _SEALED}).decode())
