"""``disgorge shard``: record data, list it, look at it, check that it is still what it was."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from lineage.plural import counted

if TYPE_CHECKING:
    from lineage.records import Shard
    from lineage.shards.add import Added
    from lineage.workspace import Workspace

app = typer.Typer(help="Data, as named sets of items: add | list | show | check.", no_args_is_help=True)


@app.command()
def add(
    paths: Annotated[
        list[Path], typer.Argument(help="Parquet, CSV or NPZ files, or folders; a shard each.", metavar="PATHS")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="What the shard is called from now on; by default as its file is.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Column with each item's key.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Column that names a person; only a pseudonym is kept.")
    ] = None,
    source_column: Annotated[str | None, typer.Option("--source-column", help="Column with each source.")] = None,
    license_column: Annotated[str | None, typer.Option("--license-column", help="Column with each license.")] = None,
    fields: Annotated[
        list[str] | None, typer.Option("--fields", "--field", help="Columns that training reads: a,b or repeated.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Where the items are from.")] = None,
    license: Annotated[str | None, typer.Option("--license", help="Under which license; SPDX has the names.")] = None,
    basis: Annotated[
        str | None,
        typer.Option("--basis", "--legal-basis", help="On which legal basis: consent, 'Art. 6(1)(c)', owned, ..."),
    ] = None,
    core: Annotated[bool, typer.Option("--core", help="Declare the items not removable; needs --basis.")] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Record it without its expectation suite.")] = False,
    rules: Annotated[
        Path | None, typer.Option("--rules", help="JSON file with what this data must be, beyond the usual.")
    ] = None,
    no_dvc: Annotated[bool, typer.Option("--no-dvc", help="Leave the content out of DVC.")] = False,
    likeness: Annotated[
        str | None,
        typer.Option("--likeness", help="Record a hash that tells near-duplicates: image:FIELD or text:FIELD."),
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help="How a CSV file is encoded.")] = "utf-8",
    as_json: AsJson = False,
) -> None:
    """Read files or folders and record each as a shard, if it passes its checks. No shard is taken in part."""
    from disgorge.cli.output.terms import bases_of, license_doubts
    from lineage.git_ignored import ignore_data, is_exposed
    from lineage.shards.add import add_shard
    from lineage.shards.validation_rules import Rules
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    for file in ignore_data(workspace.root, home=workspace.home):
        show.warn(f"{file}: lines were added, so that git takes in no data; what it has already stays in its history")
    checked = Rules.read(rules) if rules else None
    record = partial(
        add_shard,
        workspace,
        key=key,
        subject=subject,
        source_column=source_column,
        license_column=license_column,
        fields=[field.strip() for given in fields for field in given.split(",")] if fields else None,
        source=source,
        license=license,
        core=core,
        check=not no_check,
        rules=checked,
        dvc=False if no_dvc else None,
        likeness=likeness,
        encoding=encoding,
    )
    recorded: list[Added] = []
    named = _named(paths, name)
    bases = bases_of(workspace, named, basis)
    for called, path in named.items():
        if is_exposed(path):
            show.warn(f"{path}: git takes it in, and keeps what is removed later; ignore it, or keep it elsewhere")
        if recorded and not as_json:
            show.line("")
        recorded.append(record(path, name=called, legal_basis=bases[called]))
        if not as_json:
            _say_added(recorded[-1])
        for words in license_doubts(workspace, recorded[-1].shard):
            show.warn(words)
    if as_json:
        show.write_json(recorded if len(paths) > 1 else recorded[0])


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Withdrawn shards too.")] = False, as_json: AsJson = False
) -> None:
    """List the shards there are."""
    from lineage.catalog.catalog import Catalog
    from lineage.workspace import Workspace

    with Catalog.of(Workspace.open()) as catalog:
        live = {(shard.name, shard.digest) for shard in catalog.shards()}
        shards = catalog.shards(live=not every)
    if as_json:
        from lineage.records import plain

        show.write_json([plain(shard) | {"live": (shard.name, shard.digest) in live} for shard in shards])
        return
    rows = [
        (
            shard.name,
            shard.count,
            "core" if shard.core else "live" if (shard.name, shard.digest) in live else "withdrawn",
            shard.source,
            shard.license,
            show.short(shard.digest),
        )
        for shard in shards
    ]
    columns = ("name", "items", "state", "source", "license", "digest")
    show.table(columns, sorted(rows, key=lambda row: row[0]), empty="no shard is recorded")


@app.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="Name or digest of a shard.", metavar="SHARD")],
    every: Annotated[bool, typer.Option("--all", help="List references of probes too; JSON always has them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one shard: what it is, how many people are in it, what learned from it, and its history."""
    from disgorge.cli.output.lineage import apart, say_left_out
    from lineage.catalog.catalog import Catalog
    from lineage.records import plain
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    with Catalog.of(workspace) as catalog:
        shard = catalog.shard(name)
        history = catalog.history(shard.name)
        below = catalog.trace(shard.digest, up=False, down=True)
    seen, left_out = (below, 0) if every or as_json else apart(below)
    learned = [node for node in seen.nodes if node.kind in ("component", "release")]
    people = _people(workspace, shard)
    if as_json:
        facts = [{"seq": fact.seq, "at": fact.at, "kind": fact.kind} for fact in history]
        show.write_json({"shard": plain(shard), "people": people, "learned": plain(learned), "history": facts})
        return
    show.line(f"{shard.name}: {counted(shard.count, 'item')}")
    show.pairs([*_about(shard), ("people", people)])
    rows = [(node.name, node.kind, node.state, node.detail) for node in learned]
    show.table(
        ("learned from it", "is", "state", "detail"), rows, empty="nothing live that is released learned from it"
    )
    say_left_out(left_out)
    show.table(("at", "fact"), [(fact.at, fact.kind) for fact in history])


@app.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or digests; all live shards by default.", metavar="SHARDS")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that every item is byte for byte what was recorded. Exit 1 for one that is not."""
    from lineage.catalog.catalog import Catalog
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    with Catalog.of(workspace) as catalog:
        shards = [catalog.shard(name) for name in names] if names else list(catalog.shards())
    found = [(shard, _wrong_with(workspace, shard)) for shard in shards]
    if as_json:
        show.write_json([{"name": s.name, "digest": s.digest, "items": s.count, "wrong": wrong} for s, wrong in found])
    else:
        rows = [(shard.name, shard.count, wrong or "as recorded") for shard, wrong in found]
        show.table(("name", "items", "found"), rows, empty="no shard is recorded")
    if any(wrong for _, wrong in found):
        raise typer.Exit(1)


def _named(paths: list[Path], name: str | None) -> dict[str, Path]:
    """Return the files to read by what their shards are to be called."""
    if name is not None:
        if len(paths) > 1:
            raise WrongUse(f"--name names one shard, and {len(paths)} paths are given; leave it out, or add one path")
        return {name: paths[0]}
    named: dict[str, Path] = {}
    for path in paths:
        called = path.name if path.is_dir() else path.stem
        if called in named:
            raise WrongUse(f"{named[called]} and {path} would both be called '{called}'; add one alone, with --name")
        named[called] = path
    return named


def _say_added(added: "Added") -> None:
    shard = added.shard
    show.line(f"{'recorded' if added.new else 'already recorded'}: {shard.name}, {counted(shard.count, 'item')}")
    show.pairs(_about(shard))
    show.line(f"duplicates: {added.duplicates_within} within, {added.duplicates_across} across other shards")
    if added.shared_with:
        show.line(f"shared with: {', '.join(added.shared_with)}")
    for words in added.warnings:
        show.warn(words)


def _wrong_with(workspace: "Workspace", shard: "Shard") -> str | None:
    """Return what is wrong with a shard's files, or None."""
    from lineage.errors import LineageError
    from lineage.shards.add import shard_items, shard_rows
    from lineage.shards.files import check_manifests

    try:
        check_manifests(workspace, [shard])
        digests, _ = shard_items(workspace, shard.digest, verify=True)
        rows = shard_rows(workspace, shard.digest)
    except LineageError as problem:
        return str(problem)
    if not len(digests) == len(rows) == shard.count:
        return f"has {len(digests)} items and {len(rows)} manifest rows, recorded were {shard.count}"
    return None


def _people(workspace: "Workspace", shard: "Shard") -> int | None:
    """Return how many people a shard's items name; None for a shard that was withdrawn, whose manifest is gone."""
    from lineage.shards.add import shard_rows

    if not workspace.manifest_path(shard.digest).exists():
        return None
    return len({row.subject for row in shard_rows(workspace, shard.digest)} - {None})


def _about(shard: "Shard") -> list[tuple[str, object]]:
    return [
        ("digest", shard.digest),
        ("fields", shard.fields),
        ("source", shard.source),
        ("license", shard.license),
        ("basis", shard.legal_basis),
        ("core", "yes: declared not removable" if shard.core else None),
        ("cut from", shard.derived_from),
        ("DVC", shard.dvc),
    ]
