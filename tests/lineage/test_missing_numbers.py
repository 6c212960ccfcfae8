"""Numbers that are missing: one value in every format, seen by checks as null, and the item's digest stays the same."""

import csv
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lineage.errors import BadInput, DigestMismatch, ExpectationsFailed
from lineage.formats.read import from_arrays, read_file
from lineage.perceptual_hash import likenesses
from lineage.shards.add import Added, add_file, add_items, add_shard, shard_items, shard_rows
from lineage.shards.divide import Division
from lineage.shards.files import check_items
from lineage.shards.validation.rules import Rules
from lineage.shards.values import mark_withdrawn
from lineage.storage.content import item_digests
from lineage.workspace import Workspace

PAYLOADS = {
    "<f2": (np.uint16, 0x7E00, (0x7E01, 0xFE00, 0x7D01)),
    "<f4": (np.uint32, 0x7FC00000, (0x7FC00001, 0xFFC00000, 0x7F800001)),
    "<f8": (np.uint64, 0x7FF8000000000000, (0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001)),
}
"""By type: its bits as a number, NaN as it is kept, and other NaN (a payload, a sign, a signaling one)."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "workspace")


def stocks() -> pd.DataFrame:
    """Prices of ten stocks by month since 1990, as matplotlib ships them: most were not listed at first."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "Stocks.csv"
    table = pd.read_csv(path, comment="#").rename(columns=lambda name: name.lstrip("^").lower())
    assert table["googl"].isna().sum() > 100
    return table.rename(columns={"date": "key"})


def add(workspace: Workspace, path: Path, name: str = "a", **how: Any) -> Added:
    return add_shard(workspace, path, name=name, **{"check": False, **how})


def test_a_real_table_is_the_same_items_in_every_format(tmp_path: Path) -> None:
    table = stocks()
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet", index=False)
    of_nan = pa.table({name: pa.array(column.tolist()) for name, column in table.items()})
    pq.write_table(of_nan, tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "a.parquet")["dell"].null_count > 0, "pandas writes null"
    assert of_nan["dell"].null_count == 0, "and others write NaN"
    np.savez(
        tmp_path / "a.npz",
        key=table["key"].to_numpy(dtype=str),
        **{name: table[name].to_numpy() for name in table.columns if name != "key"},
    )
    taken = [read_file(tmp_path / name) for name in ("a.csv", "a.parquet", "b.parquet", "a.npz")]
    first = item_digests(taken[0].content)
    assert len(first) == len(table)
    for other in taken[1:]:
        assert (item_digests(other.content), other.keys) == (first, taken[0].keys)
    np.testing.assert_array_equal(taken[0].content["dell"], table["dell"].to_numpy())


@pytest.mark.parametrize("dtype", PAYLOADS)
def test_nan_of_any_sign_and_payload_is_one(dtype: str) -> None:
    bits, kept, others = PAYLOADS[dtype]
    given = np.array([kept, *others], bits).view(dtype)
    given.flags.writeable = False
    found = from_arrays({"x": given, "wide": np.stack([given, np.ones(4, dtype)], axis=1)}).content
    assert found["x"].dtype == np.dtype(dtype)
    assert found["x"].view(bits).tolist() == [kept] * 4
    assert found["wide"].view(bits)[:, 0].tolist() == [kept] * 4
    assert len(set(item_digests(found))) == 1
    assert given.view(bits).tolist() == [kept, *others], "what the caller has stays as it was"


def test_items_without_nan_have_the_digests_that_they_had() -> None:
    found = item_digests(from_arrays({"x": [0.5, -0.0], "n": [1, 2]}).content)
    assert found == (
        "c5f868c4411c7013bf96bf531060252f50ad802e68d69c0cee828392b19c5e34",
        "cb819af612e306e5dfd2afed9c9ffa4e12e620f7b3ee3f7886779e7c59fa8e01",
    )


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ('x\n1\n""\n3\n', "f", [1, np.nan, 3]),
        ("x\n1.5\nnan\n -NaN \n", "f", [1.5, np.nan, np.nan]),
        ("x,y\n1,a\n,b\n", "f", [1, np.nan]),
        ("x,y\na,1\n,2\n", "T", ["a", ""]),
        ("x,y\n007,1\n,2\n", "T", ["007", ""]),
        ("x\n9007199254740992\n1\n", "i", [2**53, 1]),
    ],
)
def test_how_a_column_of_csv_reads(text: str, kind: str, values: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    found = read_file(tmp_path / "a.csv").content["x"]
    assert found.dtype.kind == kind
    assert same(found, values)


def same(found: NDArray[Any], values: list[Any]) -> bool:
    return found.tolist() == values if found.dtype.kind in "TO" else np.array_equal(found, values, equal_nan=True)


def test_whole_numbers_that_floats_do_not_hold_and_columns_without_a_value_are_refused(tmp_path: Path) -> None:
    path, big = tmp_path / "a.csv", 2**53 + 1
    for text, says in (
        (f"x,y\n{big},1\n,2\n", "line 3: field 'x' is empty, and other items have whole numbers of 2\\*\\*53 and more"),
        ("x,y\n99999999999999999999,1\n,2\n", "line 3: field 'x' is empty, and other items"),
        ("x,y\n,1\n,2\n", "field 'x' has no value in any line, .* leave it out \\(--fields\\)"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=says):
            read_file(path)
    assert read_file(path, fields=["y"]).content["y"].tolist() == [1, 2]
    path = tmp_path / "a.parquet"
    for column, says in (
        (pa.array([big, None]), "row 1: field 'x' is empty, and other items have whole numbers"),
        (pa.array([None, None]), "field 'x' has no value in any row; leave it out \\(--fields\\), or give it a type"),
    ):
        pq.write_table(pa.table({"x": column, "y": [1, 2]}), path)
        with pytest.raises(BadInput, match=says):
            read_file(path)
    pq.write_table(pa.table({"x": pa.array([None, None], pa.float32()), "y": pa.array([1, None], pa.int8())}), path)
    found = read_file(path).content
    assert (found["x"].dtype, found["y"].dtype) == (np.float32, np.float64)
    assert np.isnan(found["x"]).all()


def test_it_is_said_in_a_line(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("key,age,dose,name\n1,34,0.5,ann\n2,,,\n3,51,,cy\n")
    assert add(workspace, tmp_path / "a.csv").warnings == (
        "empty among numbers, so NaN: 'age' of 1 item (its whole numbers are floats), 'dose' of 2 items",
    )
    names = ",".join(f"c{place}" for place in range(9))
    (tmp_path / "b.csv").write_text(f"{names}\n{'1.5,' * 8}1.5\n{',' * 8}\n")
    (line,) = add(workspace, tmp_path / "b.csv", "b").warnings
    assert line.endswith("'c4' of 1 item and 4 more fields")


def test_checks_see_a_null(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("key,age,site\n1,34,a\n2,,b\n3,51,c\n")
    required = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}}
    with pytest.raises(ExpectationsFailed, match=r"not_be_null \(age\) is broken by 1 of 3 items: key '2'"):
        add(workspace, tmp_path / "a.csv", check=True, rules=Rules(more=(required,)))
    with pytest.raises(ExpectationsFailed, match=r"between \(age\) is broken by 1 of 3 items: key '3'"):
        add(workspace, tmp_path / "a.csv", check=True, rules=Rules(ranges={"age": (0, 40)}))
    assert add(workspace, tmp_path / "a.csv", check=True, rules=Rules(ranges={"age": (0, 60)})).validation
    np.savez(tmp_path / "a.npz", image=[[[1.0, np.nan], [2, 3]], [[4, 5], [6, 7]]])
    of_mean = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "image.mean"}}
    with pytest.raises(ExpectationsFailed, match=r"image.mean\) is broken by 1 of 2 items: key '0'"):
        add(workspace, tmp_path / "a.npz", "b", check=True, rules=Rules(more=(of_mean,)))
    with pytest.raises(ExpectationsFailed, match=r"image.min\) is broken by 1 of 2 items: key '0'"):
        add(workspace, tmp_path / "a.npz", "b", check=True, rules=Rules(ranges={"image": (2, 7)}))


def test_stored_and_in_place_they_come_back_bit_for_bit(workspace: Workspace, tmp_path: Path) -> None:
    table = stocks()
    table.to_parquet(tmp_path / "a.parquet", index=False)
    table.to_csv(tmp_path / "a.csv", index=False)
    stored = add(workspace, tmp_path / "a.parquet", likeness=None).shard
    digests, arrays = shard_items(workspace, stored.digest)
    assert item_digests(arrays) == digests
    assert check_items(workspace, stored.digest) == digests
    lying = add(workspace, tmp_path / "a.csv", in_place=True)
    assert (lying.new, lying.shard.digest) == (False, stored.digest), "the same items, from another format"


def test_in_place_a_number_stays_a_float_when_the_row_that_made_it_one_is_gone(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [("1", 34), ("2", None), ("3", 51)]
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("key", "age"), *rows])
    pq.write_table(pa.table({"key": [k for k, _ in rows], "age": [n for _, n in rows]}), tmp_path / "a.parquet")
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"a.{suffix}"
        parts = add_file(
            workspace, path, name=suffix, in_place=True, check=False, subject="key", fields=["age"],
            division=Division("key"),
        )  # fmt: skip
        whole = [part.shard for part in parts if not np.isnan(shard_items(workspace, part.shard.digest)[1]["age"][0])]
        assert len(whole) == 2
        if suffix == "csv":
            path.write_text("key,age\n1,34\n3,51\n")
        else:
            pq.write_table(pa.table({"key": ["1", "3"], "age": [34, 51]}), path)
        for shard in whole:
            assert len(check_items(workspace, shard.digest)) == 1
        gone = next(part.shard for part in parts if part.shard not in whole)
        with pytest.raises(DigestMismatch, match="1 of 1 item recorded from it in place"):
            check_items(workspace, gone.digest)
        workspace = Workspace.init(tmp_path / f"next-{suffix}")


def test_a_withdrawn_item_is_recognized_whatever_its_nan(workspace: Workspace, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", key=["1", "2"], x=[1.5, np.nan])
    shard = add(workspace, tmp_path / "a.npz").shard
    gone = next(row.digest for row in shard_rows(workspace, shard.digest) if row.key == "2")
    mark_withdrawn(workspace, [shard.digest], [gone])
    pq.write_table(pa.table({"x": pa.array([None, 7.5])}), tmp_path / "b.parquet")
    (tmp_path / "b.csv").write_text("key,x\n1,\n2,7.5\n")
    np.savez(tmp_path / "b.npz", x=-np.array([np.nan, 7.5]))
    for name, where in (("b.parquet", "row 0"), ("b.csv", "line 2"), ("b.npz", "row 0")):
        with pytest.raises(BadInput, match=f"1 item was withdrawn by request; remove them: {where}"):
            add(workspace, tmp_path / name, "b")


@pytest.mark.parametrize("in_place", [False, True])
def test_a_withdrawn_item_is_recognized_in_a_file_whose_columns_read_otherwise(
    in_place: bool, workspace: Workspace, tmp_path: Path
) -> None:
    """Where a cell of a column was empty its numbers are floats, and without that row they are whole."""
    (tmp_path / "a.csv").write_text("key,age,sex,name\n1,34,2,ann\n2,,1,bob\n3,51,1,cy\n")
    shard = add(workspace, tmp_path / "a.csv", in_place=in_place).shard
    ann = next(row.digest for row in shard_rows(workspace, shard.digest) if row.key == "1")
    mark_withdrawn(workspace, [shard.digest], [ann])
    (tmp_path / "b.csv").write_text("key,age,sex,name\n7,35,2,ann\n8,34,2,ann\n")
    with pytest.raises(BadInput, match="1 item was withdrawn by request; remove them: line 3"):
        add(workspace, tmp_path / "b.csv", "b")
    (tmp_path / "b.csv").write_text("key,age,sex,name\n7,35,2,ann\n8,34.5,2,ann\n")
    assert add(workspace, tmp_path / "b.csv", "b").new, "other numbers are other items"
    whole = add_items(workspace, from_arrays({"age": [60], "sex": [1], "name": ["dee"]}), name="whole").shard
    mark_withdrawn(workspace, [whole.digest], check_items(workspace, whole.digest))
    (tmp_path / "c.csv").write_text("age,sex,name\n44,1,eve\n")
    add(workspace, tmp_path / "c.csv", "c")
    (tmp_path / "d.csv").write_text("age,sex,name\n60,1,dee\n,1,fay\n")
    with pytest.raises(BadInput, match="1 item was withdrawn by request; remove them: line 2"):
        add(workspace, tmp_path / "d.csv", "d")


def test_pictures_with_missing_pixels_are_like_themselves_and_not_like_one_another() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((2, 16, 16))
    images[:, 3, 4] = np.nan
    one, other = likenesses("image", "x", images)
    assert one != other
    filled = np.where(np.isnan(images), 0, images)
    assert likenesses("image", "x", filled) == (one, other)
