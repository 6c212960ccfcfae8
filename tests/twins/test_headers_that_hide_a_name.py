"""Done: tables whose header is `key;subject;x`, `key, subject, x`, `Key,Subject`, or that begin with `sep=;`.
Must: the person is the subject, or the file is refused: a name is never content, nothing is recorded in silence.
Follows: PolicyEngine/policyengine-taxsim#418
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disgorge.api.shards import ShardAdded, add_shards
from lineage.errors import BadInput
from lineage.shards.add import shard_items, shard_rows
from lineage.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "work")


def add(workspace: Workspace, text: str, **how: object) -> ShardAdded:
    """Record a CSV file of this text."""
    path = workspace.root.parent / "t.csv"
    path.write_text(text, encoding="utf-8")
    return add_shards(workspace, path, check=False, **how)[0]  # type: ignore[arg-type]


def refusal(workspace: Workspace, text: str, **how: object) -> str:
    """Return why a CSV file of this text is refused, in one line."""
    with pytest.raises(BadInput) as refused:
        add(workspace, text, **how)
    assert "\n" not in str(refused.value)
    assert not list(workspace.ledger.facts("shard"))
    return str(refused.value)


def holds(workspace: Workspace, added: ShardAdded) -> tuple[list[str], set[str | None], dict[str, list[object]]]:
    """Return keys, subjects and content of a shard."""
    rows, content = (of(workspace, added.shard.digest) for of in (shard_rows, shard_items))
    fields = {name: sorted(array.tolist()) for name, array in content[1].items()}  # type: ignore[union-attr]
    return sorted(row.key for row in rows), {row.subject for row in rows}, fields  # type: ignore[union-attr]


PEOPLE = ("Ann Lee", "Bob Ray")


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("key, subject, x\na, Ann Lee, 1\nb, Bob Ray, 2\n", {}),
        ('"key", "subject", "x"\n"a", "Ann Lee", "1"\n"b", "Bob Ray", "2"\n', {}),
        (" Key ,Subject,x\na,Ann Lee,1\nb,Bob Ray,2\n", {}),
        (" Key ,Subject,x\na,Ann Lee,1\nb,Bob Ray,2\n", {"key": "key", "subject": "subject"}),
        ("sep=;\nkey;subject;x\na;Ann Lee;1\nb;Bob Ray;2\n", {}),
        ('"SEP=;"\r\nkey;subject;x\r\na;Ann Lee;1\r\nb;Bob Ray;2\r\n', {}),
        ("key;subject;x\na;Ann Lee;1\nb;Bob Ray;2\n", {"delimiter": ";"}),
        ("key\tsubject\tx\na\tAnn Lee\t1\nb\tBob Ray\t2\n", {"delimiter": "tab"}),
        ("\ufeffKEY,SUBJECT,x\na,Ann Lee,1\nb,Bob Ray,2\n", {}),
    ],
)
@pytest.mark.parametrize("in_place", [False, True])
def test_a_person_is_a_subject_however_the_header_is_written(
    workspace: Workspace, text: str, how: dict[str, object], in_place: bool
) -> None:
    added = add(workspace, text, in_place=in_place, **how)
    keys, subjects, content = holds(workspace, added)
    assert (keys, content) == (["a", "b"], {"x": [1, 2]})
    assert subjects == {workspace.pseudonym(who) for who in PEOPLE}


def test_what_was_taken_for_what_is_said(workspace: Workspace) -> None:
    said = "\n".join(map(str, add(workspace, "Key,Subject,x\na,Ann Lee,1\n").shown))
    assert "'Key' is read as the key" in said
    assert "'Subject' is read as the subject" in said


@pytest.mark.parametrize(
    ("text", "how", "says"),
    [
        ("key;subject;x\na;Ann Lee;1\n", {}, "its header is one column.*--delimiter ';'"),
        ("key;subject;x\na;Ann Lee;1,5\n", {}, "its header is one column"),
        ("key\tsubject\nann\tb\n", {}, "--delimiter tab"),
        ("key;subject;x,y\na;Ann Lee;1,2\n", {}, "'key;subject;x' is one column and reads as 3"),
        ("who;n,y\nAnn Lee;1,2\n", {"subject": "who"}, "unknown column 'who'"),
        ("subject,Subject,x\nAnn Lee,Ann Lee,1\n", {}, "'Subject' would be content"),
        ("SUBJECT,Subject,x\nAnn Lee,Ann Lee,1\n", {}, "may each be the subject"),
        ("who,Who,x\nAnn Lee,Ann Lee,1\n", {"subject": "who"}, "'Who' would be content"),
        ("key;x\na;1\n", {"delimiter": ";;"}, "invalid delimiter"),
    ],
)
def test_a_header_that_would_make_a_name_content_is_refused(
    workspace: Workspace, text: str, how: dict[str, object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        add(workspace, text, **how)
    assert not list(workspace.ledger.facts("shard"))


def test_parquet_and_npz_take_or_refuse_the_same(workspace: Workspace, tmp_path: Path) -> None:
    pq.write_table(pa.table({" Subject": ["Ann Lee"], "x": [1]}), tmp_path / "p.parquet")
    np.savez(tmp_path / "n.npz", Subject=np.array(["Ann Lee"]), x=np.array([2]))
    for name in ("p.parquet", "n.npz"):
        (added,) = add_shards(workspace, tmp_path / name, check=False)
        assert holds(workspace, added)[1:] == ({workspace.pseudonym("Ann Lee")}, {"x": [1 if name[0] == "p" else 2]})


def test_what_is_honest_goes_in(workspace: Workspace) -> None:
    assert add(workspace, "a;b|c\n1\n2\n", delimiter=",").shard.fields == ("a;b|c",), "a name that is said to be one"
    listed = add(workspace, "key,Subject line,x;y\na,Hello,1\n", name="b")
    assert listed.shard.fields == ("Subject line", "x;y")
    chosen = add(workspace, "key,Subject,x\nc,Hello,9\n", name="c", fields=["Subject", "x"])
    assert chosen.shard.fields == ("Subject", "x"), "what the caller lists as content is content"


def test_row_numbers_as_keys_are_said_with_what_would_serve(workspace: Workspace) -> None:
    said = "\n".join(map(str, add(workspace, "n,id,x\n1,a,1\n1,b,1\n").shown))
    assert "items are known by the number of their row, from 0; 'id' has another value in each" in said
    assert "(--key id)" in said
    said = "\n".join(map(str, add(workspace, "n,x\n1,1\n1,1\n", name="b").shown))
    assert "number of their row, from 0\n" in said
    assert "number of their row" not in "\n".join(map(str, add(workspace, "key,x\n1,7\n", name="c").shown))
