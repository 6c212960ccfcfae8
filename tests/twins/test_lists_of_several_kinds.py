"""Done: columns of lists: of text, of different lengths, with numbers and text in one list, all empty.
Must: lists of one kind are taken, as arrays or as JSON, and it is said; two lists are two items; others are refused.
Follows: huggingface/datasets#6460
"""

import json
from pathlib import Path

import pytest

from disgorge.api.shards import add_shards
from lineage.errors import BadInput
from lineage.shards.add import shard_items
from lineage.workspace import Workspace


def test_lists_are_taken_or_refused(tmp_path: Path) -> None:
    workspace, path = Workspace.init(tmp_path / "work"), tmp_path / "a.jsonl"
    tags = [["a", "b"], ["a,b"], [], ["a", "b", ""], ['a","b']]
    path.write_text("".join(json.dumps({"tags": each, "at": [1, 2]}) + "\n" for each in tags))
    (added,) = add_shards(workspace, path, check=False)
    digests, content = shard_items(workspace, added.shard.digest)
    assert (len(set(digests)), content["at"].shape) == (5, (5, 2))
    assert sorted(map(json.loads, content["tags"].tolist())) == sorted(tags)
    assert "'tags' holds lists of text or of different lengths: each is one text, in JSON" in "\n".join(
        map(str, added.shown)
    )
    for lists, says in (
        ([[[0, 4, "Protein"]]], "several kinds in a list"),
        ([[], []], "no value"),
        ([["a"], "a"], "holds text"),
    ):
        path.write_text("".join(json.dumps({"tags": each}) + "\n" for each in lists))
        with pytest.raises(BadInput, match=says):
            add_shards(workspace, path, name="b", check=False)
