"""Done: Parquet columns of Arrow's extension types: permuted tensors, bool8, json, uuid, opaque, and unknown ones.
Must: read as they mean, as content and as keys; what is not known is refused by its name, with what to do.
Follows: apache/arrow#34883
"""

import math
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import BadInput
from lineage.formats.read import read_again, read_file
from lineage.storage.content import item_digests


def written(folder: Path, **columns: Any) -> Path:
    """A Parquet file of these columns."""
    pq.write_table(pa.table(columns), folder / "a.parquet")
    return folder / "a.parquet"


def of(kind: Any, values: list[Any]) -> Any:
    """A column of an extension type, by what it stores."""
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


class Named(pa.ExtensionType):  # type: ignore[misc]
    """A type that only the writer knows: it is not registered."""

    def __init__(self, storage: Any, name: str) -> None:
        super().__init__(storage, name)

    def __arrow_ext_serialize__(self) -> bytes:
        return b""


SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=4)


@settings(max_examples=30)
@given(SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), st.permutations(range(len(shape))))))
def test_tensors_are_what_was_written(tmp_path_factory: pytest.TempPathFactory, form: Any) -> None:
    shape, order = form
    stored = np.arange(2 * math.prod(shape), dtype=np.int32).reshape(2, *shape)
    meant = stored.transpose(0, *(place + 1 for place in order))
    column = of(pa.fixed_shape_tensor(pa.int32(), shape, permutation=order), stored.reshape(2, -1).tolist())
    path = written(tmp_path_factory.mktemp("a"), x=column)
    if [order[place] for place in order] == sorted(order):
        assert np.array_equal(read_file(path).content["x"], meant)
    else:
        with pytest.raises(BadInput, match="store the numbers in the order in which they are meant"):
            read_file(path)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_what_pyarrow_writes_of_an_array_is_that_array(tmp_path: Path, order: tuple[int, ...]) -> None:
    meant = np.arange(48).reshape(2, 2, 3, 4).transpose(0, *(place + 1 for place in order))
    path = written(tmp_path, x=pa.FixedShapeTensorArray.from_numpy_ndarray(meant))
    assert np.array_equal(read_file(path).content["x"], meant)


def test_tensors_in_another_order_are_other_items(tmp_path: Path) -> None:
    digests = [
        item_digests(read_file(written(tmp_path, x=of(kind, [list(range(4))]))).content)[0]
        for kind in (
            pa.fixed_shape_tensor(pa.int32(), [2, 2]),
            pa.fixed_shape_tensor(pa.int32(), [2, 2], permutation=[0, 1]),
            pa.fixed_shape_tensor(pa.int32(), [2, 2], permutation=[1, 0]),
        )
    ]
    plain = pa.array([[[0, 1], [2, 3]]], pa.list_(pa.list_(pa.int32())))
    digests.append(item_digests(read_file(written(tmp_path, x=plain)).content)[0])
    assert digests[0] == digests[1] == digests[3] != digests[2]


def test_values_are_what_they_mean(tmp_path: Path) -> None:
    ids = [UUID(int=5), UUID(int=6)]
    path = written(
        tmp_path,
        flag=of(pa.bool8(), [0, 2]),
        said=pa.array(['{"a":1}', '{"a": 1}'], pa.json_()),
        id=pa.array([each.bytes for each in ids], pa.uuid()),
    )
    taken = read_file(path)
    assert taken.content["flag"].dtype == bool
    assert {name: array.tolist() for name, array in taken.content.items()} == {
        "flag": [False, True],
        "said": ['{"a":1}', '{"a": 1}'],
        "id": [str(each) for each in ids],
    }
    by_id = read_file(path, key="id", subject="id")
    assert by_id.keys == by_id.subjects == tuple(map(str, ids))
    assert read_file(written(tmp_path, flag=of(pa.bool8(), [0, None])), missing=True).content["flag"].dtype == float
    with pytest.raises(BadInput, match=r"row 1: field 'said' is empty"):
        read_file(written(tmp_path, said=pa.array(["1", None], pa.json_())))


def test_unknown_types_are_refused_by_name(tmp_path: Path) -> None:
    money = pa.opaque(pa.int64(), "money", "postgres")
    span = Named(pa.int64(), "my.money")
    for column, says in (
        (of(money, [1]), "'x' is of the extension type arrow.opaque 'money', .* save it as int64"),
        (of(span, [1]), "'x' is of the extension type my.money, .* save it as int64"),
        (pa.ListArray.from_arrays([0, 1], of(span, [1])), "'x' is of the extension type my.money"),
        (pa.ListArray.from_arrays([0, 1], of(pa.bool8(), [1])), "'x' is of type extension<arrow.bool8>"),
    ):
        path = written(tmp_path, x=column, y=[1])
        with pytest.raises(BadInput, match=says):
            read_file(path)
        assert read_file(path, fields=["y"]).content["y"].tolist() == [1]
    stored = of(span, [1, 2])
    assert read_again(written(tmp_path, x=stored), {"x": "<i8"})["x"].tolist() == [1, 2]  # taken before it was refused


def test_arrays_of_hugging_face_are_their_lists(tmp_path: Path) -> None:
    kind = Named(pa.list_(pa.list_(pa.float32())), "datasets.features.features.Array2DExtensionType")
    column = of(kind, [[[1, 2]], [[3, 4]]])
    assert read_file(written(tmp_path, x=column)).content["x"].shape == (2, 1, 2)
