"""Content comes back bit for bit, in digest order, whatever its dtype, shape and order of arrival."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from lineage.errors import BadInput, DigestMismatch, LineageError, UnknownRecord
from lineage.records import canonical
from lineage.storage.content import (
    as_field,
    dtype_name,
    item_digest,
    item_digests,
    item_sizes,
    read_content,
    write_content,
)

DTYPES = ("|b1", "|u1", "|i1", "<i2", ">i4", "<i8", "<u8", "<f2", "<f4", ">f8")
NAMES = st.text("abcxyz_", min_size=1, max_size=6)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, NDArray[np.generic]]:
    """Draw fields of any kept dtype and shape, and text, with NaN payloads and repeats among them."""
    items = draw(st.integers(1, 5))
    fields: dict[str, NDArray[np.generic]] = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        if draw(st.booleans()):
            texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
            fields[name] = np.array(draw(st.lists(texts, min_size=items, max_size=items)), np.dtypes.StringDType())
        else:
            shape = draw(st.lists(st.integers(1, 3), max_size=3))
            fields[name] = draw(hnp.arrays(draw(st.sampled_from(DTYPES)), (items, *shape)))
    return fields


def slow_digest(fields: dict[str, NDArray[np.generic]], row: int) -> str:
    """Return the digest written out plainly: layout, then every field's bytes, text behind its length."""
    names = sorted(fields)
    values = {name: fields[name][row] for name in names}
    layout = [[name, dtype_name(as_field(name, fields[name])), list(np.shape(values[name]))] for name in names]
    body = b"lineage.item.v1\n" + canonical(layout) + b"\n"
    for name in names:
        if isinstance(values[name], str):
            text = str(values[name]).encode()
            body += len(text).to_bytes(8, "little") + text
        else:
            body += np.asarray(values[name]).astype(np.dtype(layout[names.index(name)][1])).tobytes("C")
    return hashlib.sha256(body).hexdigest()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fields=contents())
def test_any_content_round_trips_in_digest_order(fields: dict, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.parquet"
    digests = item_digests(fields)
    write_content(path, digests, fields)
    found, back = read_content(path)
    assert list(found) == sorted(digests)
    assert list(back) == sorted(fields)
    assert item_digests(back) == found
    order = sorted(range(len(digests)), key=digests.__getitem__)
    for name, array in fields.items():
        held = as_field(name, array)[order]
        assert back[name].dtype == held.dtype
        if held.dtype.kind == "T":
            assert back[name].tolist() == held.tolist()
        else:
            assert back[name].tobytes() == held.tobytes()
            assert back[name].flags.writeable


@settings(max_examples=200, deadline=None)
@given(fields=contents())
def test_the_digest_is_the_one_written_out_plainly(fields: dict) -> None:
    rows = len(next(iter(fields.values())))
    assert item_digests(fields) == tuple(slow_digest(fields, row) for row in range(rows))
    assert item_digests(fields)[-1] == item_digest({name: array[-1] for name, array in fields.items()})


def test_the_digest_covers_name_dtype_shape_and_bytes() -> None:
    item = {"x": np.arange(4, dtype=np.float32), "t": "one"}
    others = [
        {"y": item["x"], "t": "one"},
        {**item, "x": item["x"].astype(np.float64)},
        {**item, "x": item["x"].reshape(2, 2)},
        {**item, "x": item["x"] + 1},
        {**item, "t": "two"},
        {"x": item["x"]},
        {**item, "x": np.array([-0.0, 1, 2, 3], np.float32)},
    ]
    assert len({item_digest(item), *map(item_digest, others)}) == len(others) + 1
    assert item_digest({"a": "xy", "b": "z"}) != item_digest({"a": "x", "b": "yz"}), "text shifted to the next field"


def test_byte_order_memory_order_and_text_width_do_not_change_a_digest() -> None:
    image = np.arange(12, dtype="<i4").reshape(3, 4)
    assert item_digest({"x": image}) == item_digest({"x": np.asfortranarray(image.astype(">i4"))})
    assert item_digests({"t": np.array(["a", "bcd"])})[0] == item_digest({"t": "a"})


def test_equal_content_makes_equal_bytes_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    fields = {"image": np.arange(60, dtype=np.float32).reshape(10, 2, 3), "label": np.arange(10) % 3}
    back = np.random.default_rng(0).permutation(10)
    digests = item_digests(fields)
    write_content(tmp_path / "a", digests, fields)
    write_content(tmp_path / "b", [digests[i] for i in back], {n: fields[n][back] for n in ("label", "image")})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.read_table(tmp_path / "a").column_names == ["digest", "image", "label"]


def test_sizes_count_bytes_of_content() -> None:
    assert item_sizes({"x": np.zeros((2, 3), np.float32), "t": ["ü", ""]}) == (14, 12)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([{}, {}]), "unpickling"),
        (np.array([1], "m8[s]"), "of type"),
        (np.zeros(2, np.complex64), "of type"),
        (np.zeros((2, 0)), "no value"),
        (np.zeros(()), "no axis"),
        (np.array([["a", "b"]]), "one text an item"),
        (np.array(["\ud800"]), "Unicode"),
        (np.array([b"x"]), "of type"),
    ],
)
def test_what_cannot_be_held_without_loss_is_refused(values: NDArray[np.generic], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        as_field("x", values)


@pytest.mark.parametrize("name", ["", "digest", "key", "subject", "a\nb"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="rename"):
        as_field(name, [1])


def test_unequal_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unequal"):
        item_digests({"a": [1, 2], "b": [1]})
    with pytest.raises(BadInput, match="digest an item"):
        write_content(tmp_path / "x", ["a" * 64], {"a": [1, 2]})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_damaged_file_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(UnknownRecord, match="missing"):
        read_content(path)
    write_content(path, item_digests({"a": [1, 2]}), {"a": [1, 2]})
    whole = path.read_bytes()
    for damaged in (b"", b"rubbish", whole[:-20], whole[:30] + bytes(40) + whole[70:]):
        path.write_bytes(damaged)
        with pytest.raises(DigestMismatch, match="changed on disk"):
            read_content(path)


BOMBS = {
    "rows": {"x": pa.array(np.zeros(3_000_000, np.int8))},
    "a repeated text": {"x": pa.array(["w" * 10_000]).take(pa.array([0] * 5_000))},
    "a repeated block": {"x": pa.array([bytes(10_000)] * 5_000, pa.binary(10_000))},
    "columns of nothing": {f"x{number}": pa.array(np.zeros(20_000)) for number in range(500)},
}
"""Columns that lie in some kilobytes and unpack to more than ten million bytes."""


MEASURED = """
import sys
from pathlib import Path
import pyarrow as pa
from lineage.storage.content import read_content
from lineage.errors import TooLarge
try:
    read_content(Path(sys.argv[1]), limit=10_000_000)
except TooLarge as error:
    print(error)
print(pa.default_memory_pool().max_memory())
"""
"""A process of its own, because what it allocates is counted for the whole process."""


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_somebody_else_wrote_is_measured_before_it_is_unpacked(bomb: str, tmp_path: Path) -> None:
    path, columns = tmp_path / "x.parquet", BOMBS[bomb]
    layout = {name: {"dtype": "|i1", "shape": []} for name in columns}
    digests = pa.array(["0" * 64]).take(pa.array(np.zeros(len(next(iter(columns.values()))), np.int8)))
    table = pa.table({"digest": digests, **columns})
    pq.write_table(table.replace_schema_metadata({b"disgorge.content": canonical(layout)}), path, compression="zstd")
    assert path.stat().st_size < 500_000
    ran = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True)
    assert "the limit" in ran.stdout
    assert int(ran.stdout.splitlines()[-1]) < 10_000_000


def test_a_limit_lets_through_what_it_has_room_for_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    arrays = {"b": np.arange(70_000) % 2 == 0, "i": np.zeros((70_000, 2, 3), np.float16), "t": ["é", "a\0"] * 35_000}
    write_content(path, item_digests(arrays), arrays)
    (digests, free), (same, limited) = read_content(path), read_content(path, limit=40_000_000)
    assert digests == same
    assert item_digests(limited) == item_digests(free) == digests


WHOLE = canonical({"x": {"dtype": "<i8", "shape": []}})
DAMAGED: dict[str, tuple[Any, Any, bytes]] = {
    **{f"layout {layout[:60]!r}": (["0" * 64], [1], layout) for layout in (
        b"[" * 100_000, b"[]", b"null", b'{"x": null}', b'{"x": {"dtype": "O", "shape": []}}',
        b'{"x": {"dtype": "<i8", "shape": [99999999999999999999]}}', b'{"x": {"dtype": "((((", "shape": []}}',
        b'{"x": {"dtype": "<i8", "shape": {"a": 1}}}', b'{"y": {"dtype": "<i8", "shape": []}}', b"\xff")},
    **{f"digests {digests}": (digests, [1], WHOLE) for digests in (["no digest"], [None], [1])},
    **{f"column {column.type}": (["0" * 64], column, WHOLE) for column in (
        pa.array([[1]]), pa.array([b"x"]), pa.array(["x"], pa.large_string()))},
}  # fmt: skip
"""Digests, a column and a layout that do not fit: the last columns say their size only in their pages."""


@pytest.mark.parametrize("damage", DAMAGED)
def test_what_is_no_content_is_damage_with_and_without_a_limit(damage: str, tmp_path: Path) -> None:
    digests, column, layout = DAMAGED[damage]
    table = pa.table({"digest": digests, "x": column}).replace_schema_metadata({b"disgorge.content": layout})
    pq.write_table(table, tmp_path / "x.parquet")
    for limit in ({"limit": 10_000_000}, {}):
        with pytest.raises(DigestMismatch, match="changed on disk"):
            read_content(tmp_path / "x.parquet", **limit)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(LineageError, match="cannot be written"):
        write_content(Path("/dev/full/x.parquet"), item_digests({"a": [1]}), {"a": [1]})


def test_a_bool_of_any_byte_is_true_or_false() -> None:
    odd = np.array([7, 0, 255], np.uint8).view(np.bool_)
    assert item_digests({"x": odd}) == item_digests({"x": np.array([True, False, True])})


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_that_stand_for_no_character_are_no_text(order: str) -> None:
    with pytest.raises(BadInput, match="not Unicode"):
        as_field("x", np.full(4, 0x7FFFFFFF, f"{order}u4").view(f"{order}U2"))
