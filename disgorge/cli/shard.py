"""``disgorge shard``: record data, list it, look at it, check that it is still what it was."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, Many, References, Text, argument, option
from disgorge.cli.output import tables as show

app = typer.Typer(help="Data, as named sets of items: add | list | show | check.", no_args_is_help=True)


@app.command()
def add(
    paths: Annotated[list[Path], argument("PATHS", "Parquet, CSV, JSON Lines or NPZ files, or folders; a shard each.")],
    name: Annotated[Text, option("--name", "What the shard is called from now on; by default as its file is.")] = None,
    key: Annotated[Text, option("--key", "Column with each item's key.")] = None,
    subject: Annotated[Text, option("--subject", "Column that names a person; only a pseudonym is kept.")] = None,
    subject_id: Annotated[Text, option("--subject-id", "The same, of ids: case counts, each writing is one.")] = None,
    subject_name: Annotated[Text, option("--subject-name", "The same, of names: case and spaces do not count.")] = None,
    source_column: Annotated[Text, option("--source-column", "Column with each source.")] = None,
    license_column: Annotated[Text, option("--license-column", "Column with each license.")] = None,
    fields: Annotated[Many, option("--fields", "Columns that training reads: a,b or repeated.", "--field")] = None,
    source: Annotated[Text, option("--source", "Where the items are from.")] = None,
    license: Annotated[Text, option("--license", "Under which license; SPDX has the names.")] = None,
    basis: Annotated[
        str | None, option("--basis", "On which legal basis: consent, 'Art. 6(1)(c)', owned, ...", "--legal-basis")
    ] = None,
    core: Annotated[bool, option("--core", "Declare the items not removable; needs --basis.")] = False,
    no_check: Annotated[bool, option("--no-check", "Record it without its expectation suite.")] = False,
    rules: Annotated[Path | None, option("--rules", "JSON file with what this data must be, beyond the usual.")] = None,
    no_dvc: Annotated[bool, option("--no-dvc", "Leave the content out of DVC.")] = False,
    likeness: Annotated[
        str | None, option("--likeness", "Record a hash that tells near-duplicates: image:FIELD or text:FIELD.")
    ] = None,
    encoding: Annotated[str, option("--encoding", "How a CSV file is encoded.")] = "utf-8",
    delimiter: Annotated[Text, option("--delimiter", "What stands between cells of a CSV file: ';', tab, ...")] = None,
    decimal: Annotated[Text, option("--decimal", "With ',': 1,5 is a number in a CSV file.")] = None,
    missing: Annotated[str, option("--missing", "keep: take in empty texts, booleans and times.")] = "refuse",
    by: Annotated[Text, option("--by", "A shard for each value of this column, or of key, subject, source.")] = None,
    into: Annotated[int | None, option("--into", "With --by: so many shards, by a keyed hash of the value.")] = None,
    most: Annotated[int, option("--most", "Shards that one file may come to.")] = 1000,
    files: Annotated[bool, option("--files", "Take the files of a folder whole, as bytes of any kind.")] = False,
    in_place: Annotated[
        bool, option("--in-place", "Copy no content: record digests and where the items lie, and read them there.")
    ] = False,
    let_in: Annotated[Text, option("--let-in", "Who lets in items that were withdrawn; kept as a pseudonym.")] = None,
    reason: Annotated[Text, option("--reason", "With --let-in: why; no personal data, it is kept for good.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read files or folders and record each as a shard, or as several, if it passes its checks: all of it, or none."""
    columns = [field.strip() for given in fields or () for field in given.split(",")]
    recorded = api.shards.add_shards(
        api.workspace.open_workspace(), paths, name=name, key=key, subject=subject, subject_id=subject_id,
        subject_name=subject_name, source_column=source_column, license_column=license_column, fields=columns or None,
        source=source, license=license, basis=basis, core=core, check=not no_check, rules=rules,
        dvc=False if no_dvc else None, likeness=likeness, encoding=encoding, delimiter=delimiter,
        decimal=decimal, missing=missing,
        by=by, into=into, most=most, files=files, in_place=in_place,
        let_in=let_in, reason=reason,
        on_added=lambda added: show.told(added.shown, quiet=as_json),
    )  # fmt: skip
    if as_json:
        several = len(paths) > 1 or by is not None
        show.write_json([added.plain() for added in recorded] if several else recorded[0].plain())


@app.command("list")
def list_(every: Annotated[bool, option("--all", "Withdrawn shards too.")] = False, as_json: AsJson = False) -> None:
    """List the shards there are."""
    show.result(api.shards.list_shards(api.workspace.open_workspace(), withdrawn=every), as_json)


@app.command("show")
def show_(
    name: Annotated[str, argument("SHARD", "Name or digest of a shard.")],
    every: References = False,
    as_json: AsJson = False,
) -> None:
    """Show one shard: what it is, how many people are in it, what learned from it, and its history."""
    show.result(api.shards.show_shard(api.workspace.open_workspace(), name, references=every), as_json)


@app.command()
def check(
    names: Annotated[Many, argument("SHARDS", "Names or digests; all live shards by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check that every item is byte for byte what was recorded. Exit 1 for one that is not."""
    checked = api.shards.check_shards(api.workspace.open_workspace(), names)
    show.result(checked, as_json)
    if any(shard.wrong for shard in checked):
        raise typer.Exit(1)
