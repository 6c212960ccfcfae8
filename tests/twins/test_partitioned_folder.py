"""Done: a table that was written as a folder NAME=VALUE of Parquet files, whose person or label only the folders say.
Must: the folder is one shard whose items have that column; a removal of the person that a folder names finds its rows.
Follows: pola-rs/polars#12903
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from disgorge.api.shards import add_shards
from lineage.errors import BadInput
from lineage.shards.add import shard_items, shard_rows
from lineage.shards.source_files import files_to_delete, sources_of
from lineage.workspace import Workspace

ROWS = {"author": ["Ann Lee", "bob", "Ann Lee", "cy"], "year": [2024, 2024, 2025, 2025], "x": [1.5, 2.5, 3.5, 4.5]}


@pytest.mark.parametrize("in_place", [False, True])
def test_a_column_of_folders_is_a_column(tmp_path: Path, in_place: bool) -> None:
    workspace, folder = Workspace.init(tmp_path / "work"), tmp_path / "reviews"
    options = {"partitioning": ["author", "year"], "partitioning_flavor": "hive"}
    ds.write_dataset(pa.table(ROWS), folder, format="parquet", **options)
    (added,) = add_shards(workspace, folder, subject_name="author", check=False, in_place=in_place)
    digest = added.shard.digest
    content = shard_items(workspace, digest)[1]
    assert {name: sorted(array.tolist()) for name, array in content.items()} == {
        "x": ROWS["x"], "year": [2024, 2024, 2025, 2025],
    }  # fmt: skip
    hers = {row.digest for row in shard_rows(workspace, digest) if row.subject == workspace.pseudonym("ann  lee")}
    assert len(hers) == 2
    ((_, source),) = sources_of(workspace, [digest])
    assert len(files_to_delete(source, hers)) == (2 if in_place else 0)
    assert in_place or {name for name, _, _ in source.files} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")
    }


def test_a_file_with_other_columns_is_named(tmp_path: Path) -> None:
    workspace, folder = Workspace.init(tmp_path / "work"), tmp_path / "reviews"
    ds.write_dataset(pa.table(ROWS), folder, format="parquet", partitioning=["year"], partitioning_flavor="hive")
    ds.write_dataset(pa.table({"x": [1.5]}), folder, format="parquet", existing_data_behavior="overwrite_or_ignore")
    with pytest.raises(BadInput, match="is not in every file of the folder"):
        add_shards(workspace, folder, check=False)
    assert not list(workspace.ledger.facts("shard"))
