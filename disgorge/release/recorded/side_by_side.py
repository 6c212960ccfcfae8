"""Measures a recorded component beside what its recipe made, so that a person can tell whether that does as well.

With a model file each of the two is asked by itself, with the parts that it reads, as that model's only one; otherwise
the first live release is asked that has it, as it is and with the other one in its place. Both answer about the shards
that the model is measured on, by the same code. What cannot be measured says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from disgorge.errors import DisgorgeError
from disgorge.layout import component_name
from disgorge.method import Items, ModelSpec
from disgorge.release.recorded.attest import blueprint_for
from disgorge.release.train import lay_out
from disgorge.training.answer import Question
from disgorge.training.ask import Answered, ask, question_about
from disgorge.training.assemble import spec_of
from disgorge.training.make import ancestry
from disgorge.training.recipe import Runner
from disgorge.training.stored import read_items
from lineage.artifacts.named import artifact_digests
from lineage.catalog.catalog import Catalog
from lineage.records import Component, Composition, Member, in_member_order, plain
from lineage.workspace import Workspace

Measures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a recorded component and what its recipe made reach on a shard, by measure; or why one was not measured."""

    shard: str
    recorded: Measures
    made: Measures
    lacking: tuple[str, ...] = ()


def measure(
    workspace: Workspace,
    runner: Runner,
    recorded: Component,
    made: Component,
    spec: ModelSpec | None = None,
    *,
    folder: Path | None = None,
) -> tuple[Measured, ...]:
    """Return what both reach on each shard that the model, or else the release that has the component, is measured on.

    ``spec`` is that of the model file in ``folder``.
    """
    code: Mapping[str, str] = {}
    if spec is not None:
        questions = _by_itself(workspace, recorded, made, spec, folder)
        code = {name: made.recipe[name] for name in ("code", "entry") if name in made.recipe}
    elif (found := _in_release(workspace, recorded, made)) is not None:
        questions, spec = found
    else:
        return ()
    with Catalog.of(workspace) as catalog:
        digests = {name: catalog.shard(name).digest for name in spec.evaluate}
    items = [read_items(workspace, digest, as_paths=True) for digest in digests.values()]
    if not items:
        return ()
    before, after = (_answers(runner, question, items, code) for question in questions)
    return tuple(
        Measured(name, old.measures, new.measures, tuple(dict.fromkeys((*_why(old), *_why(new)))))
        for name, old, new in zip(digests, before, after, strict=True)
    )


def _answers(
    runner: Runner, question: Question, items: Sequence[Items], code: Mapping[str, str]
) -> tuple[Answered, ...]:
    """Return what a model answers; one that fails lacks its measures, for that reason."""
    try:
        (answers,) = ask(runner, [question], items, code=code)
    except DisgorgeError as error:
        return tuple(Answered(None, None, {}, {"measures": str(error)}) for _ in items)
    return answers.sets


def _why(answered: Answered) -> tuple[str, ...]:
    return (answered.lacking["measures"],) if "measures" in answered.lacking else ()


def _by_itself(
    workspace: Workspace, recorded: Component, made: Component, spec: ModelSpec, folder: Path | None
) -> list[Question]:
    """Return the questions about a model that has a component alone, with the parts it reads."""
    blueprint = blueprint_for(workspace, recorded, spec, folder)
    needed = ancestry(lay_out(workspace, spec, folder=folder), blueprint.name)
    with Catalog.of(workspace) as catalog:
        live = {each.name: each.digest for each in catalog.components()}
        artifacts = tuple(artifact_digests(catalog, spec.artifact_names, of=spec.release).values())
    questions = []
    for digest in (recorded.digest, made.digest):
        members, kinds = [], {}
        for each in needed:
            name = component_name(spec.release, each.name)
            member = digest if each.name == blueprint.name else live.get(name, live.get(each.name))
            if member is not None:
                members.append(Member(name, member, each.weight))
                kinds[member] = each.kind
        composition = Composition(spec.method, plain(spec), in_member_order(members))
        questions.append(Question(composition, kinds, None, None, artifacts))
    return questions


def _in_release(workspace: Workspace, recorded: Component, made: Component) -> tuple[list[Question], ModelSpec] | None:
    """Return the questions about a live release as it is and with what was made; None where none has the component."""
    with Catalog.of(workspace) as catalog:
        served = [catalog.composition(release.composition) for release in catalog.releases()]
    for composition in served:
        places = [member.component for member in composition.members]
        if recorded.digest in places and composition.spec:
            now = question_about(workspace, composition, draw=None)
            members = [
                replace(each, component=made.digest) if each.component == recorded.digest else each
                for each in composition.members
            ]
            renewed = replace(composition, members=in_member_order(members))
            kinds = now.kinds | {made.digest: now.kinds[recorded.digest]}
            return [now, replace(now, composition=renewed, kinds=kinds)], spec_of(composition)
    return None
