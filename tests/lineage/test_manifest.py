"""Manifests come back whole and sorted, and their bytes depend on their items alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import DigestMismatch, UnknownRecord
from lineage.records import Item
from lineage.storage.manifest import (
    in_manifest_order,
    may_hold_likenesses,
    read_digests,
    read_manifest,
    write_manifest,
)
from tests.tier import amount

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
ITEMS = st.builds(
    Item,
    digest=st.sampled_from(["a" * 64, "b" * 64, "0" * 64]) | st.binary(min_size=32, max_size=32).map(bytes.hex),
    key=TEXT,
    subject=st.none() | TEXT,
    source=st.none() | TEXT,
    license=st.none() | TEXT,
    n_bytes=st.integers(0, 2**53),
    likeness=st.none() | st.binary(min_size=16, max_size=16).map(lambda data: f"text:{data.hex()}"),
)


@settings(max_examples=amount(150, 1000), deadline=None)
@given(items=st.lists(ITEMS, max_size=8), data=st.data())
def test_any_items_round_trip_sorted(
    items: list[Item], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "manifest.parquet"
    write_manifest(path, items)
    first = path.read_bytes()
    back = read_manifest(path)
    assert sorted(back, key=repr) == sorted(items, key=repr)
    assert [(item.digest, item.key) for item in back] == sorted((item.digest, item.key) for item in items)
    assert read_digests(path).to_pylist() == [item.digest for item in back]
    write_manifest(path, data.draw(st.permutations(items)))
    assert path.read_bytes() == first


def test_order_of_arrival_does_not_show(tmp_path: Path) -> None:
    items = [Item(f"{i % 3:064x}", str(i), None, "web", None, i) for i in range(20)]
    write_manifest(tmp_path / "a", items)
    write_manifest(tmp_path / "b", items[::-1])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert in_manifest_order(items[::-1]) == read_manifest(tmp_path / "a")


def test_other_engines_read_it_as_it_is(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.parquet", [Item("a" * 64, "k", "s", None, "MIT", 5)])
    rows = duckdb.sql(f"select digest, key, subject, source, license, n_bytes from '{tmp_path}/m.parquet'").fetchall()
    assert rows == [("a" * 64, "k", "s", None, "MIT", 5)]


def test_a_missing_damaged_or_foreign_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    with pytest.raises(UnknownRecord, match="missing"):
        read_manifest(path)
    for rubbish in (b"", b"PAR1", b"rubbish" * 20):
        path.write_bytes(rubbish)
        with pytest.raises(DigestMismatch):
            read_manifest(path)
    pq.write_table(pa.table({"digest": ["a" * 64], "who": ["x"]}), path)
    with pytest.raises(DigestMismatch):
        read_manifest(path)


def test_writing_again_replaces_the_whole_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    for count in (5, 2):
        write_manifest(path, [Item(f"{i:064x}", str(i), None, None, None, 1) for i in range(count)])
    assert len(read_manifest(path)) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["m.parquet"]


def test_a_manifest_without_likeness_has_no_such_column(tmp_path: Path) -> None:
    plain = Item("a" * 64, "k", "s", None, "MIT", 5)
    write_manifest(tmp_path / "a", [plain])
    assert pq.read_schema(tmp_path / "a").names[-1] == "n_bytes"
    assert read_manifest(tmp_path / "a") == (plain,)
    alike = replace(plain, likeness="text:" + "0f" * 16)
    write_manifest(tmp_path / "b", [alike, replace(plain, digest="b" * 64)])
    assert [item.likeness for item in read_manifest(tmp_path / "b")] == [alike.likeness, None]


@given(items=st.lists(ITEMS, max_size=8))
def test_the_footer_tells_whether_there_are_likenesses(
    items: list[Item], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "footer.parquet"
    write_manifest(path, items)
    assert may_hold_likenesses(path) == any(item.likeness is not None for item in items)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:5], lambda data: data[:-1]])
def test_a_manifest_without_its_footer_is_read_and_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_manifest(tmp_path / "m", [Item("a" * 64, "k", None, None, None, 5)])
    (tmp_path / "m").write_bytes(damage((tmp_path / "m").read_bytes()))
    assert may_hold_likenesses(tmp_path / "m")
    with pytest.raises(DigestMismatch):
        read_manifest(tmp_path / "m")


@pytest.mark.parametrize("likeness", ["", "text:", "text:" + "0" * 31, "image:" + "G" * 128, "\x1b[31m", "0" * 10_000])
def test_a_damaged_likeness_is_refused_in_one_line(tmp_path: Path, likeness: str) -> None:
    write_manifest(tmp_path / "m", [Item("a" * 64, "k", None, None, None, 5, likeness)])
    with pytest.raises(DigestMismatch, match="was changed on disk") as refused:
        read_manifest(tmp_path / "m")
    assert str(refused.value).isprintable()


def test_duckdb_reads_manifests_with_and_without_likeness_together(tmp_path: Path) -> None:
    """As the projection does, in either order."""
    write_manifest(tmp_path / "a", [Item("a" * 64, "k", None, None, None, 5)])
    write_manifest(tmp_path / "b", [Item("b" * 64, "k", None, None, None, 5, "text:" + "0f" * 16)])
    for names in ("ab", "ba"):
        paths = [str(tmp_path / name) for name in names]
        rows = duckdb.execute("select digest, key, n_bytes from read_parquet(?, filename = true)", [paths]).fetchall()
        assert sorted(rows) == [("a" * 64, "k", 5), ("b" * 64, "k", 5)]
