"""Training a model and attesting what was trained: what ``disgorge train`` and ``disgorge attest`` do."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.errors import Refused, ReleaseContained, WrongUse
from disgorge.method import ModelSpec
from disgorge.release.attest import Outcome, Part, attest_releases
from disgorge.release.own_function import function as function
from disgorge.release.patterns import resolved
from disgorge.release.recorded import accept_component, attest_component
from disgorge.release.side_by_side import Measured, measure
from disgorge.release.train import Model, change_of_code, lay_out, train_releases
from disgorge.request.case import docket
from disgorge.request.holds.out_of_service import stopped_releases, stopped_words
from disgorge.result import Result, require_name
from disgorge.training.make import Made
from disgorge.training.model_file import read_model_file
from disgorge.training.progress import Progress
from disgorge.training.runners.local import Workers
from disgorge.training.runners.watched import Watched
from disgorge.training.sandbox.levels import level_line, reached
from lineage.plural import seconds
from lineage.records import Json, plain
from lineage.shown import Attention, Table, short, table
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Trained(Result):
    """A release and what it is made of; ``stopped_by`` are the requests whose holds keep it from being served.

    ``made.quality`` is None where the release stayed what it was.
    """

    release: str
    alias: str
    made: Made
    stopped_by: tuple[str, ...]

    def plain(self) -> Json:
        """Return the release, its composition, its quality, and of each component whether it was trained now."""
        quality = self.made.quality
        components = [
            {"name": c.name, "kind": c.kind, "digest": c.digest, "cost": plain(c.cost),
             "trained": c.name in self.made.trained}
            for c in self.made.components
        ]  # fmt: skip
        values: dict[str, Any] = {"release": self.release, "alias": self.alias, "stopped_by": self.stopped_by}
        values["quality"] = plain(quality) | {"words": quality.words} if quality else None
        return values | {"composition": self.made.composition.digest, "components": components}


@dataclass(frozen=True, slots=True)
class ModelsTrained(Result):
    """Several releases, and what each is made of."""

    models: tuple[Trained, ...]

    def plain(self) -> Json:
        """Return what is told of each."""
        return [model.plain() for model in self.models]


def train(
    workspace: Workspace, model: Path | str, *, workers: int | None = None, progress: Progress | None = None
) -> Trained:
    """Train what is missing of a model, record what learned from what, ask it once, and release it under its alias.

    ``model`` is MODEL.yaml: method, shards, release name, parameters. ``workers`` is how many processes train at once,
    by default as the variable DISGORGE_WORKERS has it.
    """
    return train_all(workspace, [model], workers=workers, progress=progress).models[0]


def train_all(
    workspace: Workspace,
    models: Sequence[Path | str],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ModelsTrained:
    """Train what is missing of several models, side by side, and release each: see :func:`train`."""
    files = [Path(model) for model in models]
    read = [Model(resolved(workspace, read_model_file(file)), file) for file in files]
    names = [model.spec.release for model in read]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise WrongUse(f"two of the model files make the release {twice!r}; train them one after the other")
    progress = progress or Progress()
    with Workers(workspace, count=workers or worker_count(), say=progress.say) as processes:
        total = 0
        for model in read:
            blueprints = lay_out(workspace, model.spec, folder=model.folder)
            total += sum(max(blueprint.steps, 1) for blueprint in blueprints)
            if changed := change_of_code(workspace, model.spec, folder=model.folder):
                progress.say(changed)
        try:
            made = train_releases(workspace, read, Watched(processes, progress, total=total))
        except ReleaseContained as held:
            raise Refused(str(held)) from None
    stopped = stopped_releases(workspace.ledger.facts(), docket(workspace))
    trained = tuple(
        _shown(model.spec, of_model, stopped.get((model.spec.release, model.spec.alias), ()))
        for model, of_model in zip(read, made, strict=True)
    )
    return ModelsTrained(trained, shown=tuple(line for each in trained for line in each.shown))


def _shown(spec: ModelSpec, made: Made, stopped: tuple[str, ...]) -> Trained:
    rows = [
        (c.name, c.kind, "trained" if c.name in made.trained else "there already", c.cost.steps,
         seconds(c.cost.seconds), short(c.digest))
        for c in made.components
    ]  # fmt: skip
    named = f"{spec.release}@{spec.alias}"
    held_back = f"{named} is not served: {stopped_words(stopped)}, because it learned from held items"
    shown = (
        table("component", "kind", "", "steps", "took", "digest", rows=rows),
        f"composition {made.composition.digest}",
        f"released as {named}",
        *((made.quality.words,) if made.quality else ()),
        *((Attention(held_back),) if stopped else ()),
    )
    return Trained(spec.release, spec.alias, made, stopped, shown=shown)


@dataclass(frozen=True, slots=True)
class ComponentsAttested(Result):
    """What shows where components come from by now, which were run for it, and why releases were left out."""

    outcome: Outcome
    measured: tuple[Measured, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, 1 where a run showed that something is wrong, or 4 where the environment here leaves that open."""
        failed = [p.problem for p in self.outcome.parts if p.problem is not None and not p.problem.expected]
        return 0 if not failed else 4 if all(problem.elsewhere for problem in failed) else 1

    def plain(self) -> Json:
        """Return each component with its runs, what shows it, and what is the matter with it."""
        components = [
            {"name": p.component.name, "digest": p.component.digest, "runs": p.runs, "problem": plain(p.problem),
             "standing": plain(p.standing) | {"shown_by": p.standing.shown_by}}
            for p in self.outcome.parts
        ]  # fmt: skip
        told: dict[str, Any] = {"components": components, "left_out": list(self.outcome.left_out)}
        return told | {"beside": plain(self.outcome.beside), "measured": plain(self.measured)}


def attest(
    workspace: Workspace,
    release: str | None = None,
    *,
    again: bool = False,
    component: str | None = None,
    recipe: Path | str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ComponentsAttested:
    """Run what lacks an attestation at this machine's level, and record the runs; of every live release, or of one.

    With ``again`` what no second run made again is also run a second time. With ``component`` a component that was
    recorded by hand is run, by the recipe that ``recipe``, a MODEL.yaml, lays out for it, or that it was recorded with.
    Where other bytes come out, both are measured and kept, and :func:`accept` puts the new ones in its place.
    """
    if component is None and recipe is not None:
        raise WrongUse("--recipe is that of one component; name it with --component")
    if component is not None and (release is not None or again):
        raise WrongUse("--component is about one component; leave RELEASE and --again out")
    spec = resolved(workspace, read_model_file(Path(recipe))) if recipe is not None else None
    folder, measured = Path(recipe).parent if recipe is not None else None, tuple[Measured, ...]()
    confinement = reached()
    with Workers(workspace, count=workers or worker_count()) as processes:
        runner = Watched(processes, progress or Progress(), did="ran", doing="running ")
        try:
            if component is not None:
                outcome = attest_component(workspace, runner, component, spec, level=confinement.level, folder=folder)
                if (made := outcome.beside) is not None:
                    recorded = outcome.parts[0].component
                    measured = measure(workspace, runner, recorded, made, spec, folder=folder)
            else:
                outcome = attest_releases(workspace, runner, release, level=confinement.level, again=again)
        except ReleaseContained as held:
            raise Refused(str(held)) from None
    rows = [
        (p.component.name, p.runs, p.standing.level, _shown_by(p), short(p.component.digest)) for p in outcome.parts
    ]
    shown: tuple[str | Table, ...] = (
        table("component", "runs", "confinement", "shown by", "digest", rows=rows, empty="no component is served"),
        level_line(confinement),
        *(Attention(line) for p in outcome.parts for line in _problem_lines(p)),
        *(Attention(why) for why in outcome.left_out),
        *_beside_lines(outcome, measured),
    )
    return ComponentsAttested(outcome, measured, shown=shown)


@dataclass(frozen=True, slots=True)
class ComponentAccepted(Result):
    """What a recipe made that has the place of a recorded component now, by digest, and the releases that have it."""

    component: str
    before: str
    after: str
    releases: tuple[str, ...]


def accept(workspace: Workspace, component: str, digest: str, *, by: str | None) -> ComponentAccepted:
    """Put what a component's recipe made, by the beginning of its digest, in the place of what was recorded by hand.

    The live releases that have it serve the new one from here on.
    """
    by = require_name(by, "accepts it")
    try:
        accepted = accept_component(workspace, component, digest, by=by)
    except ReleaseContained as held:
        raise Refused(str(held)) from None
    before, after = accepted.before, accepted.after
    words = f"{after.name} is {short(after.digest)} from here on, and was {short(before.digest)}, which stays recorded"
    served = (f"released in {each}" for each in accepted.releases)
    shown = (words, *served, *map(Attention, accepted.words))
    return ComponentAccepted(after.name, before.digest, after.digest, accepted.releases, shown=shown)


def _beside_lines(outcome: Outcome, measured: tuple[Measured, ...]) -> Iterator[str | Table]:
    """Yield what a component and what its recipe made reach, and what puts the one in the place of the other."""
    if (made := outcome.beside) is None:
        return
    recorded = outcome.parts[0].component
    rows = [
        (each.shard, name, f"{each.recorded[name]:.4f}" if name in each.recorded else "not measured",
         f"{each.made[name]:.4f}" if name in each.made else "not measured")
        for each in measured
        for name in dict.fromkeys((*each.recorded, *each.made))
    ]  # fmt: skip
    shown = (short(recorded.digest), short(made.digest))
    if rows:
        yield table("shard", "measure", f"recorded, {shown[0]}", f"trained again, {shown[1]}", rows=rows)
    for why in dict.fromkeys(why for each in measured for why in each.lacking):
        yield f"not measured: {why}"
    if not measured:
        yield "not measured: no model file, and no release that has it, names shards under `evaluate`"
    yield (
        f"kept beside it as {made.name}; `disgorge attest --component {recorded.name} --accept {shown[1]} --by NAME` "
        "puts it in the place of what is recorded"
    )


def _shown_by(part: Part) -> str:
    return part.standing.shown_by or "one run that was not confined"


def _problem_lines(part: Part) -> Iterator[str]:
    """Yield what is the matter with a component."""
    if (problem := part.problem) is not None:
        where = (
            f"; this environment is not the recorded one: {'; '.join(problem.elsewhere)}" if problem.elsewhere else ""
        )
        yield f"{part.component.name}: {problem.words}{where}"
    elif not part.standing.stands:
        yield part.standing.why


def worker_count() -> int:
    """Return how many processes train at once: ``DISGORGE_WORKERS``, 2 by default."""
    given = os.environ.get("DISGORGE_WORKERS", "2")
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 256:  # more is a typing error
        raise WrongUse(f"DISGORGE_WORKERS is {given!r}; set it to a number of processes from 1 to 256, or unset it")
    return int(given)
