"""Shards are recorded whole or not at all, read back verified, and cut to exactly what is left."""

import hashlib
import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput, DigestMismatch, ExpectationsFailed, LedgerBroken, LineageError, UnknownRecord
from lineage.formats.read import Intake, from_arrays
from lineage.ledger.ledger import Ledger
from lineage.records import Selector, Shard, ShardChange, plain, shard_digest
from lineage.shards.add import (
    Added,
    add_items,
    add_shard,
    live_shards,
    shard_items,
    shard_rows,
)
from lineage.shards.cut import cut_shard
from lineage.shards.validation.rules import Rules
from lineage.storage.content import item_digests, write_content
from lineage.storage.manifest import write_manifest
from lineage.workspace import Workspace
from tests.tier import amount
from tests.toys import no_file_larger_than


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Make an empty workspace."""
    return Workspace.init(tmp_path / "work")


def intake(values: list[int], **more: Any) -> Intake:
    """Return one item a value; equal values are equal items."""
    images = np.array(values, np.float32)[:, None, None] + np.arange(4, dtype=np.float32).reshape(2, 2)
    return from_arrays({"image": images, "label": np.array(values) % 3}, **more)


def digests_of(values: list[int]) -> tuple[str, ...]:
    return item_digests(intake(values).content)


def add(workspace: Workspace, values: list[int], name: str = "a", **more: Any) -> Added:
    given_of_items = {role: more.pop(role) for role in ("keys", "subjects", "sources", "licenses") if role in more}
    return add_items(workspace, intake(values, **given_of_items), name=name, **{"check": False, **more})


def files(workspace: Workspace) -> set[str]:
    """Return every file of the workspace that holds data or facts, as text that changes when a file does."""
    found = set()
    for path in workspace.root.rglob("*"):
        if path.is_file() and path.suffix != ".lock" and "catalog" not in path.name:
            found.add(f"{path.relative_to(workspace.root)} {hash(path.read_bytes())}")
    return found


def change_of(shard: Shard, gone: set[str], digests: tuple[str, ...]) -> ShardChange:
    left = [digest for digest in digests if digest not in gone]
    after = replace(shard, digest=shard_digest(left), count=len(left), derived_from=shard.digest) if left else None
    return ShardChange(shard, after, len(digests) - len(left))


# Adding


def test_a_shard_is_content_manifest_and_one_fact(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,who,from,terms,x\n7,ann,,MIT,1.5\n8,bob,lab,,2.5\n9,,,,3.5\n", encoding="utf-8")
    told = add_shard(
        workspace,
        path,
        name="a",
        key="id",
        subject="who",
        source_column="from",
        license_column="terms",
        source="web",
        license="CC0",
        legal_basis="consent",
        rules=Rules(ranges={"x": (0, 4)}),
    )
    assert told.shard == Shard(
        digest=shard_digest(item_digests({"x": [1.5, 2.5, 3.5]})),
        name="a",
        source="web",
        license="CC0",
        legal_basis="consent",
        count=3,
        fields=("x",),
        manifest=hashlib.sha256(workspace.manifest_path(told.shard.digest).read_bytes()).hexdigest(),
    )
    rows = {item.key: item for item in shard_rows(workspace, told.shard.digest)}
    assert [(rows[key].source, rows[key].license) for key in "789"] == [("web", "MIT"), ("lab", "CC0"), ("web", "CC0")]
    assert [rows[key].subject for key in "789"] == [workspace.pseudonym("ann"), workspace.pseudonym("bob"), None]
    digests, arrays = shard_items(workspace, told.shard.digest)
    assert digests == tuple(sorted(digests))
    assert sorted(arrays["x"].tolist()) == [1.5, 2.5, 3.5]
    (fact,) = workspace.ledger.facts("shard")
    assert fact.body == {
        "shard": plain(told.shard),
        "duplicates": {"within": 0, "across": 0},
        "validation": told.validation,
    }
    assert json.loads(workspace.objects.get(str(told.validation)))["rules"]["ranges"] == {"x": [0, 4]}
    for name in (b"ann", b"bob"):
        assert not any(name in file.read_bytes() for file in workspace.root.rglob("*") if file.is_file())
    with Catalog.of(workspace) as catalog:
        assert catalog.shards() == live_shards(workspace) == (told.shard,)


def test_adding_again_changes_nothing(workspace: Workspace) -> None:
    first = add(workspace, [1, 2], check=True, license="MIT")
    before = files(workspace)
    again = add(workspace, [2, 1], keys=["1", "0"], check=True, license="MIT")
    assert (again.shard, again.new) == (first.shard, False)
    assert files(workspace) == before


def test_adding_again_mends_files_that_are_missing_or_damaged(workspace: Workspace) -> None:
    told = add(workspace, [1, 2])
    content, manifest = workspace.content_path(told.shard.digest), workspace.manifest_path(told.shard.digest)
    whole = content.read_bytes(), manifest.read_bytes()
    for damage in (Path.unlink, lambda path: path.write_bytes(b"rubbish")):
        damage(content)
        damage(manifest)
        assert not add(workspace, [1, 2]).new
        assert (content.read_bytes(), manifest.read_bytes()) == whole
    assert len(list(workspace.ledger.facts("shard"))) == 1


def test_what_is_mended_is_what_was_recorded(workspace: Workspace) -> None:
    """With the manifest gone nobody can compare rows, only the digest of the file there was."""
    told = add(workspace, [1, 2], subjects=["ann", None])
    manifest = workspace.manifest_path(told.shard.digest)
    whole = manifest.read_bytes()
    manifest.unlink()
    with pytest.raises(BadInput, match="these rows are not what it said"):
        add(workspace, [1, 2], subjects=["bob", None])
    assert list(manifest.parent.iterdir()) == []
    assert not add(workspace, [1, 2], subjects=["ann", None]).new
    assert manifest.read_bytes() == whole


def test_one_set_of_items_may_have_two_names_if_the_manifests_agree(workspace: Workspace) -> None:
    add(workspace, [1, 2])
    assert add(workspace, [1, 2], name="b").shared_with == ("a",)
    assert [shard.name for shard in live_shards(workspace)] == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "more", "says"),
    [
        ([3], {}, "'a' is recorded with other items; record these under a new name"),
        ([1, 2], {"license": "MIT"}, "with other keys, subjects, sources or licenses"),
        ([1, 2], {"keys": ["x", "y"]}, "with other keys, subjects"),
        ([1, 2], {"name": "b", "subjects": ["ann", None]}, "recorded as shard 'a' with other keys"),
        ([1, 2], {"core": True, "legal_basis": "owned"}, "is recorded as removable without a legal basis"),
        ([1], {"name": "b", "core": True}, "a core needs a legal basis"),
        ([1], {"name": ""}, "printable"),
        ([1], {"name": "a\nb"}, "printable"),
        ([1], {"name": "ab" * 32}, "reads as a digest"),
    ],
)
def test_what_would_blur_the_record_is_refused(workspace: Workspace, values: list[int], more: Any, says: str) -> None:
    add(workspace, [1, 2])
    before = files(workspace)
    with pytest.raises(BadInput, match=says):
        add(workspace, values, **more)
    assert files(workspace) == before


def test_items_that_break_the_suite_leave_no_trace(workspace: Workspace) -> None:
    before = files(workspace)
    with pytest.raises(ExpectationsFailed, match="key '2'"):
        add(workspace, [1, 2, 50], check=True, rules=Rules(ranges={"image": (0, 20)}))
    with pytest.raises(ExpectationsFailed, match="key 'x', 'x'"):
        add(workspace, [1, 2], keys=["x", "x"], check=True)
    assert files(workspace) == before
    assert not (workspace.root / "shards").exists()


def test_a_missing_license_warns(workspace: Workspace) -> None:
    assert add(workspace, [1, 2], check=True).warnings == ("2 of 2 items have no license",)
    assert add(workspace, [3, 4], name="b", check=True, license="MIT").warnings == ()


def test_withdrawn_items_do_not_come_back(workspace: Workspace) -> None:
    workspace.mark_withdrawn(digests_of([2, 3]))
    before = files(workspace)
    with pytest.raises(BadInput, match="2 items were withdrawn by request; remove them: row 1, row 2"):
        add(workspace, [1, 2, 3])
    with pytest.raises(BadInput, match="1 item was withdrawn"):
        add(workspace, [3], name="b")
    assert files(workspace) == before


def test_a_full_disk_leaves_no_file(workspace: Workspace) -> None:
    before = files(workspace)
    with pytest.raises(LineageError, match="cannot be written"), no_file_larger_than(1000):  # less than the content
        add(workspace, list(range(100)))
    assert files(workspace) == before
    assert add(workspace, list(range(100))).new


def test_a_folder_in_the_way_or_a_broken_ledger_leaves_no_file(workspace: Workspace) -> None:
    (workspace.root / "shards").write_text("in the way")
    with pytest.raises(LineageError, match="cannot be written"):
        add(workspace, [1])
    (workspace.root / "shards").unlink()
    assert not list((workspace.home / "manifests").glob("*"))
    add(workspace, [1])
    facts = workspace.home / "ledger.jsonl"
    facts.write_bytes(facts.read_bytes().replace(b'"count":1', b'"count":2'))
    before = files(workspace)
    with pytest.raises(LedgerBroken):
        add(workspace, [2], name="b")
    assert files(workspace) == before


class Full(Ledger):
    """A ledger for which the disk has no room."""

    def append_all(self, facts: Any) -> Any:
        """Fail as a full disk does."""
        raise LineageError("no room")


def without_room(workspace: Workspace) -> Workspace:
    """The same workspace, where no fact can be appended."""
    again = Workspace(workspace.root)
    again.ledger = Full(workspace.home, clock=workspace.now)
    return again


def test_a_fact_that_cannot_be_appended_takes_its_files_with_it(workspace: Workspace) -> None:
    before = files(workspace)
    with pytest.raises(LineageError, match="no room"):
        add(without_room(workspace), [1])
    assert files(workspace) == before


def test_two_writers_do_not_take_one_name(workspace: Workspace) -> None:
    told: list[str] = []

    def writer(value: int) -> None:
        try:
            add(Workspace.open(workspace.root), [value])
            told.append("added")
        except BadInput as problem:
            told.append(str(problem))

    threads = [threading.Thread(target=writer, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("added") == 1
    assert len(live_shards(workspace)) == 1
    assert workspace.ledger.verify() == 2


# Reading


def test_content_changed_on_disk_is_never_training_data(workspace: Workspace) -> None:
    told = add(workspace, [1, 2, 3])
    path = workspace.content_path(told.shard.digest)
    digests, arrays = shard_items(workspace, told.shard.digest)
    arrays["image"][1] += 1
    write_content(path, digests, arrays)
    with pytest.raises(DigestMismatch, match="1 of 3 items were changed on disk, first row 1"):
        shard_items(workspace, told.shard.digest)
    assert shard_items(workspace, told.shard.digest, verify=False)[0] == digests
    write_content(path, digests[:2], {name: array[:2] for name, array in arrays.items()})
    with pytest.raises(DigestMismatch, match="other items than its shard"):
        shard_items(workspace, told.shard.digest, verify=False)
    path.unlink()
    with pytest.raises(UnknownRecord, match="missing"):
        shard_items(workspace, told.shard.digest)
    rows = shard_rows(workspace, told.shard.digest)
    write_manifest(workspace.manifest_path(told.shard.digest), rows[1:])
    with pytest.raises(DigestMismatch, match="lists other items"):
        shard_rows(workspace, told.shard.digest)


# Cutting


@settings(max_examples=amount(40, 100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=8), gone=st.sets(st.integers(0, 9)), data=st.data())
def test_cutting_agrees_with_adding_what_is_left(
    values: list[int], gone: set[int], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Compare with the slow way: a fresh workspace to which only the other items were ever added."""
    workspace, other = (Workspace.init(tmp_path_factory.mktemp("cut")) for _ in range(2))
    keys = [f"k{row}" for row in range(len(values))]
    shard = add(workspace, values, keys=keys, license="MIT").shard
    unwanted = {digest for value, digest in zip(values, digests_of(values), strict=True) if value in gone}
    change = change_of(shard, unwanted, digests_of(values))
    before = files(workspace)
    after = cut_shard(workspace, change, sorted(unwanted))
    assert (after and replace(after, manifest=None)) == (change.after and replace(change.after, manifest=None))
    left = [row for row, value in enumerate(values) if value not in gone]
    left = data.draw(st.permutations(left))
    if after is None:
        assert left == []
        assert files(workspace) == before
        return
    slow = add(other, [values[row] for row in left], keys=[keys[row] for row in left], license="MIT").shard
    assert slow.digest == after.digest
    for place in ("content_path", "manifest_path"):
        fast_path, slow_path = (getattr(of, place)(after.digest) for of in (workspace, other))
        assert fast_path.read_bytes() == slow_path.read_bytes()
    done = files(workspace)
    assert before <= done
    assert cut_shard(workspace, change, sorted(unwanted)) == after
    assert files(workspace) == done
    assert len(list(workspace.ledger.facts("shard"))) == 1


def test_two_cuts_commute(workspace: Workspace) -> None:
    values = [1, 2, 3, 3, 4]
    shard = add(workspace, values).shard
    ends = set()
    for first, second in ((1, 3), (3, 1)):
        now = shard
        for value in (first, second):
            gone = set(digests_of([value]))
            after = cut_shard(workspace, change_of(now, gone, shard_items(workspace, now.digest)[0]), gone)
            assert after is not None
            now = after
        ends.add(now.digest)
    assert ends == {shard_digest(digests_of([2, 4]))}


def test_the_catalog_and_the_cut_agree(workspace: Workspace) -> None:
    add(workspace, [1, 2, 3, 2], subjects=["ann", "bob", None, None])
    selector = Selector("subject", workspace.pseudonym("bob"))
    with Catalog.of(workspace) as catalog:
        (change,) = catalog.impact([selector]).shards
        selected = catalog.selected([selector])
    after = cut_shard(workspace, change, selected[change.before.digest])
    assert after is not None
    assert (after.count, change.removed, after.derived_from) == (2, 2, change.before.digest)
    assert shard_items(workspace, after.digest)[0] == tuple(sorted(digests_of([1, 3])))


def test_a_cut_that_is_not_the_planned_one_is_refused(workspace: Workspace) -> None:
    shard = add(workspace, [1, 2, 3]).shard
    gone = set(digests_of([1]))
    change = change_of(shard, gone, digests_of([1, 2, 3]))
    before = files(workspace)
    for wrong in (digests_of([2]), (), digests_of([1, 2, 3])):
        with pytest.raises(DigestMismatch, match="plan the removal again"):
            cut_shard(workspace, change, wrong)
    assert files(workspace) == before


def test_a_cut_never_replaces_the_manifest_of_another_shard(workspace: Workspace) -> None:
    shard = add(workspace, [1, 2], subjects=["ann", "bob"]).shard
    other = add(workspace, [2], name="b", subjects=["eve"]).shard
    gone = set(digests_of([1]))
    before = files(workspace)
    with pytest.raises(LineageError, match="the very items of shard 'b'"):
        cut_shard(workspace, change_of(shard, gone, digests_of([1, 2])), gone)
    assert files(workspace) == before
    assert shard_rows(workspace, other.digest)[0].subject == workspace.pseudonym("eve")


# DVC


@pytest.fixture
def tracked(dvc_template: Path, tmp_path: Path) -> Workspace:
    """Make an empty workspace that is a DVC repository."""
    return Workspace.init(Path(shutil.copytree(dvc_template, tmp_path / "repo")))


def test_a_shard_remembers_its_dvc_hash(tracked: Workspace) -> None:
    shard = add(tracked, [1, 2, 3]).shard
    assert shard.dvc is not None
    assert live_shards(tracked) == (shard,)
    assert add(tracked, [1, 2, 3]).shard == shard
    assert add(tracked, [4], name="b", dvc=False).shard.dvc is None
    gone = set(digests_of([1]))
    after = cut_shard(tracked, change_of(shard, gone, digests_of([1, 2, 3])), gone)
    assert after is not None
    assert after.dvc not in (None, shard.dvc)
    assert (tracked.root / ".dvc" / "cache" / "files" / "md5" / shard.dvc[:2] / shard.dvc[2:]).is_file()


def test_a_failure_after_tracking_is_undone_in_dvc_too(tracked: Workspace) -> None:
    with pytest.raises(LineageError, match="no room"):
        add(without_room(tracked), [1])
    assert not [path for path in (tracked.root / ".dvc" / "cache").rglob("*") if path.is_file()]
    assert not list((tracked.root / "shards").glob("*.parquet*"))


def test_dvc_asked_for_where_there_is_none(workspace: Workspace) -> None:
    before = files(workspace)
    with pytest.raises(LineageError, match="lies in no DVC repository"):
        add(workspace, [1], dvc=True)
    assert files(workspace) == before


def test_a_thousand_items_take_well_under_a_second(workspace: Workspace, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((1000, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "a.npz", image=images, label=np.arange(1000) % 10, subject=[f"p{i % 9}" for i in range(1000)])
    add(workspace, [1], name="warm", check=True)
    spent = []
    for name in "ab":  # the better of two, since the machine may be busy with something else
        start = time.perf_counter()
        add_shard(workspace, tmp_path / "a.npz", name=name, license="MIT")
        spent.append(time.perf_counter() - start)
    assert min(spent) < 1.0


def test_a_likeness_changes_no_identity_and_survives_a_cut(workspace: Workspace, tmp_path: Path) -> None:
    plain_one = add(Workspace.init(tmp_path / "plain"), [1, 2, 3]).shard
    shard = add(workspace, [1, 2, 3], likeness="image:image").shard
    assert shard.digest == plain_one.digest
    assert shard.manifest != plain_one.manifest
    before = {row.digest: row.likeness for row in shard_rows(workspace, shard.digest)}
    assert all(likeness is not None for likeness in before.values())
    gone = set(digests_of([2]))
    after = cut_shard(workspace, change_of(shard, gone, digests_of([1, 2, 3])), gone)
    assert after is not None
    left = {row.digest: row.likeness for row in shard_rows(workspace, after.digest)}
    assert left == {digest: likeness for digest, likeness in before.items() if digest not in gone}
    with Catalog.of(workspace) as catalog:
        assert catalog.shard("a").count == 3


def test_a_likeness_is_given_once(workspace: Workspace) -> None:
    """It is kept when the shard is added again without, and not put into a manifest that is recorded without."""
    add(workspace, [1, 2], likeness="image:image")
    before = files(workspace)
    assert not add(workspace, [1, 2]).new
    add(workspace, [3, 4], name="b")
    with pytest.raises(BadInput, match="with another likeness or none"):
        add(workspace, [3, 4], name="b", likeness="image:image")
    with pytest.raises(BadInput, match="with another likeness or none"):
        add(workspace, [1, 2], name="c")
    assert {line.split()[0] for line in before - files(workspace)} <= {".disgorge/ledger.jsonl", ".disgorge/head.json"}


@pytest.mark.parametrize(
    ("likeness", "says"),
    [
        ("image", "use image:FIELD"),
        ("sound:image", "use image:FIELD"),
        ("image:pixels", "has no field 'pixels'"),
        ("text:image", "holds no text"),
        ("image:label", "no image"),
    ],
)
def test_a_likeness_that_cannot_be_had_is_refused(workspace: Workspace, likeness: str, says: str) -> None:
    before = files(workspace)
    with pytest.raises(BadInput, match=says):
        add(workspace, [1, 2], likeness=likeness)
    assert files(workspace) == before
