"""Tables in every form: what is read, written and read again is the same items, and what is no table is refused."""

import csv
import gzip
import io
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import BadInput, TooLarge
from lineage.formats.decoding.compressed import opened, read_whole, written
from lineage.formats.read import from_arrays, read_again, read_file
from lineage.formats.write import write_without
from lineage.shards.add import add_file, add_items, add_shard, shard_items
from lineage.shards.divide import Division
from lineage.shards.values import value_digests
from lineage.storage.content import dtype_name, item_digests, read_content, write_content
from lineage.workspace import Workspace
from tests.lineage.test_intake import refused

Rows = list[dict[str, Any]]
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
NUMBERS = st.integers(-(2**62), 2**62), st.floats(allow_infinity=False, allow_nan=False)
KINDS = (
    *NUMBERS,
    st.integers(-9, 9) | st.none(),
    NUMBERS[1] | st.none(),
    WORDS,
    st.booleans(),
    st.lists(st.integers(-9, 9), min_size=2, max_size=2),
    st.lists(WORDS, max_size=3),
    st.lists(st.integers(-9, 9) | st.none(), max_size=3),
)


def has_value(cell: Any) -> bool:
    """Whether a cell holds something from which the type of its column is told."""
    return any(map(has_value, cell)) if isinstance(cell, list) else bool(str("" if cell is None else cell).strip())


@st.composite
def tables(draw: st.DrawFn, *, flat: bool = False) -> Rows:
    """Rows of a key, a field that is always there, and fields of some kinds, ``flat`` for those that CSV has."""
    kinds = draw(st.lists(st.sampled_from(KINDS[: 5 if flat else None]), max_size=4))
    count = draw(st.integers(1, 5))
    columns = {f"f{place}": draw(st.lists(kind, min_size=count, max_size=count)) for place, kind in enumerate(kinds)}
    columns = {name: values for name, values in columns.items() if any(map(has_value, values))}
    return [
        {"key": f"k{row}", "there": row} | {name: values[row] for name, values in columns.items()}
        for row in range(count)
    ]


def as_json(path: Path, rows: Rows, draw: Any) -> None:
    lines = [json.dumps(row, ensure_ascii=draw(st.booleans())) for row in rows]
    empty, end = (draw(st.sampled_from(each)) for each in (["", "\n", " \r\n"], ["\n", "\r\n"]))
    with written(path, path) as file:
        file.write((empty + (end + empty).join(lines) + draw(st.sampled_from(["", end]))).encode())


def as_csv(path: Path, rows: Rows, draw: Any) -> None:
    tab = "\t" if ".tsv" in path.name else ","
    end, quoting = (draw(st.sampled_from(each)) for each in (["\n", "\r\n"], [csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    lines = []
    for line in [list(rows[0]), *(["" if cell is None else cell for cell in row.values()] for row in rows)]:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=tab, lineterminator=end, quoting=quoting).writerow(line)
        lines.append(text.getvalue() + draw(st.sampled_from(["", end])))
    with written(path, path) as file:
        file.write((draw(st.sampled_from(["", "\ufeff"])) + "".join(lines)).encode())


def as_parquet(path: Path, rows: Rows, draw: Any) -> None:
    size, codec = draw(st.integers(1, 5)), draw(st.sampled_from(["snappy", "zstd", "none"]))
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=size, compression=codec)


def as_folder(path: Path, rows: Rows, draw: Any) -> None:
    table, cut = pa.Table.from_pylist(rows), draw(st.integers(1, len(rows)))
    for name, part in (("p=1/b", table.slice(0, cut)), ("p=2/a", table.slice(cut))):
        (path / name).parent.mkdir(parents=True)
        pq.write_table(part, path / f"{name}.parquet")


def as_npz(path: Path, rows: Rows, draw: Any) -> None:
    columns = {name: [math.nan if row[name] is None else row[name] for row in rows] for name in rows[0]}
    draw(st.sampled_from([np.savez, np.savez_compressed]))(path, **{n: np.array(v) for n, v in columns.items()})


FLAT = {"csv": as_csv, "csv.gz": as_csv, "tsv": as_csv, "tsv.zst": as_csv, "npz": as_npz}
DEEP = {"jsonl": as_json, "jsonl.gz": as_json, "ndjson.zst": as_json, "parquet": as_parquet, "folder": as_folder}


@pytest.mark.parametrize("form", [*FLAT, *DEEP])
@settings(max_examples=30)
@given(data=st.data())
def test_read_written_and_read_again_is_the_same(form: str, data: st.DataObject) -> None:
    rows = data.draw(tables(flat=form in FLAT))
    gone = data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) - 1))
    with TemporaryDirectory() as folder:
        path, same, less = (Path(folder, f"{name}.{form}") for name in ("a", "same", "less"))
        (FLAT | DEEP)[form](path, rows, data.draw)
        write_without(path, same, set())
        write_without(path, less, gone)
        before, after = read_file(path), read_file(same)
        digests = item_digests(before.content)
        assert (
            (item_digests(after.content), after.keys)
            == (digests, before.keys)
            == (digests, tuple(r["key"] for r in rows))
        )
        if "csv" in form or "tsv" in form or "json" in form:
            assert read_whole(same, 10**9) == read_whole(path, 10**9)
        elif form == "parquet":
            assert pq.read_table(same).equals(pq.read_table(path), check_metadata=True)
        kinds = {name: dtype_name(array) for name, array in before.content.items()}
        stays = [row for row in range(len(rows)) if row not in gone]
        assert item_digests(read_again(less, kinds)) == tuple(digests[row] for row in stays)
        assert read_file(less, fields=["there"]).keys == tuple(rows[row]["key"] for row in stays)


# What each form is read as


def json_file(folder: Path, *lines: str, name: str = "a.jsonl") -> Path:
    path = folder / name
    with written(path, path) as file:
        file.write("\n".join(lines).encode())
    return path


def test_a_table_is_the_same_items_in_every_form(tmp_path: Path) -> None:
    rows = [{"key": "a", "x": 1.5, "n": 2, "t": "Grüße"}, {"key": "b", "x": None, "n": 3, "t": "1,5"}]
    json_file(tmp_path, *map(json.dumps, rows))
    json_file(tmp_path, *(json.dumps(dict(reversed(row.items()))) for row in rows), name="b.ndjson.zst")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    lines = ["key\tx\tn\tt", "a\t1.5\t2\tGrüße", "b\t\t3\t1,5"]
    (tmp_path / "a.tsv").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress('key,x,n,t\na,1.5,2,Grüße\nb,,3,"1,5"\n'.encode()))
    (tmp_path / "b.csv").write_text("key;x;n;t\na;1,5;2;Grüße\nb;;3;1,5\n", encoding="utf-8")
    parts = tmp_path / "parts"
    for row in rows:
        (parts / f"n={row['n']}").mkdir(parents=True)
        own = pa.Table.from_pylist([row], pa.schema({"key": pa.string(), "x": pa.float64(), "t": pa.string()}))
        pq.write_table(own, parts / f"n={row['n']}" / "p.parquet")
    taken = [
        read_file(tmp_path / name) for name in ("a.jsonl", "b.ndjson.zst", "a.parquet", "a.tsv", "a.csv.gz", "parts")
    ]
    assert len({(item_digests(intake.content), intake.keys) for intake in taken}) == 1
    commas = read_file(tmp_path / "b.csv", delimiter=";", decimal=",")
    assert commas.content["x"].tolist()[0] == 1.5
    assert commas.content["t"].tolist() == ["Grüße", "1,5"], "text stays as it is written"


def test_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;b;c;d\n1,5;1.5;99999999999999999999;-,5e3\n2;2;1,5;3\n")
    content = read_file(path, delimiter=";", decimal=",").content
    assert {name: array.tolist() for name, array in content.items()} == {
        "a": [1.5, 2.0], "b": ["1.5", "2"], "c": ["99999999999999999999", "1,5"], "d": [-500.0, 3.0],
    }  # fmt: skip
    assert "invalid decimal ';'" in refused(path, delimiter=";", decimal=";")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (('{"x": 1}', "", '{"x": 2'), "line 3: not JSON"),
        (('{"x": 1}', "\\xff"), "line 2: not JSON"),
        (('{"x": 1, "x": 2}',), "line 1: not JSON (a name stands in an object twice)"),
        (("[" * 100_000,), "line 1: not JSON"),
        (("[1]",), "line 1: holds no object of fields"),
        (('{"x": 1}', '{"x": 2, "y": 1}'), "line 2: field 'y' is new"),
        (('{"x": 1, "y": 1}', '{"x": 2}'), "line 2: field 'y' is not there"),
        (('{"x": {"a": 1}}',), "line 1: field 'x' holds an object"),
        (('{"x": [{"a": 1}]}',), "line 1: field 'x' holds an object"),
        (('{"x": [1, "a"]}',), "line 1: field 'x' holds values of several kinds in a list"),
        (('{"x": null}', "", '{"x": 1}', '{"x": "a"}'), "line 4: field 'x' holds text, and numbers in line 3"),
        (('{"x": true}', '{"x": 1}'), "line 2: field 'x' holds numbers, and true or false in line 1"),
        (('{"t": "a"}', "", '{"t": null}'), "line 3: field 't' is empty"),
        (('{"x": 9007199254740993}', '{"x": 0.5}'), "field 'x' cannot be held exactly"),
        (('{"x": 99999999999999999999}',), "field 'x' cannot be held exactly"),
        (('{"x": 1e999}',), "line 1: field 'x' is infinite"),
        (('{"x": "\\ud800"}',), "field 'x'"),
        (('{"x": []}',), "field 'x'"),
        (("", " "), "is empty"),
    ],
)
def test_what_is_no_json_lines_is_refused_with_its_line(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    assert says in refused(json_file(tmp_path, *lines))


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst", "a.jsonl.gz"])
def test_a_damaged_or_endless_compressed_file_is_refused(tmp_path: Path, name: str) -> None:
    path = json_file(tmp_path, *(f'{{"x": {place}}}' for place in range(10_000)), name=name)
    whole = path.read_bytes()
    assert isinstance(refused(path, limit=50_000), str)
    with pytest.raises(TooLarge, match="the limit is"):
        read_file(path, limit=50_000)
    for bad, says in ((whole[:-5], "ends too early"), (b"x,y\n1,2\n", "is damaged or not"), (b"", "is empty")):
        path.write_bytes(bad)
        assert says in refused(path)
    path.write_bytes(whole + whole)
    with opened(path) as stream:
        assert len(stream.read()) == 2 * len(read_whole(path, 10**9)) / 2, "files joined are read to the end"


def test_a_folder_of_parquet_is_one_table_or_says_why_not(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    (folder / "lang=de").mkdir(parents=True)
    pq.write_table(pa.table({"x": [1, 2]}), folder / "lang=de" / "b.parquet")
    pq.write_table(pa.table({"x": [3]}), folder / "lang=de" / "a.pq")
    (folder / "_SUCCESS").touch()
    taken = read_file(folder)
    assert {name: array.tolist() for name, array in taken.content.items()} == {"lang": ["de"] * 3, "x": [3, 1, 2]}
    assert read_file(folder, fields=["lang"]).keys == ("0", "1", "2")
    assert taken.rows[1] == "lang=de/b.parquet: row 0"
    for values, says in (([0.5], "is of type double, and int64 in"), (None, "is not in every file")):
        pq.write_table(pa.table({"x": values} if values else {"y": [1]}), folder / "lang=de" / "c.parquet")
        assert says in refused(folder)
    (folder / "lang=de" / "c.parquet").rename(folder / "c.parquet")
    assert "is not in every file" in refused(folder)
    (folder / "c.parquet").write_bytes(b"PAR1")
    assert "c.parquet: not Parquet" in refused(folder)
    (folder / "c.parquet").rename(folder / "c.txt")
    assert "of no known kind" in refused(folder)


def test_lists_of_text_and_of_different_lengths_are_json(tmp_path: Path) -> None:
    columns = {"t": [["a", "ü"], []], "n": [[1, None], [2.5]], "same": [[1, 2], [3, 4]], "deep": [[[1], []], [[2, 3]]]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    taken = read_file(tmp_path / "a.parquet")
    assert {name: array.tolist() for name, array in taken.content.items()} == {
        "t": ['["a","ü"]', "[]"], "n": ["[1.0,null]", "[2.5]"], "same": [[1, 2], [3, 4]],
        "deep": ["[[1],[]]", "[[2,3]]"],
    }  # fmt: skip
    assert sum("in JSON" in note for note in taken.notes) == 3, "and it is said"


def test_missing_values_are_kept_if_that_is_asked(tmp_path: Path) -> None:
    day = np.array(["2026-01-01", "NaT"], "M8[us]")
    columns = {"t": ["a", None], "b": [True, None], "at": pa.array(day), "n": pa.nulls(2), "x": [1, None]}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    assert "--missing keep" in refused(path)
    taken = read_file(path, missing=True)
    content = taken.content
    assert (content["t"].tolist(), content["b"].tolist()[0], str(content["at"][1])) == (["a", ""], 1.0, "NaT")
    assert all(np.isnan(content[name][1]) for name in "bnx")
    assert any("'t' has no value in 1 of 2 items: it is the empty text there" in note for note in taken.notes)
    write_content(tmp_path / "content", digests := item_digests(content), content)
    found, back = read_content(tmp_path / "content")
    assert sorted(digests) == list(found) == list(item_digests(back)), "a time that is none is stored as such"
    lines = json_file(tmp_path, '{"t": "a", "x": 1}', '{"x": null}', '{"t": "", "x": 2.5, "u": "new"}')
    kept = read_file(lines, missing=True).content
    assert (kept["t"].tolist(), kept["u"].tolist()) == (["a", "", ""], ["", "", "new"])
    (tmp_path / "a.csv").write_text("x,y\n1,\n2,\n")
    assert "--missing keep" in refused(tmp_path / "a.csv")
    assert np.isnan(read_file(tmp_path / "a.csv", missing=True).content["y"]).all()


def test_what_was_kept_missing_lies_in_place_and_is_read_again(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "work")
    path = json_file(
        tmp_path, '{"key": "a", "t": "x", "b": true}', '{"key": "b", "t": null, "b": null}', name="a.jsonl.gz"
    )
    for name in ("lying", "copy"):
        how: dict[str, Any] = {"name": name, "missing": True, "check": False, "in_place": name == "lying"}
        added = add_shard(workspace if name == "lying" else Workspace.init(tmp_path / "other"), path, **how)
        assert added.shard.count == 2
    json_file(tmp_path, '{"key": "b", "t": null, "b": null}', '{"key": "a", "t": "x", "b": true}', name="a.jsonl.gz")
    assert shard_items(workspace, added.shard.digest)[1]["t"].tolist().count("") == 1


def test_what_was_kept_missing_passes_its_checks_and_is_known_without_the_gap(tmp_path: Path) -> None:
    workspace, path = Workspace.init(tmp_path / "work"), tmp_path / "a.parquet"
    columns = {"b": [True, None], "t": ["x", None], "at": pa.array(np.array(["2026-01-01", "NaT"], "M8[us]"))}
    pq.write_table(pa.table(columns | {"tags": [["a"], []]}), path)
    added = add_shard(workspace, path, name="a", missing=True)
    full = read_file(json_file(tmp_path, '{"b": true, "t": "x"}')).content
    _, content = shard_items(workspace, added.shard.digest)
    both = {name: content[name] for name in ("b", "t")}
    add_items(workspace, from_arrays(both), name="b", check=False)
    assert item_digests(full)[0] not in item_digests(both), "true is 1.0 there"
    assert next(value_digests(full)) in value_digests(both)


def test_a_table_is_written_only_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("x,y\n1,é\n".encode("utf-16-be"))
    write_without(path, tmp_path / "b.csv", set(), encoding="utf-16-be")
    assert (tmp_path / "b.csv").read_bytes() == path.read_bytes()
    path.write_bytes(b"\xfe\xff" + path.read_bytes())
    with pytest.raises(BadInput, match="name its encoding more exactly"):
        write_without(path, tmp_path / "c.csv", set(), encoding="utf-16")
    np.savez(tmp_path / "a.npz", x=np.zeros(3), words=np.array(["a", "b"]))
    with pytest.raises(BadInput, match="arrays of different lengths"):
        write_without(tmp_path / "a.npz", tmp_path / "b.npz", {0})
    with pytest.raises(BadInput, match="no table"):
        write_without(tmp_path, tmp_path / "d", {0})


def test_a_partition_divides_into_shards(tmp_path: Path) -> None:
    workspace, folder = Workspace.init(tmp_path / "work"), tmp_path / "parts"
    for lang in ("de", "fr"):
        (folder / f"lang={lang}").mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.5, len(lang + lang)]}), folder / f"lang={lang}" / "a.parquet")
    added = add_file(workspace, folder, name="parts", division=Division("lang", None, 10), check=False, in_place=True)
    assert [(each.shard.name, each.shard.count) for each in added] == [("parts-de", 2), ("parts-fr", 2)]
    assert [len(shard_items(workspace, each.shard.digest)[0]) for each in added] == [2, 2]
