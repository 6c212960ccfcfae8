"""Done: a compressed table whose download stopped early, or that is called compressed and is not.
Must: refused in one line, whole: no item of what came before the end is recorded; the whole file is all its items.
Follows: pingcap/tidb#68065
"""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from disgorge.api.shards import add_shards
from lineage.errors import BadInput
from lineage.workspace import Workspace

TABLE = b"key,subject,x\n" + b"".join(b"%d,person %d,%d\n" % (row, row % 97, row * row) for row in range(5_000))
PACK = {"gz": gzip.compress, "zst": lambda data: pa.compress(data, "zstd", asbytes=True)}


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_what_ends_too_early_is_refused_whole(tmp_path: Path, kind: str, share: float) -> None:
    workspace, path = Workspace.init(tmp_path / "work"), tmp_path / f"people.csv.{kind}"
    whole = PACK[kind](TABLE)
    for bad, says in (
        (whole[: int(len(whole) * share)], "ends too early"),
        (TABLE, f"is damaged or not {'gzip' if kind == 'gz' else 'zstd'}"),
    ):
        path.write_bytes(bad)
        with pytest.raises(BadInput, match=says) as refused:
            add_shards(workspace, path, check=False)
        assert "\n" not in str(refused.value)
    assert not list(workspace.ledger.facts("shard"))
    path.write_bytes(whole)
    (added,) = add_shards(workspace, path, check=False)
    assert (added.shard.name, added.shard.count) == ("people", 5_000)
