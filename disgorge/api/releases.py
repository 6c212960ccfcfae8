"""Releases: training, listing, showing and asking them, and recording where else they are served."""

import base64
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.api.holds import settled_lines
from disgorge.errors import Refused, ReleaseContained, WrongUse
from disgorge.method import Items
from disgorge.release.attest import Outcome, Part, attest_component, attest_releases
from disgorge.release.patterns import resolved
from disgorge.release.places import places_of, record_place
from disgorge.release.serving import settle
from disgorge.release.train import change_of_code, contained, lay_out, train_release
from disgorge.report.images import sample_grid
from disgorge.request.case import docket
from disgorge.request.holds.out_of_service import stopped_releases, stopped_words
from disgorge.result import Listing, Result, require_name
from disgorge.tracking.registry import registry_or_none
from disgorge.training.answer import Draw
from disgorge.training.ask import SHOWN, Answers, ask, question_about
from disgorge.training.make import Made
from disgorge.training.model_file import read_model_file
from disgorge.training.progress import Progress
from disgorge.training.runners.local import Workers
from disgorge.training.runners.watched import Watched
from disgorge.training.sandbox.levels import level_line, reached
from disgorge.training.stored import read_items
from lineage.catalog.catalog import Catalog
from lineage.plural import counted, seconds
from lineage.records import Component, Composition, Json, Member, Release, plain
from lineage.shown import Attention, Table, short, table
from lineage.storage.content import item_digests
from lineage.workspace import Workspace

_ROWS_SHOWN = 10
"""Predictions shown to people; JSON has all."""
_MANY = 512
"""Items above which a model is asked first what it does: a generator takes its time over each."""
Key = tuple[str, str]


def _stopped_and_places(workspace: Workspace) -> tuple[dict[Key, tuple[str, ...]], dict[Key, tuple[Any, ...]]]:
    """Return which holds stopped which releases, and where else each is served, by name and alias."""
    facts = list(workspace.ledger.facts())
    return stopped_releases(facts, docket(workspace)), places_of(facts)


def list_releases(workspace: Workspace, *, withdrawn: bool = False) -> Listing[Release]:
    """Return the live releases, or the withdrawn ones too, and which must not be served."""
    with Catalog.of(workspace) as catalog:
        live = {(release.name, release.alias) for release in catalog.releases()}
        releases = tuple(catalog.releases(live=not withdrawn))
    stopped, recorded = _stopped_and_places(workspace)
    more, rows = [], []
    for release in releases:
        key = (release.name, release.alias)
        state, by = _state(release, live=key in live), stopped.get(key, ())
        places = [each.place for each in recorded.get(key, ())]
        more.append({"state": state, "stopped_by": by, "served_at": places})
        rows.append((*key, _state_words(state, by), short(release.composition), ", ".join(places)))
    shown = table("release", "alias", "state", "composition", "served at", rows=rows, empty="nothing is released")
    return Listing(releases, tuple(more), shown=(shown,))


@dataclass(frozen=True, slots=True)
class ReleaseShown(Result):
    """A release, its members with the components they name, where else it is served, and which holds stopped it."""

    release: Release
    composition: Composition
    members: tuple[tuple[Member, Component | None], ...]
    served_at: tuple[Any, ...]
    stopped_by: tuple[str, ...]

    def plain(self) -> Json:
        """Return the release with its method, its specification and its parts."""
        parts = [plain(member) | {"details": plain(component)} for member, component in self.members]
        values = {"method": self.composition.method, "spec": self.composition.spec, "members": parts}
        return plain({"release": self.release, "served_at": self.served_at, "stopped_by": self.stopped_by}) | values


def show_release(workspace: Workspace, release: str) -> ReleaseShown:
    """Return one release, NAME or NAME@ALIAS: method, components, what they learned from, where else it is served."""
    shown_release, composition = _find(workspace, release)
    with Catalog.of(workspace) as catalog:
        components = {(c.name, c.digest): c for c in catalog.components(live=False)}
        names = {shard.digest: shard.name for shard in catalog.shards(live=False)}
    names |= {component.digest: component.name for component in components.values()}
    names |= {member.component: member.name for member in composition.members}  # one digest may have several names
    members = tuple((member, components.get((member.name, member.component))) for member in composition.members)
    stopped, recorded = _stopped_and_places(workspace)
    key = (shown_release.name, shown_release.alias)
    places, by = recorded.get(key, ()), stopped.get(key, ())
    served = [(f"served at, as of {each.since}", each.place) for each in places]
    rows = [
        (member.name, component.kind if component else None, f"{member.weight:g}", _uses(component, names),
         short(member.component))
        for member, component in sorted(members, key=lambda pair: pair[0].name)
    ]  # fmt: skip
    shown = (
        f"{shown_release.name}@{shown_release.alias}: {_state_words(_state(shown_release, live=True), by)}",
        table(rows=[("method", composition.method), ("composition", shown_release.composition), *served]),
        table("component", "kind", "weight", "learned from", "digest", rows=rows),
    )
    return ReleaseShown(shown_release, composition, members, places, by, shown=shown)


@dataclass(frozen=True, slots=True)
class PlaceRecorded(Result):
    """Where else a release is served, or is served no more; ``new`` if that was not recorded before."""

    release: str
    alias: str
    place: str
    stopped: bool
    new: bool


def serve_at(workspace: Workspace, release: str, place: str, *, by: str, stopped: bool = False) -> PlaceRecorded:
    """Record what else serves a release, or, with ``stopped``, that it does no more.

    A removal cannot stop it, and says so. The place is kept in the ledger for good, so name no person in it.
    """
    by, (name, _, alias) = require_name(by, "says so"), release.partition("@")
    if not stopped:
        live, _ = _find(workspace, release)
        name, alias = live.name, live.alias
    alias = alias or "live"
    new = record_place(workspace, name, alias, place, by=by, stopped=stopped)
    state, repeated = "is served no more at" if stopped else "is served at", "" if new else ", as was recorded before"
    words = f"{name}@{alias} {state} {place.strip()}{repeated}; a removal names such places and stops none"
    return PlaceRecorded(name, alias, place.strip(), stopped, new, shown=(words,))


@dataclass(frozen=True, slots=True)
class ServedAgain(Result):
    """Which releases were stopped and which are served again, and what a person has to do."""

    stopped: tuple[str, ...]
    served_again: tuple[str, ...]
    notes: tuple[str, ...]


def serve_again(workspace: Workspace) -> ServedAgain:
    """Serve again what only holds that are over kept out of service, and stop what open holds want out of it."""
    settled = settle(workspace, registry_or_none(workspace))
    shown = tuple(settled_lines(settled)) or ("every release is in service, or out of it, as holds want it",)
    return ServedAgain(tuple(settled.stopped), tuple(settled.served), tuple(settled.words), shown=shown)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The class that a model gives an item, and the probability of each; of no classifier its number alone."""

    item: str
    best: int | float
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Predicted(Result):
    """What a classifier answers, and how right it is where the items have labels."""

    release: str
    measures: dict[str, float]
    predictions: tuple[Prediction, ...]

    def plain(self) -> Json:
        """Return the measures and every prediction."""
        every = [
            {"item": p.item, "class": p.best, "probabilities": list(p.probabilities)} if p.probabilities
            else {"item": p.item, "value": p.best}
            for p in self.predictions
        ]  # fmt: skip
        return {"release": self.release, "measures": self.measures, "predictions": every}


def predict(workspace: Workspace, release: str, data: str) -> Predicted:
    """Let a model answer on a shard, by name or digest, or on a file that a shard is made of.

    A process of its own is asked, as in an examination. Refused if the release is contained.
    """
    composition, items = _served(workspace, release), _items(workspace, data)
    (answered,) = _ask(workspace, release, composition, [items], samples=False).sets
    if (probabilities := answered.predictions) is None:
        missing = answered.lacking.get("predictions", "it gives no probabilities")
        raise WrongUse(f"{data}: {release} cannot answer: {missing}; the items have {', '.join(items.arrays)}")
    if probabilities.ndim == 2:
        answers = zip(items.digests, probabilities.argmax(axis=1), probabilities, strict=True)
        predictions = tuple(Prediction(digest, int(best), tuple(map(float, row))) for digest, best, row in answers)
    else:
        numbers = zip(items.digests, probabilities.reshape(len(items), -1)[:, 0], strict=True)
        predictions = tuple(Prediction(digest, float(number), ()) for digest, number in numbers)
    measures, why = answered.measures, answered.lacking.get("measures")
    lacking = (Attention(f"nothing is measured: {why}"),) if why else ()
    return Predicted(release, measures, predictions, shown=(*lacking, *_answers(measures, predictions)))


def _answers(measures: dict[str, float], predictions: tuple[Prediction, ...]) -> Iterator[str | Table]:
    for name, value in measures.items():
        yield f"{name} {value:.4f} on {counted(len(predictions), 'item')}"
    shown = predictions[:_ROWS_SHOWN]
    if all(each.probabilities for each in shown):
        rows = [(short(each.item), each.best, f"{max(each.probabilities):.3f}") for each in shown]
        yield table("item", "class", "probability", rows=rows)
    else:
        yield table("item", "answer", rows=[(short(each.item), f"{each.best:.4g}") for each in shown])
    if len(predictions) > _ROWS_SHOWN:
        yield f"and {len(predictions) - _ROWS_SHOWN:,} more (--json prints all)"


@dataclass(frozen=True, slots=True)
class Sampled(Result):
    """How many samples were drawn, by which seed, into which file."""

    release: str
    count: int
    seed: int
    file: str


def sample(workspace: Workspace, release: str, *, out: Path, count: int = 16, seed: int = 0) -> Sampled:
    """Let a generator draw, into one picture. The same seed draws the same. Refused if the release is contained."""
    if out.suffix.lower() != ".png":
        raise WrongUse(f"{out}: only PNG is written; give a name that ends in .png")
    composition = _served(workspace, release)
    samples = _ask(workspace, release, composition, samples=True, draw=Draw(count, seed)).drawn
    if samples is None or not (picture := sample_grid(samples)):
        shape = "x".join(map(str, getattr(samples, "shape", ())))
        raise Refused(f"what it samples is not a picture (shape {shape}), so nothing is written; read them from Python")
    out.write_bytes(base64.b64decode(picture.partition(",")[2]))
    return Sampled(release, count, seed, str(out), shown=(f"drew {counted(count, 'sample')} into {out}",))


def _find(workspace: Workspace, named: str) -> tuple[Release, Composition]:

    name, _, alias = named.partition("@")
    with Catalog.of(workspace) as catalog:
        release = catalog.release(name, alias or "live")
        return release, catalog.composition(release.composition)


def _served(workspace: Workspace, named: str) -> Composition:
    """Return what a release is made of that may be served."""
    release, composition = _find(workspace, named)
    if release.contained:
        raise Refused(str(contained(workspace, release)))
    return composition


def _ask(
    workspace: Workspace,
    named: str,
    composition: Composition,
    given: Sequence[Items] = (),
    *,
    samples: bool,
    draw: Draw = SHOWN,
) -> Answers:
    """Return what a release answers that draws ``samples``, or answers about items, in a process of its own."""
    many = sum(map(len, given)) > _MANY
    with Workers(workspace, count=1) as workers:
        for sets in ((), given) if many else (given,):
            (answers,) = ask(workers, [question_about(workspace, composition, draw=draw)], sets)
            if (answers.task == "generate") != samples:
                other = "predict" if samples else "sample"
                raise WrongUse(f"{named} is made to {answers.task}; use `disgorge release {other} {named}`")
    return answers


def _items(workspace: Workspace, data: str) -> Items:
    """Return items of a shard, or of a file, which is read as a shard would be and not recorded."""
    if Path(data).exists():
        from lineage.formats.read import read_file

        content = read_file(Path(data)).content
        return Items(item_digests(content), content)
    with Catalog.of(workspace) as catalog:
        return read_items(workspace, catalog.shard(data).digest)


def _state(release: Release, *, live: bool) -> str:
    if not live:
        return "withdrawn"
    return "contained" if release.contained else "live"


def _state_words(state: str, holds: tuple[str, ...]) -> str:
    """Return a release's state, with the holds that stopped it where they did."""
    return stopped_words(holds) if holds and state == "contained" else state


def _uses(component: Component | None, names: dict[str, str]) -> str:
    if component is None:
        return "not recorded"
    return ", ".join(f"{names.get(use.digest, short(use.digest))} ({use.role.value})" for use in component.uses)


@dataclass(frozen=True, slots=True)
class Trained(Result):
    """A release and what it is made of; ``stopped_by`` are the requests whose holds keep it from being served."""

    release: str
    alias: str
    made: Made
    stopped_by: tuple[str, ...]

    def plain(self) -> Json:
        """Return the release, its composition, and of each component whether it was trained or there already."""
        components = [
            {"name": c.name, "kind": c.kind, "digest": c.digest, "cost": plain(c.cost),
             "trained": c.name in self.made.trained}
            for c in self.made.components
        ]  # fmt: skip
        values: dict[str, Any] = {"release": self.release, "alias": self.alias, "stopped_by": self.stopped_by}
        return values | {"composition": self.made.composition.digest, "components": components}


def train(
    workspace: Workspace, model: Path | str, *, workers: int | None = None, progress: Progress | None = None
) -> Trained:
    """Train what is missing of a model, record what learned from what, and release it under its alias.

    ``model`` is MODEL.yaml: method, shards, release name, parameters. ``workers`` is how many processes train at once,
    by default as the variable DISGORGE_WORKERS has it.
    """
    spec, folder = resolved(workspace, read_model_file(Path(model))), Path(model).parent
    progress = progress or Progress()
    with Workers(workspace, count=workers or worker_count(), say=progress.say) as processes:
        total = sum(max(blueprint.steps, 1) for blueprint in lay_out(workspace, spec, folder=folder))
        if changed := change_of_code(workspace, spec, folder=folder):
            progress.say(changed)
        try:
            watched = Watched(processes, progress, total=total)
            trained = train_release(workspace, spec, watched, folder=folder)
        except ReleaseContained as held:
            raise Refused(str(held)) from None
    stopped = stopped_releases(workspace.ledger.facts(), docket(workspace)).get((spec.release, spec.alias), ())
    rows = [
        (c.name, c.kind, "trained" if c.name in trained.trained else "there already", c.cost.steps,
         seconds(c.cost.seconds), short(c.digest))
        for c in trained.components
    ]  # fmt: skip
    named = f"{spec.release}@{spec.alias}"
    held_back = f"{named} is not served: {stopped_words(stopped)}, because it learned from held items"
    shown = (
        table("component", "kind", "", "steps", "took", "digest", rows=rows),
        f"composition {trained.composition.digest}",
        f"released as {named}",
        *((Attention(held_back),) if stopped else ()),
    )
    return Trained(spec.release, spec.alias, trained, stopped, shown=shown)


@dataclass(frozen=True, slots=True)
class ComponentsAttested(Result):
    """What shows where components come from by now, which were run for it, and why releases were left out."""

    outcome: Outcome

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
        return {"components": components, "left_out": list(self.outcome.left_out)}


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

    With ``again`` what no second run made again is also run a second time. With ``component`` and ``recipe``, a
    MODEL.yaml, a component recorded from outside gets the recipe which that model lays out for it, if its very bytes
    come out.
    """
    if (component is None) != (recipe is None):
        raise WrongUse("--component and --recipe go together; give the component's name and its MODEL.yaml")
    if component is not None and (release is not None or again):
        raise WrongUse("--component is about one component; leave RELEASE and --again out")
    spec = read_model_file(Path(recipe)) if recipe is not None else None
    confinement = reached()
    with Workers(workspace, count=workers or worker_count()) as processes:
        runner = Watched(processes, progress or Progress(), did="ran", doing="running ")
        try:
            if component is not None and spec is not None:
                outcome = attest_component(workspace, runner, component, spec, level=confinement.level)
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
        *(Attention(line) for p in outcome.parts for line in _problem_lines(p, changed=component is None)),
        *(Attention(why) for why in outcome.left_out),
    )
    return ComponentsAttested(outcome, shown=shown)


def _shown_by(part: Part) -> str:
    return part.standing.shown_by or "one run that was not confined"


def _problem_lines(part: Part, *, changed: bool) -> Iterator[str]:
    """Yield what is the matter with a component; ``changed`` is whether its run is recorded all the same."""
    if (problem := part.problem) is not None:
        where = (
            f"; this environment is not the recorded one: {'; '.join(problem.elsewhere)}" if problem.elsewhere else ""
        )
        yield f"{part.component.name}: {problem.words}{where}{'' if changed else '; nothing was changed'}"
    elif not part.standing.stands:
        yield part.standing.why


def worker_count() -> int:
    """Return how many processes train at once: ``DISGORGE_WORKERS``, 2 by default."""
    given = os.environ.get("DISGORGE_WORKERS", "2")
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 256:  # more is a typing error
        raise WrongUse(f"DISGORGE_WORKERS is {given!r}; set it to a number of processes from 1 to 256, or unset it")
    return int(given)
