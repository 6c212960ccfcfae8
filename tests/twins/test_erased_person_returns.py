"""Done: an erased person comes back with a new label, one field more, or a scaled picture.
Must: taken in with a note, found by the audit, and let in by a named person's word; a stranger is not noted.
Follows: none found
"""

from pathlib import Path

import numpy as np
import pytest

from disgorge.api.shards import add_shards
from disgorge.audit.rules import audit
from lineage.private_files import ERASED
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.toys import NOW, carry, granted_plan
from tests.twins.test_rows_equal_by_chance import ann

WHO, WHY = "Evelyn Good", "signed a new consent"


def add(workspace: Workspace, name: str, rows: str, **how: str) -> tuple[str, ...]:
    """Record a table of these rows; returns what is said of erased persons and things."""
    path = workspace.root.parent / f"{name}.csv"
    path.write_text("key,subject,age,label\n" + rows, encoding="utf-8")
    (added,) = add_shards(
        workspace, path, name=name, basis="consent", license="MIT", source="shop", dvc=False, **how,  # type: ignore[arg-type]
    )  # fmt: skip
    return tuple(note for note in added.added.notes if "erased" in note)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace from which Ann was erased."""
    workspace = Workspace.init(tmp_path / "work", clock=lambda: NOW)
    add(workspace, "first", "row-17,Ann Lee,41,1\nrow-18,Bob Ray,52,0\nrow-19,Cy Fox,22,0\n")
    granted_plan(workspace, ann(workspace))
    assert carry(workspace).verdict == "certified"
    return workspace


def found(workspace: Workspace) -> list[tuple[str, str]]:
    """What the audit says of things that came back."""
    return [(each.where, each.words) for each in audit(workspace) if each.id == "DSG004"]


@pytest.mark.parametrize("name", ["Ann Lee", "ANN  LEE"])
def test_the_person_is_noted_and_found_until_let_in(workspace: Workspace, name: str) -> None:
    assert found(workspace) == []
    rows = f"row-30,{name},42,1\nrow-31,Dee Orr,33,1\n"
    (note,) = add(workspace, "second", rows)
    assert note.startswith("1 item of a person who was erased by an earlier request: line 2;")
    assert found(workspace) == [("second", "holds 1 item of a person who was erased by an earlier request")]
    assert add(workspace, "second", rows, let_in=WHO, reason=WHY) == ()
    assert found(workspace) == []
    (fact,) = workspace.ledger.facts("items-let-in")
    assert (fact.body["items"], fact.body["because"]) == (1, WHY)
    (note,) = add(workspace, "third", f"row-40,{name},50,0\n")
    assert "erased" in note, "each row for itself"


def test_the_row_is_known_by_source_and_key(workspace: Workspace) -> None:
    (note,) = add(workspace, "second", "row-17,,42,1\n")
    assert note.startswith("1 item under a source and key that were erased by")
    assert add(workspace, "third", "row-20,Eve Poe,44,1\n") == ()


def test_one_of_whom_something_stays_was_not_erased(tmp_path: Path) -> None:
    """A contributor leaves with one of Ann's rows: she asked for nothing, and her other row stays."""
    workspace = Workspace.init(tmp_path / "work", clock=lambda: NOW)
    add(workspace, "first", "row-17,Ann Lee,41,1\nrow-18,Bob Ray,52,0\n")
    add(workspace, "other", "row-21,Ann Lee,43,1\nrow-22,Cy Fox,52,0\n")
    granted_plan(workspace, [Selector("shard", "first")])
    assert carry(workspace).verdict == "certified"
    assert found(workspace) == []
    assert add(workspace, "third", "row-23,Bob Ray,11,1\nrow-24,Ann Lee,12,0\n") == ()


def test_a_scaled_picture_is_noted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, 16, 16))
    workspace = Workspace.init(tmp_path / "work", clock=lambda: NOW)
    np.savez(tmp_path / "a.npz", image=images, subject=["Ann Lee", "Bob Ray", "Cy Fox"])
    add_shard(workspace, tmp_path / "a.npz", name="first", likeness="image:image", license="MIT")
    granted_plan(workspace, ann(workspace))
    assert carry(workspace).verdict == "certified"
    larger = np.stack([np.kron(images[0], np.ones((2, 2))), rng.random((32, 32))])
    np.savez(tmp_path / "b.npz", image=larger, subject=["Unknown", "Dee Orr"])
    added = add_shard(workspace, tmp_path / "b.npz", name="second", likeness="image:image", license="MIT")
    assert any(note.startswith("1 item that looks or reads like an erased one") for note in added.notes)


def test_what_is_kept_for_that_is_keyed_and_says_no_name(workspace: Workspace) -> None:
    text = ERASED.path(workspace).read_text()
    assert not any(word in text for word in ("Ann", "row-17", "shop"))
    kept = ERASED.read(workspace)
    assert kept is not None
    assert (len(kept.persons), len(kept.keys)) == (1, 1)
