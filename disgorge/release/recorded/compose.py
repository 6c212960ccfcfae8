"""Composes releases of recorded components, for ``disgorge release compose``, and puts one in the place of another.

Each component is recorded under the release's name as well. Where a function is named the release answers by it;
without, it is listed and traced, and answers nothing. A removal trains again what has a recipe and drops the rest: see
:mod:`disgorge.methods.function.composed`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from disgorge.errors import BadModel, WrongUse
from disgorge.evidence.quality import Quality
from disgorge.method import RECORDED
from disgorge.release.attest import refuse_contained
from disgorge.release.recorded.composed import (
    Answering,
    code_that_answers,
    composition_of,
    has_recipe,
    is_composed,
    name_in,
)
from disgorge.release.serving import release_it
from disgorge.release.train import contained, release_of, shards_for
from disgorge.release.trial import try_out
from disgorge.tracking.registry import Registrar, registry_or_none
from disgorge.training.answer import Question
from disgorge.training.assemble import spec_of
from disgorge.training.model_file import is_name
from disgorge.training.recipe import Runner
from disgorge.workspace_lock import turn
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences, members_of
from lineage.ledger.fact_kinds import ComponentFact, CompositionFact, FactBody
from lineage.records import Component, Composition, in_member_order
from lineage.storage.components import require_whole
from lineage.storage.tree import kept_tree
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Composed:
    """A release of recorded components, under the names that it has for them, and in words that it is not served."""

    composition: Composition
    components: tuple[Component, ...]
    words: tuple[str, ...]
    quality: Quality | None = None
    """What it measures, None for one that answers nothing, or that its name served before."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What to record of a component that takes another's place, which releases changed, and why one is not served."""

    facts: tuple[FactBody, ...]
    releases: tuple[str, ...]
    words: tuple[str, ...]


def compose_release(
    workspace: Workspace,
    name: str,
    components: Sequence[str],
    answering: Answering,
    *,
    alias: str = "live",
    folder: Path | None = None,
    registrar: Registrar | None = None,
    runner: Runner | None = None,
) -> Composed:
    """Compose recorded components, and release them. The function that answers is searched for in ``folder`` first.

    With a ``runner`` one that answers is asked once before it is released, and measured.

    Raises :class:`~lineage.errors.UnknownRecord` for a component that is not there, :class:`WrongUse` for one that is
    named twice, and for the name of a trained model, :class:`BadModel` for a function that is not there or a name that
    is none, :class:`~disgorge.errors.ReleaseContained`, and what :func:`composition_of` raises.
    """
    for each in (name, alias):
        if not is_name(each):
            raise BadModel(f"{each[:80]!r} is an invalid name; use letters, digits, dots, hyphens and underscores")
    with turn(workspace, then="compose it again"):
        held = release_of(workspace, name, alias)
        if held is not None and held.contained:
            raise contained(workspace, held)
        with Catalog.of(workspace) as catalog:
            found = tuple(map(catalog.component, components))
            if held is not None and not is_composed(catalog.composition(held.composition)):
                raise WrongUse(f"release {name}@{alias} is a trained model; give what you compose another name")
        for place, component in enumerate(found):
            if component.digest in {other.digest for other in found[:place]}:
                raise WrongUse(f"component {component.name} is named twice, by one name or two; name it once")
            refuse_contained(workspace, component)
            require_whole(workspace.objects, component.digest)
        members = tuple(
            replace(each, name=name_in(name, each), kind=each.kind if has_recipe(each) else RECORDED) for each in found
        )
        code = code_that_answers(answering, folder or Path.cwd())
        composition = composition_of(workspace, (name, alias), members, answering, code)
        is_new = held is None or held.composition != composition.digest
        quality = _asked(workspace, composition, members, runner) if runner and answering.predict and is_new else None
        registrar = registrar or registry_or_none(workspace)
        released, words = release_it(workspace, registrar, (name, alias), composition)
        if is_new:
            workspace.ledger.record(*map(ComponentFact, members), CompositionFact(composition), *released)
        return Composed(composition, members, tuple(words), quality)


def _asked(workspace: Workspace, composition: Composition, members: Sequence[Component], runner: Runner) -> Quality:
    """Return what a composition measures that is not recorded yet; raise where it cannot answer."""
    spec = spec_of(composition)
    question = Question(composition, {each.digest: each.kind for each in members})
    shards, again = shards_for(workspace, spec), "compose it again"  # what classes the labels have, it does not say
    (quality,) = try_out(workspace, [(spec, question)], shards, runner, again=again, must_measure=False)
    return quality


def put_in_place(workspace: Workspace, registrar: Registrar, before: Component, after: Component) -> Replaced:
    """Serve a component in the place of another in every live release that has that one.

    ``after`` may have the very bytes of ``before``, and a recipe: then a composed release says from here on how a
    removal trains it again. Raises :class:`WrongUse` where others of a release were made from what is replaced.
    """
    facts, changed, told = list[FactBody](), list[str](), list[str]()
    with Catalog.of(workspace) as catalog:
        served = [(each, catalog.composition(each.composition)) for each in catalog.releases()]
        live = {(each.name, each.digest): each for each in catalog.components()}
    for release, composition in served:
        places = [member.name for member in composition.members if member.component == before.digest]
        named = {name: replace(after, name=name) for name in places}
        for name, component in named.items():
            recorded = live.get((name, after.digest))
            if name != after.name and (recorded is None or recorded.recipe != after.recipe):
                facts.append(ComponentFact(component))
        if not places:
            continue
        renewed = _renewed(workspace, composition, before, named)
        if renewed.digest != composition.digest:
            released, words = release_it(workspace, registrar, (release.name, release.alias), renewed)
            facts += [CompositionFact(renewed), *released]
            changed.append(release.id)
            told += words
    return Replaced(tuple(facts), tuple(changed), tuple(told))


def _renewed(
    workspace: Workspace, composition: Composition, before: Component, named: Mapping[str, Component]
) -> Composition:
    """Return a composition with these components under the names of some of its members."""
    with Catalog.of(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
    members = members_of(composition, known)
    digests = {each.digest for each in named.values()}
    for other in members:
        if before.digest not in digests and other.name not in named and before.digest in influences([other], known):
            raise WrongUse(
                f"{other.name} was made from {before.name}, and would not fit what takes its place; make the model "
                "as a whole with `disgorge train MODEL.yaml`"
            )
    if not is_composed(composition):
        places = [
            replace(each, component=named[each.name].digest) if each.name in named else each
            for each in composition.members
        ]
        return replace(composition, members=in_member_order(places))
    spec, stored = spec_of(composition), composition.stored_code
    given = {name: spec.parameters[name] for name in ("predict", "combine", "task") if name in spec.parameters}
    code = dict(kept_tree(workspace.objects, stored["code"]).data) if stored else {}
    now = [named.get(each.name, each) for each in members]
    return composition_of(workspace, (spec.release, spec.alias), now, Answering(**given, evaluate=spec.evaluate), code)
