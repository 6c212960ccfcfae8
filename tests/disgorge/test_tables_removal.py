"""A removal from tables of every form that lie in place: certified, and each is written again without the person."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disgorge.audit.findings import Level
from disgorge.audit.rules import audit
from disgorge.report.bundle import verify_bundle
from lineage.formats.decoding.compressed import written
from lineage.formats.read import read_file
from lineage.formats.write import write_without
from lineage.shards.add import add_shard, shard_rows
from lineage.shards.files import check_items, references_of
from lineage.shards.source_files import files_to_delete, sources_of
from lineage.workspace import Workspace
from tests.toys import NOW, PEOPLE_HOLD, carry, granted_plan, live_shards, person, toy_of, train

Rows = list[dict[str, Any]]


def json_lines(path: Path, rows: Rows) -> None:
    with written(path, path) as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())


def some_missing(path: Path, rows: Rows) -> None:
    """Of every other line a text is missing, and of all but one a member."""
    notes = [
        {"note": "seen" if place % 2 else None} | ({"more": True} if not place else {}) for place in range(len(rows))
    ]
    json_lines(path, [row | note for row, note in zip(rows, notes, strict=True)])


def one_column(path: Path, rows: Rows) -> None:
    between, point = ("\t", ",") if path.suffix == ".tsv" else (",", ".")
    lines = [[row["key"], row["subject"], repr(row["x"][0]).replace(".", point), str(row["label"])] for row in rows]
    with written(path, path) as file:
        text = "".join(between.join(line) + "\r\n" for line in [["key", "subject", "x", "label"], *lines])
        file.write(text.encode())


def partitioned(path: Path, rows: Rows) -> None:
    for label in {row["label"] for row in rows}:
        (path / f"label={label}").mkdir(parents=True)
        own = [{name: value for name, value in row.items() if name != "label"} for row in rows if row["label"] == label]
        pq.write_table(pa.Table.from_pylist(own), path / f"label={label}" / "part-0.parquet")
    (path / "_SUCCESS").touch()


def media(path: Path, rows: Rows) -> None:
    """Tags and pictures as Hugging Face writes them."""
    rest = [
        {"tags": ["a"] * (place % 3), "image": {"bytes": bytes([place]), "path": "a.png"}} for place in range(len(rows))
    ]
    pq.write_table(pa.Table.from_pylist([row | more for row, more in zip(rows, rest, strict=True)]), path)


FORMS: dict[str, tuple[str, Callable[[Path, Rows], None], dict[str, Any]]] = {
    "JSON Lines": (".jsonl", json_lines, {}),
    "JSON Lines, zstd": (".ndjson.zst", json_lines, {}),
    "missing values kept": (".jsonl.gz", some_missing, {"missing": True}),
    "CSV, gzip": (".csv.gz", one_column, {}),
    "CSV, zstd": (".csv.zst", one_column, {}),
    "TSV, decimal commas": (".tsv", one_column, {"decimal": ","}),
    "partitioned folder": ("", partitioned, {}),
    "lists and pictures": (".parquet", media, {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_person_is_removed_and_the_table_written_without_them(tmp_path: Path, form: str) -> None:
    suffix, write, how = FORMS[form]
    workspace, toy = Workspace.init(tmp_path / "workspace", clock=lambda: NOW), toy_of("averages", 3)
    (tmp_path / "sources").mkdir()
    for name, items in toy.items.items():
        path, core = tmp_path / "sources" / f"{name}{suffix}", name in toy.spec.core
        x, label = (items.arrays[field].tolist() for field in ("x", "label"))
        write(
            path,
            [
                {
                    "key": f"{name}-{row}",
                    "subject": f"{name}-person-{row // PEOPLE_HOLD}",
                    "x": x[row],
                    "label": label[row],
                }
                for row in range(len(items))
            ],
        )
        add_shard(
            workspace, path, name=name, source=f"source-of-{name}", license="MIT", by_id=False, core=core, check=False,
            legal_basis="public domain" if core else "consent", in_place=True, **how,
        )  # fmt: skip
    train(workspace, toy)
    source = tmp_path / "sources" / f"shard-1{suffix}"
    before = live_shards(workspace)["shard-1"]
    granted_plan(workspace, [person(workspace, "shard-1", 1)])
    done = carry(workspace)
    assert verify_bundle(done.bundle, public_key=(workspace.home / "public.pem").read_bytes()).verdict == "certified"
    page = re.sub(r"\s+", " ", (done.bundle / "report.html").read_text())
    assert re.search("shard-1 lies in place in [^ ]+, which still holds 3 removed items", page)
    left = live_shards(workspace)["shard-1"]
    assert references_of(workspace, left.digest) is not None, "what is retained lies in place, too"
    rows = {row.key for row in shard_rows(workspace, left.digest)}
    keys = read_file(source, **how).keys
    write_without(source, tmp_path / "thinner", {row for row, key in enumerate(keys) if key not in rows})
    source.rename(tmp_path / "before")
    (tmp_path / "thinner").rename(source)
    assert [key for key in keys if key in rows] == list(read_file(source, **how).keys)
    assert len(check_items(workspace, left.digest)) == left.count == before.count - 3
    (_, lying), *_ = sources_of(workspace, [before.digest])
    assert (
        files_to_delete(lying, {digest for _, _, digest in lying.files} - set(check_items(workspace, left.digest)))
        == ()
    )
    assert [found.words for found in audit(workspace) if found.level is Level.ERROR] == []
