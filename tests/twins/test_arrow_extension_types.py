"""Done: a Parquet file holds Arrow's extension types: permuted tensors, bool8, JSON, UUIDs, types of others.
Must: read as they mean, or refused by name.
Follows: apache/arrow#37533
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage.errors import BadInput
from lineage.formats.read import Intake, read_file

VALUES = np.arange(12, dtype=np.int32).reshape(2, 2, 3)
STORED = pa.FixedSizeListArray.from_arrays(pa.array(VALUES.reshape(-1)), 6)


class Period(pa.ExtensionType):  # type: ignore[misc]
    """A type that another program has: months since 1970."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "other.period")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"M"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, data: bytes) -> "Period":
        return cls()


def read(folder: Path, kind: Any, storage: Any, *, role: str | None = None) -> Intake:
    """Write values as an extension type beside a plain column, and read them."""
    column = pa.ExtensionArray.from_storage(kind, storage)
    pq.write_table(pa.table({"x": column, "y": pa.array([1, 2])}), folder / "a.parquet")
    return read_file(folder / "a.parquet", key=role)


@pytest.mark.parametrize("permutation", [None, [0, 1], [1, 0]])
def test_a_tensor_is_in_logical_order(tmp_path: Path, permutation: list[int] | None) -> None:
    kind = pa.fixed_shape_tensor(pa.int32(), (2, 3), permutation=permutation)
    found = read(tmp_path, kind, STORED).content["x"]
    assert np.array_equal(found, VALUES.transpose(0, 2, 1) if permutation == [1, 0] else VALUES)


def test_what_is_known_is_read_as_it_means(tmp_path: Path) -> None:
    assert read(tmp_path, pa.bool8(), pa.array([0, 5], pa.int8())).content["x"].tolist() == [False, True]
    assert read(tmp_path, pa.json_(), pa.array(['{"a": 1}', "[]"])).content["x"].tolist() == ['{"a": 1}', "[]"]
    ids = pa.array([bytes(16), bytes(range(16))], pa.binary(16))
    texts = ["00000000-0000-0000-0000-000000000000", "00010203-0405-0607-0809-0a0b0c0d0e0f"]
    assert read(tmp_path, pa.uuid(), ids).content["x"].tolist() == texts
    assert read(tmp_path, pa.uuid(), ids, role="x").keys == tuple(texts)


def test_what_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'x' is of the extension type 'arrow.opaque'"):
        read(tmp_path, pa.opaque(pa.int64(), "period", "other"), pa.array([1, 2]))
    with pytest.raises(BadInput, match=r"'x' is of the extension type 'other.period'.*leave it out"):
        read(tmp_path, Period(), pa.array([1, 2]))
    pa.register_extension_type(Period())
    try:
        with pytest.raises(BadInput, match=r"'x' is of the extension type 'other.period'"):
            read(tmp_path, Period(), pa.array([1, 2]))
    finally:
        pa.unregister_extension_type("other.period")
    assert read_file(tmp_path / "a.parquet", fields=("y",)).content["y"].tolist() == [1, 2]


def test_arrays_of_hugging_face_are_lists(tmp_path: Path) -> None:
    lists = pa.array([[[1.0, 2.0]], [[3.0, 4.0]]], pa.list_(pa.list_(pa.float64())))
    told = {
        b"ARROW:extension:name": b"datasets.features.features.Array2DExtensionType",
        b"ARROW:extension:metadata": b"[]",
    }
    schema = pa.schema([pa.field("x", lists.type, metadata=told)])
    pq.write_table(pa.table([lists], schema=schema), tmp_path / "a.parquet")
    assert read_file(tmp_path / "a.parquet").content["x"].shape == (2, 1, 2)
