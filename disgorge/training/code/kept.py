"""Which code a job runs: the tree that its recipe names, as it was stored, whatever became of the files since.

A recipe of a method whose code is local has ``code``, the digest of the tree, and ``entry``, which names the method in
it. First training stores the code of the day; a removal, its references and questions about a model run the code that
its parts were made with. So edited code is another recipe for a training, and nothing for a removal.
"""

from collections.abc import Iterable, Mapping

from disgorge.errors import ExecutionFailed
from disgorge.training.code.local import LocalCode
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Composition, Json, restore
from lineage.storage.tree import kept_tree
from lineage.workspace import Workspace

NONE: Mapping[str, str] = {}


def keep_code(workspace: Workspace, code: LocalCode | None) -> Mapping[str, str]:
    """Store local code, and return what a recipe says of it; nothing where a method has none."""
    if code is not None:
        code.tree.keep(workspace.objects)
    return said_of(code)


def said_of(code: LocalCode | None) -> Mapping[str, str]:
    """Return what a recipe says of local code."""
    return {"code": code.tree.digest, "entry": code.entry} if code else NONE


def kept_code(workspace: Workspace, said: Mapping[str, Json]) -> LocalCode | None:
    """Return the stored code that a recipe names, None where it names none; raises what reading an object raises."""
    return LocalCode(said["entry"], kept_tree(workspace.objects, said["code"])) if "code" in said else None


def code_made_with(workspace: Workspace, components: Iterable[str]) -> Mapping[str, str]:
    """Return what the recipes of these components say of their code, the last recorded one's; nothing if none does."""
    wanted, found = frozenset(components), NONE
    for _, said in workspace.ledger.said(ComponentFact) if wanted else ():
        recipe = said.component.recipe
        if said.component.digest in wanted and "code" in recipe:
            found = {name: recipe[name] for name in ("code", "entry")}
    return found


def code_of(workspace: Workspace, composition: Composition) -> Mapping[str, str]:
    """Return what says which code a composition answers by, and is trained again by; nothing if it has none."""
    return composition.stored_code or code_made_with(workspace, (member.component for member in composition.members))


def code_named(workspace: Workspace, recipe: Mapping[str, Json]) -> Mapping[str, str]:
    """Return what a recipe, or the recipes of the parts that a question is about, say of code; nothing if none do."""
    if "code" in recipe:
        return {name: recipe[name] for name in ("code", "entry")}
    question = recipe.get("question")
    return code_of(workspace, restore(Composition, question["composition"])) if question else NONE


def refuse_unnamed(recipe: Mapping[str, Json], now: LocalCode | None) -> None:
    """Raise :class:`ExecutionFailed` for a recipe to train by a method of local code that names none."""
    if now is not None and "uses" in recipe and "code" not in recipe:
        raise ExecutionFailed(
            f"its recipe names no code, and {recipe['method']} is local code here ({now.entry}); train it again with "
            "`disgorge train`, which stores the code"
        )
