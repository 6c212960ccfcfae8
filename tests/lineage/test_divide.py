"""One file becomes several shards: all of them or none, by a column or by a keyed hash of who an item is about."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris

from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput
from lineage.ledger.ledger import Ledger
from lineage.records import Selector
from lineage.shards import record
from lineage.shards.add import Added, add_file, live_shards, shard_items, shard_rows
from lineage.shards.divide import Division
from lineage.workspace import Workspace
from tests.lineage.test_shards import files

HEAD = "id,who,region,stars\n"
PEOPLE = ["Ann Lee", "bob", " ann  LEE", "Zoë", "ZOE\u0308", "cyril", "dora", "evelyn", "fay", "gus"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "work")


def table(path: Path, people: list[str], *, start: int = 0, region: Callable[[int], str] = lambda row: "north") -> Path:
    """Write a table with one row for each of these people."""
    rows = (f"{start + row},{who},{region(row)},{start + row}.5\n" for row, who in enumerate(people))
    path.write_text(HEAD + "".join(rows), encoding="utf-8")
    return path


def add(workspace: Workspace, path: Path, by: str, into: int | None = None, **how: Any) -> dict[str, Added]:
    """Record a table divided, and return what was recorded by name."""
    terms = {"name": path.stem, "key": "id", "subject": "who", "check": False, **how}
    return {added.shard.name: added for added in add_file(workspace, path, division=Division(by, into), **terms)}


def who_lies_where(workspace: Workspace) -> dict[str, set[str]]:
    """Return the pseudonyms in each live shard."""
    return {
        shard.name: {item.subject or "" for item in shard_rows(workspace, shard.digest)}
        for shard in live_shards(workspace)
    }


def refused(workspace: Workspace, path: Path, by: str, into: int | None = None, **how: Any) -> str:
    """Return why a table is not taken in; nothing of it is."""
    before = files(workspace)
    with pytest.raises(BadInput) as caught:
        add(workspace, path, by, into, **how)
    assert files(workspace) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_real_table_by_its_labels(workspace: Workspace, tmp_path: Path) -> None:
    iris = load_iris(as_frame=True)
    frame = iris.frame.assign(species=[str(iris.target_names[label]) for label in iris.target])
    frame.drop_duplicates().to_csv(tmp_path / "iris.csv", index=False)
    whole = add_file(workspace, tmp_path / "iris.csv", name="all", check=False)[0]
    parts = add_file(workspace, tmp_path / "iris.csv", name="iris", division=Division("species"))
    assert [part.shard.name for part in parts] == ["iris-setosa", "iris-versicolor", "iris-virginica"]
    digests = [digest for part in parts for digest in shard_items(workspace, part.shard.digest)[0]]
    assert sorted(digests) == list(shard_items(workspace, whole.shard.digest)[0]), "an item is what it was"
    assert set(shard_items(workspace, parts[0].shard.digest)[1]["species"].tolist()) == {"setosa"}
    assert {part.validation for part in parts} & {None} == set(), "each passed its checks"


def test_a_person_in_any_spelling_lies_in_one_shard(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, table(tmp_path / "r.csv", PEOPLE * 3), "who", 4)
    places = [shard for shard, people in who_lies_where(workspace).items() for _ in people]
    assert len(places) == 8, "eight people, of whom none lies in two shards"
    assert set(places) <= {f"r-{number}of4" for number in range(1, 5)}


@pytest.mark.parametrize("by", ["who", "subject"])
def test_files_agree_on_where_a_person_lies(workspace: Workspace, tmp_path: Path, by: str) -> None:
    first = add(workspace, table(tmp_path / "one.csv", PEOPLE), by, 8)
    before = files(workspace)
    add(workspace, table(tmp_path / "two.csv", PEOPLE[::-1], start=100), by, 8)
    assert {line for line in before if "manifests" in line or "shards/" in line} <= files(workspace), "none moved"
    there = who_lies_where(workspace)
    assert all(there[name] == there[name.replace("one", "two")] for name in first)


def test_numbers_depend_on_a_key_of_the_workspace(tmp_path: Path) -> None:
    people = [f"person {number}" for number in range(40)]
    one, two = Workspace.init(tmp_path / "one").private, Workspace.init(tmp_path / "two").private
    assert [one.bucket(who, 8) for who in people] != [two.bucket(who, 8) for who in people]
    assert [one.bucket(who, 8) for who in people] == [one.bucket(f" {who.upper()}", 8) for who in people]


@pytest.mark.parametrize(("by", "count"), [("who", 8), ("id", 10)])
def test_a_shard_each_person_or_key_names_no_one(workspace: Workspace, tmp_path: Path, by: str, count: int) -> None:
    people = [f"{who} of the{row}" for row, who in enumerate(PEOPLE)] if by == "id" else PEOPLE
    assert len(add(workspace, table(tmp_path / "r.csv", people, start=555001), by)) == count
    ledger = (workspace.home / "ledger.jsonl").read_text(encoding="utf-8").casefold()
    assert not [who for who in (*people, "555001") if who.strip().casefold() in ledger]


def test_shards_by_source_are_hit_whole_and_a_mixed_one_is_cut(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path / "r.csv", PEOPLE, region=lambda row: "Nor th/East" if row % 2 else "south")
    (mixed,) = add_file(workspace, path, name="mixed", key="id", subject="who", source_column="region", check=False)
    assert mixed.sources == ("Nor th/East", "south")
    other = table(tmp_path / "s.csv", [f"{who}2" for who in PEOPLE], start=20, region=lambda row: "ab"[row % 2])
    parts = add(workspace, other, "source", source_column="region")
    assert sorted(parts) == ["s-a", "s-b"]
    assert not any(part.sources for part in parts.values())
    with Catalog.of(workspace) as catalog:
        whole, cut = (catalog.impact([Selector("source", name)]).shards for name in ("a", "south"))
    assert [(change.before.name, change.after) for change in whole] == [("s-a", None)]
    assert [(change.before.name, change.removed, change.after is None) for change in cut] == [("mixed", 5, False)]


def test_names_are_safe_in_patterns(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path / "r.csv", PEOPLE[:3], region=lambda row: ["a*?", "[x] / y", "né:1"][row])
    assert sorted(add(workspace, path, "region")) == ["r-a", "r-né-1", "r-x-y"]


@pytest.mark.parametrize(
    ("values", "by", "into", "says"),
    [
        (["a", "", "b"], "region", None, "line 3 has no 'region' to divide by (1 of 3 items)"),
        (["a", "", "b"], "region", 2, "line 3 has no 'region'"),
        (["a b", "a/b"], "region", None, "'a b' and 'a/b' of 'region' would both be shard 'r-a-b'"),
        (["!!"], "region", None, "makes no name"),
        (["x" * 130], "region", None, "makes no name"),
        (["ann@example.org"], "region", None, "reads as an e-mail address"),
        (["a"], "nowhere", None, "unknown column 'nowhere' for --by"),
        (["a"], "source", None, "has no 'source' to divide by"),
        ([str(n) for n in range(1001)], "region", None, "'region' has 1,001 values, and at most 1,000 shards"),
    ],
)
def test_what_divides_nothing_is_said(
    workspace: Workspace, tmp_path: Path, values: list[str], by: str, into: int | None, says: str
) -> None:
    path = table(tmp_path / "r.csv", ["ann"] * len(values), region=lambda row: values[row])
    assert says in refused(workspace, path, by, into)


@pytest.mark.parametrize("into", [-1, 0, 1, 1001])
def test_a_number_of_shards_is_a_number_of_shards(into: int) -> None:
    with pytest.raises(BadInput, match="give a number of shards"):
        Division("who", into)


def test_a_withdrawn_item_comes_back_in_no_part(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path / "r.csv", PEOPLE, region=lambda row: "ab"[row % 2])
    (whole,) = add_file(workspace, path, name="r", key="id", subject="who", check=False)
    workspace.mark_withdrawn([shard_items(workspace, whole.shard.digest)[0][0]])
    assert "withdrawn by request" in refused(workspace, path, "region", name="again")


def test_duplicates_across_the_parts_of_a_file_are_counted(workspace: Workspace, tmp_path: Path) -> None:
    text = "id,who,split,x\n1,ann,train,5\n2,bob,test,5\n3,cy,train,6\n"
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    parts = add(workspace, tmp_path / "r.csv", "split", fields=["x"])
    assert {name: (part.duplicates_across, part.shared_with) for name, part in parts.items()} == {
        "r-test": (1, ("r-train",)),
        "r-train": (1, ("r-test",)),
    }
    twins = text.replace("3,cy,train,6\n", "").replace(",5", ",7")
    (tmp_path / "t.csv").write_text(twins, encoding="utf-8")
    assert "the very same items" in refused(workspace, tmp_path / "t.csv", "split", fields=["x"])


def test_one_part_refused_is_all_refused(workspace: Workspace, tmp_path: Path) -> None:
    add_file(workspace, table(tmp_path / "other.csv", ["x"]), name="r-b", key="id", subject="who", check=False)
    path = table(tmp_path / "r.csv", PEOPLE, region=lambda row: "ab"[row % 2])
    assert "shard 'r-b' is recorded with other items" in refused(workspace, path, "region")


def test_interrupted_between_parts_it_leaves_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path / "r.csv", PEOPLE, region=lambda row: "abc"[row % 3])
    add(workspace, table(tmp_path / "first.csv", ["x"]), "region")  # what adding makes once is there
    before, stored = files(workspace), []

    def failing(*given: Any, **how: Any) -> Any:
        if len(stored) == 2:
            raise KeyboardInterrupt
        stored.append(given)
        return store(*given, **how)

    store = record.store_shard
    monkeypatch.setattr(record, "store_shard", failing)
    with pytest.raises(KeyboardInterrupt):
        add(workspace, path, "region")
    assert files(workspace) == before
    monkeypatch.setattr(record, "store_shard", store)
    monkeypatch.setattr(Ledger, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        add(workspace, path, "region")
    assert files(workspace) == before


KILLED = """
import os, sys
from pathlib import Path
from lineage.ledger.ledger import Ledger
from lineage.shards.add import add_file
from lineage.shards.divide import Division
from lineage.workspace import Workspace
Ledger.record = lambda *_: os._exit(9)
add_file(Workspace.open(Path(sys.argv[1])), sys.argv[2], name="r", division=Division("region"), check=False)
"""


def test_killed_before_the_facts_it_recorded_no_shard_and_can_be_repeated(workspace: Workspace, tmp_path: Path) -> None:
    path = table(tmp_path / "r.csv", PEOPLE, region=lambda row: "abc"[row % 3])
    command = [sys.executable, "-c", KILLED, str(workspace.root), str(path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert live_shards(workspace) == ()
    add_file(workspace, path, name="r", division=Division("region"), check=False)
    assert [shard.name for shard in live_shards(workspace)] == ["r-a", "r-b", "r-c"]
    again = add_file(workspace, path, name="r", division=Division("region"), check=False)
    assert not any(part.new for part in again)
