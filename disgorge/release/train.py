"""Trains models and releases them, for ``disgorge train``.

The order is the order of safety: every component is recorded as soon as it is trained, the composition when all are
there and it answered a first question (:mod:`.trial`), and the release only after the registry serves it. So a run that
was stopped leaves components that the next one finds, and a name is never said to be served before it is.

A training holds the workspace's turn, as removals do: see :mod:`disgorge.workspace_lock`.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from disgorge.errors import ReleaseContained
from disgorge.layout import component_name, layout_of
from disgorge.method import Blueprint, ModelSpec
from disgorge.release.disk import require_room
from disgorge.release.serving import release_it
from disgorge.release.trial import try_out
from disgorge.request.case import docket
from disgorge.request.holds.out_of_service import stopped_releases, stopped_words
from disgorge.tracking.registry import Registrar, registry_or_none
from disgorge.tracking.runs import Observer, tracking_or_none
from disgorge.training.code.kept import code_made_with
from disgorge.training.make import Made, make_all, making
from disgorge.training.model_file import FUNCTION
from disgorge.training.recipe import Runner
from disgorge.training.runners.declared import method_of_model
from disgorge.workspace_lock import turn
from lineage.artifacts.files import problem_with
from lineage.artifacts.named import artifact_digests
from lineage.catalog.catalog import Catalog, did_you_mean
from lineage.errors import DigestMismatch, UnknownRecord
from lineage.ledger.fact_kinds import ComponentFact, CompositionFact, FactBody
from lineage.records import Component, Composition, Release, Shard
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Model:
    """What a model file says, and the file, in whose folder the user's own code is searched for first."""

    spec: ModelSpec
    file: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder of the file."""
        return self.file.parent if self.file else None


def train_release(workspace: Workspace, spec: ModelSpec, runner: Runner, **how: Any) -> Made:
    """Make what is missing of one model, and release it: see :func:`train_releases`."""
    return train_releases(workspace, [Model(spec)], runner, **how)[0]


def train_releases(
    workspace: Workspace,
    models: Sequence[Model],
    runner: Runner,
    *,
    registrar: Registrar | None = None,
    observer: Observer | None = None,
) -> list[Made]:
    """Make what is missing of models of distinct names, side by side, and release each under its name and alias.

    Every new composition is asked once before the first release moves; where one cannot answer, none does.
    ``registrar`` and ``observer`` are the workspace's own by default. Raises :class:`~lineage.errors.UnknownRecord` for
    a shard that is not there, :class:`ReleaseContained`, :class:`~lineage.errors.WorkspaceBusy` while a removal runs,
    and what training and asking raise.
    """
    with turn(workspace, then="train again"):
        shards = shards_for(workspace, *(model.spec for model in models))
        held = [_may_be_trained(workspace, model.spec) for model in models]
        before = [each for model in models for each in _trained_before(workspace, model.spec)]
        require_room(workspace, before, then="train again")
        served = [_served(workspace, release) for release in held]
        every = make_all(
            [
                making(workspace, each.spec, method=method_of_model(each.spec, folder=each.folder), shards=shards)
                for each in models
            ],
            runner,
        )
        new = [_is_new(made, last, parts) for made, last, parts in zip(every, held, served, strict=True)]
        try:
            every = _asked(workspace, models, every, new, shards, runner)
        except BaseException:
            _answer_as_before(workspace, every, served)
            raise
        for model, made, last in zip(models, every, held, strict=True):
            _release(workspace, model.spec, made, last, registrar or registry_or_none(workspace))
    for model, made in zip(models, every, strict=True):
        used = [shards[name] for name in (*model.spec.core, *model.spec.shards)]
        (observer or tracking_or_none(workspace)).training(model.spec, made, used, model_file=model.file)
    return every


def _may_be_trained(workspace: Workspace, spec: ModelSpec) -> Release | None:
    """Return the release that is served under a model's name and alias; raise where it must not be trained."""
    require_artifacts(workspace, spec)
    held = release_of(workspace, spec.release, spec.alias)
    if held is not None and held.contained:
        raise contained(workspace, held)
    return held


def _served(workspace: Workspace, release: Release | None) -> dict[tuple[str, str], Component]:
    """Return the parts of what a release serves, by name and digest, as they were recorded last."""
    if release is None:
        return {}
    with Catalog.of(workspace) as catalog:
        members = {member.component for member in catalog.composition(release.composition).members}
        return {(each.name, each.digest): each for each in catalog.components() if each.digest in members}


def _is_new(made: Made, last: Release | None, served: Mapping[tuple[str, str], Component]) -> bool:
    """Whether a release would serve another composition, or answer by other code, than it does."""
    if last is None or last.composition != made.composition.digest:
        return True
    parts = ((each, served.get((each.name, each.digest))) for each in made.components)
    return any(part is not None and part.recipe != each.recipe for each, part in parts)


def _answer_as_before(
    workspace: Workspace, every: Sequence[Made], served: Sequence[Mapping[tuple[str, str], Component]]
) -> None:
    """Record the served parts as they were: a model answers by the code of the recipe that was recorded last."""
    made = {(each.name, each.digest): each for model in every for each in model.components}
    were = {place: part for parts in served for place, part in parts.items() if place in made}
    changed = [ComponentFact(part) for place, part in were.items() if part.recipe != made[place].recipe]
    if changed:
        workspace.ledger.record(*changed)


def _asked(
    workspace: Workspace,
    models: Sequence[Model],
    every: Sequence[Made],
    new: Sequence[bool],
    shards: Mapping[str, Shard],
    runner: Runner,
) -> list[Made]:
    """Return what was made, each with its quality unless it is what its release serves already."""
    asked = {
        made.composition.digest: (model.spec, made.composition)
        for model, made, is_new in zip(models, every, new, strict=True)
        if is_new
    }
    quality = dict(zip(asked, try_out(workspace, list(asked.values()), shards, runner), strict=True)) if asked else {}
    return [replace(made, quality=quality.get(made.composition.digest)) for made in every]


def _release(workspace: Workspace, spec: ModelSpec, made: Made, last: Release | None, registrar: Registrar) -> None:
    """Record a composition and serve it, in place of the last one under its name and alias."""
    facts: list[FactBody] = []
    if not _is_recorded(workspace, made.composition):
        facts.append(CompositionFact(made.composition))
    released, words = release_it(workspace, registrar, (spec.release, spec.alias), made.composition)
    if last is None or last.composition != made.composition.digest or words:
        facts += released
    workspace.ledger.record(*facts)


def lay_out(workspace: Workspace, spec: ModelSpec, *, folder: Path | None = None) -> tuple[Blueprint, ...]:
    """Return the components a model should have over the shards there are, with their expected steps."""
    return layout_of(method_of_model(spec, folder=folder), spec, shards_for(workspace, spec))


def change_of_code(workspace: Workspace, spec: ModelSpec, *, folder: Path | None = None) -> str:
    """Return in words that local code differs from what a release was trained with, "" if it does not, or has none."""
    held, now = release_of(workspace, spec.release, spec.alias), method_of_model(spec, folder=folder).code
    if held is None or now is None:
        return ""
    with Catalog.of(workspace) as catalog:
        members = catalog.composition(held.composition).members
    before = code_made_with(workspace, (member.component for member in members)).get("code", now.tree.digest)
    if before == now.tree.digest:
        return ""
    return (
        f"the code of {spec.method} is {now.tree.digest[:12]} and was {before[:12]} when {held.name}@{held.alias} was "
        "trained: edited code is another recipe, so every part is trained again"
    )


def shards_for(workspace: Workspace, *specs: ModelSpec) -> dict[str, Shard]:
    """Return every live shard by name; :class:`~lineage.errors.UnknownRecord` names those that a model lacks."""
    with Catalog.of(workspace) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
        once = {shard.name for shard in catalog.shards(live=False)}
    for spec in specs:
        _require_shards(spec, shards, once)
    return shards


def _require_shards(spec: ModelSpec, shards: Mapping[str, Shard], once: Container[str]) -> None:
    missing = [name for name in (*spec.core, *spec.shards, *spec.evaluate) if name not in shards]
    chosen_on = spec.parameters.get("chosen_on", ()) if spec.method == FUNCTION else ()
    missing += [name for name in chosen_on if name not in once]  # one that was withdrawn has chosen all the same
    withdrawn = [name for name in missing if name in once]
    if withdrawn:
        raise UnknownRecord(
            f"model {spec.release} names {', '.join(map(repr, withdrawn))}, which was withdrawn; take it out of the "
            f"model file"
        )
    if missing:
        perhaps = did_you_mean(missing[0], shards)
        raise UnknownRecord(
            f"model {spec.release} names {', '.join(map(repr, missing))}, which no live shard is called{perhaps}; add "
            f"it with `disgorge shard add`, or take it out of the model file"
        )


def require_artifacts(workspace: Workspace, spec: ModelSpec) -> None:
    """Raise :class:`~lineage.errors.LineageError` for an artifact that is not recorded, was withdrawn, or changed."""
    with Catalog.of(workspace) as catalog:
        artifact_digests(catalog, spec.artifact_names, of=spec.release)
        live = {artifact.name: artifact for artifact in catalog.artifacts()}
    for name in spec.artifact_names:
        if name not in live:
            raise UnknownRecord(
                f"model {spec.release} names the artifact {name!r}, which was withdrawn; name another one"
            )
        if wrong := problem_with(workspace, live[name]):
            raise DigestMismatch(f"{wrong}; restore it from a copy, or add what it is now under another name")


def release_of(workspace: Workspace, name: str, alias: str) -> Release | None:
    """Return the live release under a name and alias, or None."""
    with Catalog.of(workspace) as catalog:
        releases = [release for release in catalog.releases() if (release.name, release.alias) == (name, alias)]
    return releases[0] if releases else None


def contained(workspace: Workspace, release: Release) -> ReleaseContained:
    """Return the error that says that a release is out of service, for what, and what to do."""
    if by := stopped_releases(workspace.ledger.facts(), docket(workspace)).get((release.name, release.alias)):
        return ReleaseContained(
            f"release {release.name}@{release.alias} is {stopped_words(by)}: it learned from held items and must not "
            f"be served; lift that hold first, or answer it with --serving keep (`disgorge request show {by[0]}`)"
        )
    return ReleaseContained(
        f"release {release.name}@{release.alias} is contained: a request touches it and it must not be served; carry "
        f"the request out first (`disgorge request list`)"
    )


def _trained_before(workspace: Workspace, spec: ModelSpec) -> list[Component]:
    """Return what a release was made of the last time."""
    with Catalog.of(workspace) as catalog:
        return [each for each in catalog.components() if each.name.startswith(component_name(spec.release, ""))]


def _is_recorded(workspace: Workspace, composition: Composition) -> bool:
    with Catalog.of(workspace) as catalog:
        try:
            catalog.composition(composition.digest)
        except UnknownRecord:
            return False
    return True
