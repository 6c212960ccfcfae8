"""Which code a job runs: the tree that its recipe names, as it was stored, whatever became of the files since.

A recipe of a method whose code is local has ``code``, the digest of the tree, and ``entry``, which names the method in
it. First training stores the code of the day; a removal, its references and questions about a model run the code that
its parts were made with. So edited code is another recipe for a training, and nothing for a removal.
"""

from collections.abc import Iterable, Mapping

from disgorge.errors import ExecutionFailed
from disgorge.method import entry_of
from disgorge.training.code.local import LocalCode, local_code
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Json
from lineage.storage.tree import kept_tree
from lineage.workspace import Workspace

NONE: Mapping[str, str] = {}


def keep_code(workspace: Workspace, method: str) -> Mapping[str, str]:
    """Store the local code of a method as it is now, and return what a recipe says of it; nothing where it has none."""
    code = code_now(method)
    return {"code": code.tree.keep(workspace.objects), "entry": code.entry} if code else NONE


def code_now(method: str) -> LocalCode | None:
    """Return the local code of a method as it is now, None where a distribution brings the method."""
    entry = entry_of(method)
    return local_code(entry) if entry else None


def code_made_with(workspace: Workspace, components: Iterable[str]) -> Mapping[str, str]:
    """Return what the recipes of these components say of their code, the last recorded one's; nothing if none does."""
    wanted, found = frozenset(components), NONE
    for _, said in workspace.ledger.said(ComponentFact):
        recipe = said.component.recipe
        if said.component.digest in wanted and "code" in recipe:
            found = {name: recipe[name] for name in ("code", "entry")}
    return found


def code_to_run(workspace: Workspace, recipe: Mapping[str, Json], method: str) -> LocalCode | None:
    """Return the code to carry out a recipe, or questions about compositions, with; None where a distribution has it.

    Raises :class:`ExecutionFailed` for a recipe to train by a method of local code that names none, and what reading
    an object raises for code that is missing or changed.
    """
    named = recipe if "code" in recipe else code_made_with(workspace, _asked_about(recipe))
    if named:
        return LocalCode(named["entry"], kept_tree(workspace.objects, named["code"]))
    now = code_now(method)
    if now is not None and "uses" in recipe:
        raise ExecutionFailed(
            f"its recipe names no code, and {method} is local code here ({now.entry}); train it again with `disgorge "
            "train`, which stores the code"
        )
    return now


def _asked_about(recipe: Mapping[str, Json]) -> list[str]:
    """Return the components of the composition that a question is about."""
    question = recipe.get("question")
    return [member["component"] for member in question["composition"]["members"]] if question else []
