"""Done: rows of a person are withdrawn, and come back as other programs write the same table.
Must: refused, whatever the types of the columns are now; a row with other values comes in.
Follows: none found
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lineage.errors import BadInput
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.toys import NOW, carry, granted_plan
from tests.twins.test_rows_equal_by_chance import ann

ROWS = "key,subject,age,height\na,Ann Lee,41,5\nb,Bob Ray,52,7\nc,Cy Fox,22,1\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace from which Ann's row was removed."""
    workspace = Workspace.init(tmp_path / "work", clock=lambda: NOW)
    (tmp_path / "a.csv").write_text(ROWS)
    add_shard(workspace, tmp_path / "a.csv", name="first", source="shop", license="MIT")
    granted_plan(workspace, ann(workspace))
    assert carry(workspace).verdict == "certified"
    return workspace


def table(age: object, height: object = 5) -> pd.DataFrame:
    """Ann's row, and another one."""
    return pd.DataFrame({"key": ["x", "y"], "age": [age, 60], "height": [height, 3]})


WRITTEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "as a float": (lambda path: table(41.0).astype({"age": float}).to_csv(path, index=False), "csv"),
    "beside a fraction": (lambda path: table(41.0).assign(age=[41.0, 0.5]).to_csv(path, index=False), "csv"),
    "as 32 bits": (lambda path: table(41).astype({"age": "int32"}).to_parquet(path, index=False), "parquet"),
    "as floats of 32 bits": (lambda path: table(41).astype({"age": "float32"}).to_parquet(path), "parquet"),
    "beside n/a": (lambda path: table(41).assign(age=["41", "n/a"]).to_csv(path, index=False), "csv"),
    "with zeros": (lambda path: table(41).assign(age=["41.00", "none"]).to_csv(path, index=False), "csv"),
    "with an index": (lambda path: table(41).to_csv(path), "csv"),
    "with an index that was named": (
        lambda path: table(41).reset_index(names="Unnamed: 0").to_csv(path, index=False), "csv",
    ),
    "with an index in Parquet": (
        lambda path: table(41).set_index(pd.Index([0, 1], dtype="int64")).to_parquet(path, index=True), "parquet",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", WRITTEN)
def test_it_is_refused(workspace: Workspace, tmp_path: Path, how: str) -> None:
    write, kind = WRITTEN[how]
    write(tmp_path / f"b.{kind}")
    with pytest.raises(BadInput, match=r"1 item was withdrawn by request; remove them: (line 2|row 0)"):
        add_shard(workspace, tmp_path / f"b.{kind}", name="b", license="MIT")


def test_other_values_come_in(workspace: Workspace, tmp_path: Path) -> None:
    table(41.5).to_csv(tmp_path / "b.csv", index=False)
    added = add_shard(workspace, tmp_path / "b.csv", name="b", license="MIT")
    assert added.shard.count == 2
    table(41, 6).to_csv(tmp_path / "c.csv")
    added = add_shard(workspace, tmp_path / "c.csv", name="c", license="MIT")
    assert added.shard.fields == ("age", "height"), "the index is no content"
    assert any("'Unnamed: 0' counts the rows" in note for note in added.notes)
