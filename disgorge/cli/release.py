"""``disgorge release``: what is served, of what it is made, and what it answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import Refused, WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import require_name
from lineage.plural import counted

if TYPE_CHECKING:
    from disgorge.method import Items, Model
    from lineage.records import Component, Composition, Release
    from lineage.workspace import Workspace

app = typer.Typer(
    help="Models that are served: list | show | predict | sample | serve-at | serve-again.", no_args_is_help=True
)

Named = Annotated[str, typer.Argument(help="NAME or NAME@ALIAS; the alias is live by default.", metavar="RELEASE")]

ROWS_SHOWN = 10
"""Predictions shown to people; --json has all."""


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Withdrawn ones too.")] = False, as_json: AsJson = False
) -> None:
    """List the releases there are, and which must not be served."""
    from disgorge.release.places import places_of
    from disgorge.request.case import docket
    from disgorge.request.holds.out_of_service import stopped_releases
    from lineage.catalog.catalog import Catalog
    from lineage.records import plain
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    with Catalog.of(workspace) as catalog:
        live = {(release.name, release.alias) for release in catalog.releases()}
        releases = catalog.releases(live=not every)
    stopped = stopped_releases(workspace.ledger.facts(), docket(workspace))
    by = [stopped.get((release.name, release.alias), ()) for release in releases]
    states = [_state(release, live=(release.name, release.alias) in live) for release in releases]
    recorded = places_of(workspace.ledger.facts())
    places = [[each.place for each in recorded.get((release.name, release.alias), ())] for release in releases]
    if as_json:
        told = zip(releases, states, by, places, strict=True)
        show.write_json([
            plain(release) | {"state": state, "stopped_by": holds, "served_at": at}
            for release, state, holds, at in told
        ])  # fmt: skip
        return
    rows = [
        (release.name, release.alias, _words(state, holds), show.short(release.composition), ", ".join(at))
        for release, state, holds, at in zip(releases, states, by, places, strict=True)
    ]
    show.table(("release", "alias", "state", "composition", "served at"), rows, empty="nothing is released")


@app.command("show")
def show_(release: Named, as_json: AsJson = False) -> None:
    """Show one release: method, components, the data they learned from, and where else it is served."""
    from disgorge.release.places import places_of
    from disgorge.request.case import docket
    from disgorge.request.holds.out_of_service import stopped_releases
    from lineage.catalog.catalog import Catalog
    from lineage.records import plain
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    found, composition = _find(workspace, release)
    with Catalog.of(workspace) as catalog:
        known = {(c.name, c.digest): c for c in catalog.components(live=False)}
        names = {shard.digest: shard.name for shard in catalog.shards(live=False)}
    names |= {component.digest: component.name for component in known.values()}
    names |= {member.component: member.name for member in composition.members}  # one digest may have several names
    members = [(member, known.get((member.name, member.component))) for member in composition.members]
    places = places_of(workspace.ledger.facts()).get((found.name, found.alias), ())
    by = stopped_releases(workspace.ledger.facts(), docket(workspace)).get((found.name, found.alias), ())
    if as_json:
        parts = [plain(member) | {"details": plain(component)} for member, component in members]
        value = {"release": plain(found), "method": composition.method, "spec": composition.spec, "members": parts}
        show.write_json(value | {"served_at": list(places), "stopped_by": by})
        return
    show.line(f"{found.name}@{found.alias}: {_words(_state(found, live=True), by)}")
    served = [(f"served at, as of {each.since}", each.place) for each in places]
    show.pairs([("method", composition.method), ("composition", found.composition), *served])
    rows = [
        (member.name, component.kind if component else None, f"{member.weight:g}", _uses(component, names),
         show.short(member.component))
        for member, component in sorted(members, key=lambda pair: pair[0].name)
    ]  # fmt: skip
    show.table(("component", "kind", "weight", "learned from", "digest"), rows)


@app.command("serve-at")
def serve_at(
    release: Named,
    place: Annotated[
        str,
        typer.Argument(
            help="Where else it is served; kept in the ledger for good, so name no person in it.", metavar="URL|PATH"
        ),
    ],
    by: Annotated[str, typer.Option("--by", help="Who says so; kept as a pseudonym.")],
    stopped: Annotated[bool, typer.Option("--stopped", help="It is served there no more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record what else serves a release: a removal cannot stop it, and says so."""
    from disgorge.release.places import record_place
    from lineage.workspace import Workspace

    require_name(by, "says so")
    workspace = Workspace.open()
    name, _, alias = release.partition("@")
    if not stopped:
        found, _ = _find(workspace, release)
        name, alias = found.name, found.alias
    new = record_place(workspace, name, alias or "live", place, by=by.strip(), stopped=stopped)
    if as_json:
        told = {"release": name, "alias": alias or "live", "place": place.strip(), "stopped": stopped, "new": new}
        show.write_json(told)
        return
    state = "is served no more at" if stopped else "is served at"
    known = "" if new else ", as was recorded before"
    show.line(f"{name}@{alias or 'live'} {state} {place.strip()}{known}; a removal names such places and stops none")


@app.command("serve-again")
def serve_again(as_json: AsJson = False) -> None:
    """Serve again what only holds that are over kept out of service, and stop what open holds want out of it."""
    from disgorge.cli.request.hold import print_settled
    from disgorge.release.serving import settle
    from disgorge.tracking.registry import registry_or_none
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    settled = settle(workspace, registry_or_none(workspace))
    if as_json:
        show.write_json({"stopped": settled.stopped, "served_again": settled.served, "notes": settled.words})
        return
    print_settled(settled)
    if not settled.stopped and not settled.served and not settled.words:
        show.line("every release is in service, or out of it, as holds want it")


@app.command()
def predict(
    release: Named,
    data: Annotated[
        str, typer.Argument(help="Name or digest of a shard, or a file that a shard is made of.", metavar="DATA")
    ],
    as_json: AsJson = False,
) -> None:
    """Let a classifier answer, and say how right it is where the items have labels. Refused if it is contained."""
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    model = _model(workspace, release, task="classify")
    items = _items(workspace, data)
    try:
        probabilities = model.predict(items.unnamed())
    except KeyError as missing:
        raise WrongUse(
            f"{data}: has no field {missing} that {release} reads; it has {', '.join(items.arrays)}"
        ) from None
    classes = probabilities.argmax(axis=1)
    measures = _measures(model, items)
    if as_json:
        answer = {
            "release": release,
            "measures": measures,
            "predictions": [
                {"item": digest, "class": int(best), "probabilities": [float(p) for p in row]}
                for digest, best, row in zip(items.digests, classes, probabilities, strict=True)
            ],
        }
        show.write_json(answer)
        return
    for name, value in measures.items():
        show.line(f"{name} {value:.4f} on {counted(len(items), 'item')}")
    rows = [
        (show.short(digest), int(best), f"{row.max():.3f}")
        for digest, best, row in zip(items.digests, classes, probabilities, strict=True)
    ]
    show.table(("item", "class", "probability"), rows[:ROWS_SHOWN])
    if len(rows) > ROWS_SHOWN:
        show.line(f"and {len(rows) - ROWS_SHOWN:,} more (--json prints all)")


@app.command()
def sample(
    release: Named,
    out: Annotated[Path, typer.Option("--out", help="PNG file to write.")],
    count: Annotated[int, typer.Option("--count", min=1, max=4096, help="How many.")] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Same seed, same samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Let a generator draw, into one picture. Refused if the release is contained."""
    from lineage.workspace import Workspace

    if out.suffix.lower() != ".png":
        raise WrongUse(f"{out}: only PNG is written; give a name that ends in .png")
    model = _model(Workspace.open(), release, task="generate")
    _write_picture(model.sample(count, seed=seed), out)
    if as_json:
        show.write_json({"release": release, "count": count, "seed": seed, "file": str(out)})
    else:
        show.line(f"drew {counted(count, 'sample')} into {out}")


def _find(workspace: "Workspace", named: str) -> "tuple[Release, Composition]":
    from lineage.catalog.catalog import Catalog

    name, _, alias = named.partition("@")
    with Catalog.of(workspace) as catalog:
        release = catalog.release(name, alias or "live")
        return release, catalog.composition(release.composition)


def _model(workspace: "Workspace", named: str, *, task: str) -> "Model":
    """Return the model of a release that may be served and does ``task``."""
    from disgorge.release.train import contained
    from disgorge.training.assemble import assemble

    release, composition = _find(workspace, named)
    if release.contained:
        raise Refused(str(contained(workspace, release)))
    model = assemble(workspace, composition)
    if model.task != task:
        other = "sample" if model.task == "generate" else "predict"
        raise WrongUse(f"{named} is made to {model.task}; use `disgorge release {other} {named}`")
    return model


def _items(workspace: "Workspace", data: str) -> "Items":
    """Return items of a shard, or of a file, which is read as a shard would be and not recorded."""
    from disgorge.method import Items
    from disgorge.training.items import read_items
    from lineage.catalog.catalog import Catalog
    from lineage.formats.read import read_file
    from lineage.storage.content import item_digests

    if Path(data).exists():
        content = read_file(Path(data)).content
        return Items(item_digests(content), content)
    with Catalog.of(workspace) as catalog:
        return read_items(workspace, catalog.shard(data).digest)


def _measures(model: "Model", items: "Items") -> dict[str, float]:
    """Return the model's measures on items; none, with a warning, where they lack what measuring needs: labels."""
    from disgorge.errors import DisgorgeError

    try:
        return {name: float(value) for name, value in model.utility(items.unnamed()).items()}
    except (KeyError, DisgorgeError) as lacking:
        words = f"items have no field {lacking}" if isinstance(lacking, KeyError) else str(lacking)
        show.warn(f"nothing is measured: {words}")
        return {}


def _write_picture(samples: Any, out: Path) -> None:
    """Write samples as one PNG, in the grid that reports show; :class:`Refused` for samples that are no pictures."""
    import base64

    from disgorge.report.images import sample_grid

    picture = sample_grid(samples)
    if not picture:
        shape = "x".join(map(str, getattr(samples, "shape", ())))
        raise Refused(f"what it samples is no picture (shape {shape}), so nothing is written; read them from Python")
    out.write_bytes(base64.b64decode(picture.partition(",")[2]))


def _state(release: "Release", *, live: bool) -> str:
    if not live:
        return "withdrawn"
    return "contained" if release.contained else "live"


def _words(state: str, holds: "tuple[str, ...]") -> str:
    """Return a release's state, with the holds that stopped it where they did."""
    from disgorge.request.holds.out_of_service import stopped_words

    return stopped_words(holds) if holds and state == "contained" else state


def _uses(component: "Component | None", names: dict[str, str]) -> str:
    if component is None:
        return "not recorded"
    return ", ".join(f"{names.get(use.digest, show.short(use.digest))} ({use.role.value})" for use in component.uses)
