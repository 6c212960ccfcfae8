"""The description of a release of recorded components, which the method ``function`` lays out.

For each component it says what shaped it and, where a function of the user's makes it, by which parameters; and which
code answers and trains: that of the function that answers, with that of every recipe, as one tree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.errors import WrongUse
from disgorge.layout import blueprint_name, component_name, layout_of
from disgorge.method import ModelSpec
from disgorge.release.attest import NEEDED
from disgorge.training.code.local import code_of_functions, require_functions
from disgorge.training.model_file import FUNCTION
from disgorge.training.runners.declared import declared
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences
from lineage.ledger.state import influences_of
from lineage.records import Artifact, Component, Composition, Json, Member, Role, Shard, in_member_order, plain
from lineage.storage.tree import Tree, kept_tree
from lineage.workspace import Workspace

Code = dict[str, bytes]
"""The files of a tree by path."""


@dataclass(frozen=True, slots=True)
class Answering:
    """How a composed release answers: by which function, how several answers become one, for what task.

    ``evaluate`` names shards that it is measured on.
    """

    predict: str | None = None
    combine: str = "mean"
    task: str | None = None
    evaluate: tuple[str, ...] = ()


def is_composed(composition: Composition) -> bool:
    """Whether a composition is one of recorded components."""
    parameters = composition.spec.get("parameters")
    return composition.method == FUNCTION and isinstance(parameters, dict) and "components" in parameters


def has_recipe(component: Component) -> bool:
    """Whether a component has a recipe that can be carried out."""
    return component.recipe.keys() >= NEEDED


def code_that_answers(answering: Answering, folder: Path) -> Code:
    """Return the local code of the function that answers.

    Raises :class:`~disgorge.errors.BadModel` for one that is not there.
    """
    if answering.predict is None:
        return {}
    code = code_of_functions(declared(FUNCTION).entry, [answering.predict], folder=folder)
    require_functions(code, [answering.predict])
    return dict(code.tree.data) if code else {}


def composition_of(
    workspace: Workspace,
    key: tuple[str, str],
    members: Sequence[Component],
    answering: Answering,
    code: Code,
) -> Composition:
    """Return the composition of components, under the names that a release (``key``: name, alias) has for them.

    ``code`` is what answers. Raises :class:`WrongUse` for a component that learned from withdrawn data, or that another
    method's recipe makes, and where code of two versions would be needed.
    """
    with Catalog.of(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
        shards = {each.name: each for each in catalog.shards()}
        live: dict[str, Shard | Artifact] = {each.digest: each for each in shards.values()}
        live |= {each.digest: each for each in catalog.artifacts()}
        ever = {each.digest: each.name for each in catalog.shards(live=False)}
        ever |= {each.digest: each.name for each in catalog.artifacts(live=False)}
        evaluate = tuple(catalog.shard(name).name for name in answering.evaluate)
    shaped = {each.name: _shaped_by(each, known, ever) for each in members}
    for name, uses in shaped.items():
        if gone := [digest for digest in uses if digest not in live]:
            raise WrongUse(f"component {name} learned from {ever[gone[0]]}, which was withdrawn; leave it out")
    used = {digest: live[digest] for uses in shaped.values() for digest in uses}
    learned = [each for each in used.values() if isinstance(each, Shard)]
    if seen := [each.name for each in learned if each.name in evaluate]:
        raise WrongUse(f"--evaluate: components learned from {seen[0]}; name a shard that none has seen")
    code = _with_recipes(workspace, members, code)
    method = declared(FUNCTION)
    given: dict[str, Json] = {"predict": answering.predict, "combine": answering.combine, "task": answering.task}
    given["components"] = {each.name: _entry(each, shaped[each.name], live) for each in members}
    given["stored"] = {"code": Tree.of(code).keep(workspace.objects), "entry": method.entry} if code else None
    threads, device, deterministic = _carried_out(members)
    spec = ModelSpec(
        release=key[0],
        alias=key[1],
        method=FUNCTION,
        core=tuple(sorted(each.name for each in learned if each.core)),
        shards=tuple(sorted(each.name for each in learned if not each.core)),
        evaluate=evaluate,
        parameters={name: value for name, value in given.items() if value is not None},
        threads=threads,
        device=device,
        deterministic=deterministic,
        artifacts=_artifacts(members, {each.digest: each.name for each in used.values() if isinstance(each, Artifact)}),
    )
    digests = {each.name: each.digest for each in members}
    placed = {component_name(spec.release, each.name): each.weight for each in layout_of(method, spec, shards)}
    return Composition(
        FUNCTION, plain(spec), in_member_order(Member(name, digests[name], weight) for name, weight in placed.items())
    )


def _shaped_by(
    component: Component, known: Mapping[str, Sequence[Component]], ever: Mapping[str, str]
) -> dict[str, Role]:
    """Return the shards and artifacts that shaped a component, as its recipe has them, or else by way of others too."""
    recipe = component.recipe
    if not has_recipe(component):
        direct = {use.digest: use.role for use in influences_of(component)}
        return {each: direct.get(each, Role.TRAIN) for each in sorted(influences([component], known) & ever.keys())}
    if recipe["method"] != FUNCTION or any(use["of"] == "component" for use in recipe["uses"]):
        raise WrongUse(
            f"component {component.name} has a recipe of method {recipe['method']!r} or reads other components; "
            "release it with `disgorge train MODEL.yaml`, which finds it there"
        )
    return {use["digest"]: Role(use["role"]) for use in recipe["uses"]}


def _entry(component: Component, uses: Mapping[str, Role], live: Mapping[str, Shard | Artifact]) -> dict[str, Json]:
    """Return what the description says of a component."""
    listed = [
        {"of": "shard" if isinstance(live[digest], Shard) else "artifact", "name": live[digest].name, "digest": digest,
         "role": role.value}
        for digest, role in uses.items()
    ]  # fmt: skip
    return {"uses": listed} | ({"parameters": component.recipe["parameters"]} if has_recipe(component) else {})


def _with_recipes(workspace: Workspace, members: Sequence[Component], code: Code) -> Code:
    """Return code with that of the recipes of components; :class:`WrongUse` for two versions of one file."""
    found = dict(code)
    for component in members:
        if has_recipe(component) and "code" in component.recipe:
            for path, data in kept_tree(workspace.objects, component.recipe["code"]).data.items():
                if found.setdefault(path, data) != data:
                    raise WrongUse(
                        f"component {component.name} was made with another {path} than the release answers by, or than "
                        f"another component; run `disgorge attest --component {component.name} --recipe MODEL.yaml` "
                        "with the code of today, and compose the release again"
                    )
    return found


def _carried_out(members: Sequence[Component]) -> tuple[int, str, bool]:
    """Return threads, device and whether kernels are deterministic, as the recipes of components have them."""
    ways = {
        (each.recipe["threads"], each.recipe.get("device", "cpu"), each.recipe.get("deterministic", True))
        for each in members
        if has_recipe(each)
    }
    if len(ways) > 1:
        raise WrongUse(
            "the recipes of these components differ in threads, device or deterministic; give them the same, or "
            "release them apart"
        )
    return ways.pop() if ways else (1, "cpu", True)


def _artifacts(members: Sequence[Component], names: Mapping[str, str]) -> dict[str, str]:
    """Return the recorded name of each artifact by the name that code has for it: that of a recipe, or its own."""
    found = {name: name for name in names.values()}
    for component in members:
        if has_recipe(component):
            used = [use["digest"] for use in component.recipe["uses"] if use["of"] == "artifact"]
            places = component.recipe["parameters"].get("artifacts", {})
            found |= {called: names[used[place]] for called, place in places.items()}
    return dict(sorted(found.items()))


def name_in(release: str, component: Component) -> str:
    """Return the name that a release has for a component."""
    return component_name(release, blueprint_name(release, component.name))
