"""Done: a table of numbers with decimal commas, read with `--decimal ','`, and one with points read so by mistake.
Must: 1,3 is the number 1.3, never 13; 1.3 there is text, never 13; each is the same item as in a table with points.
Follows: tidyverse/readr#1468
"""

from pathlib import Path

import pytest

from disgorge.api.shards import add_shards
from lineage.errors import BadInput
from lineage.shards.add import shard_items
from lineage.workspace import Workspace


def test_a_comma_is_read_as_it_is_meant(tmp_path: Path) -> None:
    workspace, other = (Workspace.init(tmp_path / name) for name in ("work", "other"))
    (tmp_path / "a.csv").write_text("x;y\n1,3;2,3\n0,5;4\n")
    (tmp_path / "b.csv").write_text("x,y\n1.3,2.3\n0.5,4\n")
    (commas,) = add_shards(workspace, tmp_path / "a.csv", delimiter=";", decimal=",", check=False)
    (points,) = add_shards(other, tmp_path / "b.csv", check=False)
    assert commas.shard.digest == points.shard.digest
    assert sorted(shard_items(workspace, commas.shard.digest)[1]["x"].tolist()) == [0.5, 1.3]
    (text,) = add_shards(workspace, tmp_path / "b.csv", decimal=",", check=False)
    assert sorted(shard_items(workspace, text.shard.digest)[1]["x"].tolist()) == ["0.5", "1.3"]
    with pytest.raises(BadInput, match="invalid decimal"):
        add_shards(workspace, tmp_path / "b.csv", decimal=";", check=False)
