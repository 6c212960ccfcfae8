"""Training a model and attesting what was trained: what ``disgorge train`` and ``disgorge attest`` do."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.errors import Refused, ReleaseContained, WrongUse
from disgorge.layout import component_name
from disgorge.method import Blueprint, ModelSpec
from disgorge.release.attest import Outcome, Part, attest_again, attest_releases
from disgorge.release.check import LayoutCost, ModelCheck, check_model, cost_of_layouts
from disgorge.release.expected_cost import read_rate
from disgorge.release.patterns import resolved
from disgorge.release.recorded.attest import accept_component, attest_component
from disgorge.release.recorded.own_function import function as function
from disgorge.release.recorded.side_by_side import Measured, measure
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

    ``made.quality`` is None where the release stayed what it was. ``twice`` is the component that was trained a second
    time, where that was asked for.
    """

    release: str
    alias: str
    made: Made
    stopped_by: tuple[str, ...]
    twice: Part | None = None

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
        values |= {"composition": self.made.composition.digest, "components": components}
        if (part := self.twice) is not None:
            told = {"component": part.component.name, "repeats": part.repeats, "problem": plain(part.problem)}
            values["twice"] = told
        return values


@dataclass(frozen=True, slots=True)
class ModelsTrained(Result):
    """Several releases, and what each is made of."""

    models: tuple[Trained, ...]

    @property
    def exit_code(self) -> int:
        """0, 1 where a second training made other bytes, or 4 where the environment here leaves open why."""
        return _exit_code(model.twice for model in self.models if model.twice is not None)

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
    twice: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ModelsTrained:
    """Train what is missing of several models, side by side, and release each: see :func:`train`.

    With ``twice`` the cheapest component of each that answers is trained a second time: does training repeat?
    """
    files = [Path(model) for model in models]
    read = [Model(resolved(workspace, read_model_file(file)), file) for file in files]
    names = [model.spec.release for model in read]
    if double := next((name for name in names if names.count(name) > 1), ""):
        raise WrongUse(f"two of the model files make the release {double!r}; train them one after the other")
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
        again = [_again(workspace, processes, progress, each) if twice else None for each in made]
    stopped = stopped_releases(workspace.ledger.facts(), docket(workspace))
    trained = tuple(
        _shown(model.spec, of_model, stopped.get((model.spec.release, model.spec.alias), ()), part)
        for model, of_model, part in zip(read, made, again, strict=True)
    )
    return ModelsTrained(trained, shown=tuple(line for each in trained for line in each.shown))


def _again(workspace: Workspace, processes: Workers, progress: Progress, made: Made) -> Part:
    """Train again what took the least time of the components that answer, and return what came of it."""
    weights = {member.name: member.weight for member in made.composition.members}
    answering = [each for each in made.components if weights[each.name]]
    cheapest = min(answering or made.components, key=lambda each: (each.cost.seconds, each.name))
    runner = Watched(processes, progress, did="ran", doing="running ")
    return attest_again(workspace, runner, cheapest, level=reached().level)


def _shown(spec: ModelSpec, made: Made, stopped: tuple[str, ...], again: Part | None) -> Trained:
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
        *(_twice_lines(again) if again else ()),
    )
    return Trained(spec.release, spec.alias, made, stopped, again, shown=shown)


def _twice_lines(part: Part) -> Iterator[str]:
    """Yield whether a component that was trained twice repeats, or what differed."""
    if part.repeats:
        yield f"repeats: two trainings of {part.component.name} made the same bytes"
    elif lines := [*_problem_lines(part)]:
        yield from map(Attention, lines)
    else:
        yield Attention(f"{part.component.name}: that two trainings made the same bytes is not shown")


@dataclass(frozen=True, slots=True)
class ModelChecked(Result):
    """What training a model would do and, where it was asked for, what removals will then cost in a year."""

    found: ModelCheck
    people: int | None = None
    removals: float | None = None
    costs: tuple[LayoutCost, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 2 where something would be refused."""
        return 2 if self.found.problems else 0

    def plain(self) -> Json:
        """Return the components, what the user's code sees, what would be refused, and costs."""
        found = self.found
        components = [
            {"name": component_name(found.spec.release, each.name), "kind": each.kind, "items": each.examples,
             "inputs": plain(each.inputs), "there": each.name in found.there}
            for each in found.blueprints
        ]  # fmt: skip
        values: dict[str, Any] = {
            "release": found.spec.release, "alias": found.spec.alias, "components": components,
            "columns": found.columns, "classes": found.classes, "code": found.code,
            "artifacts": found.spec.artifacts, "functions": found.imported, "problems": found.problems,
            "notes": found.notes,
        }  # fmt: skip
        if self.removals is not None:
            values |= {"people": self.people, "removals": self.removals, "costs": plain(self.costs)}
        return values


def check(workspace: Workspace, model: Path | str, *, imports: bool = False, expect: str | None = None) -> ModelChecked:
    """Say what training a model would do, without training and without changing anything.

    With ``imports`` a confined process imports the user's code. ``expect`` is how many removals a year there will be,
    ``2%/year`` of all people or ``20/year``: then their cost is told, under other layouts too.
    """
    rate = read_rate(expect) if expect is not None else None
    spec = read_model_file(Path(model))
    found = check_model(workspace, spec, folder=Path(model).parent, imports=imports)
    costs = cost_of_layouts(workspace, found, rate) if rate is not None and found.blueprints else None
    rows = [
        (component_name(found.spec.release, each.name), each.kind, _inputs(each), f"{each.examples:,}",
         "" if found.problems else "there already" if each.name in found.there else "to train")
        for each in found.blueprints
    ]  # fmt: skip
    columns = [name if name == field else f"{name} ({field})" for name, field in found.columns.items()]
    seen = [("columns", columns), ("classes", found.classes), ("code", found.code), ("artifacts", _artifacts(found))]
    shown: list[str | Table] = [table("component", "kind", "reads", "items", "", rows=rows, empty="no component")]
    shown += [table(rows=[(name, value) for name, value in seen if value])] if any(value for _, value in seen) else []
    shown += [f"{key} can be imported" for key, words in found.imported.items() if not words]
    if costs is not None:
        shown += _cost_lines(expect or "", *costs)
    shown += found.notes
    shown += [Attention(f"would be refused: {words}") for words in found.problems]
    return ModelChecked(found, *(costs or ()), shown=tuple(shown))


def _inputs(blueprint: Blueprint) -> str:
    """Return what a component reads, by role."""
    roles = dict.fromkeys(use.role for use in blueprint.inputs)
    return "; ".join(
        f"{role.value} {', '.join(use.name for use in blueprint.inputs if use.role is role)}" for role in roles
    )


def _artifacts(found: ModelCheck) -> list[str]:
    return [name if name == recorded else f"{name} ({recorded})" for name, recorded in found.spec.artifacts.items()]


def _cost_lines(rate: str, people: int, removals: float, costs: Sequence[LayoutCost]) -> Iterator[str | Table]:
    """Yield the table of what removals cost under each layout, and what it rests on."""
    is_timed = all(each.cost.seconds is not None for each in costs)
    rows = [
        (f"{each.layout} (this file)" if each.is_given else each.layout, each.cost.components,
         f"{each.cost.retrained:,.1f}", seconds(each.cost.seconds or 0) if is_timed else f"{each.cost.items:,.0f}",
         f"{each.cost.share:.1%}")
        for each in costs
    ]  # fmt: skip
    unit = "training a year" if is_timed else "items trained again a year"
    yield table("layout", "components", "trained again a year", unit, "one removal, of full training", rows=rows)
    yield f"expected of {rate}: {removals:,.1f} removals a year, spread evenly over {people:,} people, each by itself"
    if not is_timed:
        yield "how long that takes is told once each kind of component was trained"


@dataclass(frozen=True, slots=True)
class ComponentsAttested(Result):
    """What shows where components come from by now, which were run for it, and why releases were left out."""

    outcome: Outcome
    measured: tuple[Measured, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, 1 where a run showed that something is wrong, or 4 where the environment here leaves that open."""
        return _exit_code(self.outcome.parts)

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


def _exit_code(parts: Iterable[Part]) -> int:
    failed = [p.problem for p in parts if p.problem is not None and not p.problem.expected]
    return 0 if not failed else 4 if all(problem.elsewhere for problem in failed) else 1


def _shown_by(part: Part) -> str:
    return part.standing.shown_by or "one run that was not confined"


def _problem_lines(part: Part) -> Iterator[str]:
    """Yield what is the matter with a component."""
    if (problem := part.problem) is not None:
        where = (
            f"; this environment is not the recorded one: {'; '.join(problem.elsewhere)}" if problem.elsewhere else ""
        )
        first = f"; what differs first is {problem.differs}" if problem.differs else ""
        yield f"{part.component.name}: {problem.words}{first}{where}"
    elif not part.standing.stands:
        yield part.standing.why


def worker_count() -> int:
    """Return how many processes train at once: ``DISGORGE_WORKERS``, 2 by default."""
    given = os.environ.get("DISGORGE_WORKERS", "2")
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 256:  # more is a typing error
        raise WrongUse(f"DISGORGE_WORKERS is {given!r}; set it to a number of processes from 1 to 256, or unset it")
    return int(given)
