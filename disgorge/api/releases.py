"""Releases: listing, showing and asking them, and recording where else they are served."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.api.holds import settled_lines
from disgorge.errors import Refused, ReleaseContained, WrongUse
from disgorge.method import Items
from disgorge.release.places import places_of, record_place
from disgorge.release.recorded.compose import compose_release
from disgorge.release.recorded.composed import Answering, has_recipe
from disgorge.release.serving import settle
from disgorge.release.train import contained
from disgorge.report.images import sample_grid
from disgorge.request.case import docket
from disgorge.request.holds.out_of_service import stopped_releases, stopped_words
from disgorge.result import Listing, Result, require_name
from disgorge.tracking.registry import registry_or_none
from disgorge.training.answer import Draw
from disgorge.training.ask import SHOWN, Answers, ask, question_about
from disgorge.training.runners.local import Workers
from disgorge.training.stored import read_items
from lineage.catalog.catalog import Catalog
from lineage.plural import counted
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
class ReleaseComposed(Result):
    """A release of recorded components: its composition, by digest, and the names that it has for them."""

    release: str
    alias: str
    composition: str
    components: tuple[str, ...]


def compose(
    workspace: Workspace,
    release: str,
    components: Sequence[str],
    *,
    predict: str | None = None,
    combine: str = "mean",
    task: str | None = None,
    evaluate: Sequence[str] = (),
    alias: str = "live",
) -> ReleaseComposed:
    """Make a release of recorded components, by name or digest, that requests reach.

    ``predict`` is the function, ``module:function``, by which each answers, ``combine`` how several answers become one
    (mean, vote, or none: it is given all at once), ``task`` what for (classify by default), and ``evaluate`` names
    shards that it is measured on. Without ``predict`` it answers nothing.
    """
    answering = Answering(predict, combine, task, tuple(evaluate))
    try:
        with Workers(workspace, count=1) as workers:
            composed = compose_release(workspace, release, components, answering, alias=alias, runner=workers)
    except ReleaseContained as held:
        raise Refused(str(held)) from None
    rows = [
        (
            each.name,
            each.recipe["parameters"]["train"] if has_recipe(each) else "no recipe: dropped",
            short(each.digest),
        )
        for each in composed.components
    ]
    shown: tuple[str | Table, ...] = (
        table("component", "trained again by", "digest", rows=rows),
        f"released as {release}@{alias}{'' if predict else '; it answers nothing, because no --predict was named'}",
        *((composed.quality.words,) if composed.quality and evaluate else ()),
        *map(Attention, composed.words),
    )
    names = tuple(each.name for each in composed.components)
    return ReleaseComposed(release, alias, composed.composition.digest, names, shown=shown)


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
        return read_items(workspace, catalog.shard(data).digest, as_paths=True)


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
