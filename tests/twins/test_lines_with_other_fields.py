"""Done: JSON Lines in which a line has a field more or less, of another kind, or an object within; one line cut short.
Must: refused in one line that says which line and field; with `--missing keep` a field that a line lacks is missing.
Follows: huggingface/datasets#6162
"""

from pathlib import Path

import pytest

from disgorge.api.shards import add_shards
from lineage.errors import BadInput
from lineage.shards.add import shard_items, shard_rows
from lineage.workspace import Workspace

GOOD = '{"key": "a", "subject": "Ann Lee", "text": "fine"}\n'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "work")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            '{"key": "b", "subject": "Bob", "text": "no", "symlink_target": "x"}',
            "line 2: field 'symlink_target' is new",
        ),
        ('{"key": "b", "text": "no"}', "line 2: field 'subject' is not there"),
        ('{"key": "b", "subject": "Bob", "text": 5}', "line 2: field 'text' holds numbers, and text in line 1"),
        ('{"key": "b", "subject": "Bob", "text": {"en": "no"}}', "line 2: field 'text' holds an object"),
        ('{"key": "b", "subject": "Bob", "te', "line 2: not JSON"),
    ],
)
def test_a_line_that_differs_is_named(workspace: Workspace, tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text(GOOD + line)
    with pytest.raises(BadInput, match=says) as refused:
        add_shards(workspace, path, check=False)
    assert "\n" not in str(refused.value)
    assert not list(workspace.ledger.facts("shard"))


def test_a_field_that_a_line_lacks_may_be_missing(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text(GOOD + '{"key": "b", "subject": "Bob", "stars": 4}\n')
    (added,) = add_shards(workspace, path, check=False, missing="keep")
    assert "'text' has no value in 1 of 2 items: it is the empty text there" in "\n".join(map(str, added.shown))
    assert sorted(shard_items(workspace, added.shard.digest)[1]["text"].tolist()) == ["", "fine"]
    assert {row.subject for row in shard_rows(workspace, added.shard.digest)} == {
        workspace.pseudonym(who) for who in ("Ann Lee", "Bob")
    }
