"""Done: of a folder of pictures in place one withdrawn file is damaged, or has another size now, the others lie there.
Must: the others are named as left; one file that cannot be read hides no other.
Follows: none found
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lineage.shards.add import add_shard, shard_rows
from lineage.shards.source_files import files_to_delete, sources_of
from lineage.workspace import Workspace

DAMAGES: dict[str, Callable[[Path], object]] = {
    "damaged": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "of another size": lambda path: Image.new("RGB", (3, 3)).save(path),
    "another picture": lambda path: Image.new("RGB", (8, 8)).save(path),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", [0, 2, 4])
def test_the_others_are_named(tmp_path: Path, damage: str, which: int) -> None:
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for number in range(5):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(folder / f"p{number}.png")
    workspace = Workspace.init(tmp_path / "workspace")
    shard = add_shard(workspace, folder, name="photos", in_place=True, check=False).shard
    items = {row.digest for row in shard_rows(workspace, shard.digest)}
    ((_, source),) = sources_of(workspace, [shard.digest])
    assert len(files_to_delete(source, items)) == 5
    DAMAGES[damage](folder / f"p{which}.png")
    assert files_to_delete(source, items) == tuple(f"p{number}.png" for number in range(5) if number != which)
