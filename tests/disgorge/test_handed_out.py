"""What was handed out before a removal is named by it, wherever it was taken, and by no other."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from disgorge.errors import DisgorgeError
from disgorge.locations.exports import bundles_with, pages_with, write_page
from disgorge.removal.execute import Executed
from disgorge.report.bundle import verify_bundle
from disgorge.report.compile import write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.workspace_lock import turn
from lineage.errors import WorkspaceBusy
from lineage.records import Selector
from lineage.shards.add import shard_rows
from lineage.workspace import Workspace
from tests.toys import carry, granted_plan, live_shards, person, remove, residuals


def exported(workspace: Workspace, request: str) -> Path:
    """Write a request's bundle with inputs, and take it away."""
    case = case_of(workspace, request)
    bundle = write_with_inputs(workspace, plan_of(workspace, case), case)
    verify_bundle(bundle, public_key=workspace.home / "public.pem", level="ledger", workspace_folder=workspace.root)
    return bundle.rename(workspace.root.parent / f"taken-{request}.zip")


def named(done: Executed) -> list[str]:
    """Return the bundles that a report names."""
    return [words.split()[3] for words in residuals(done) if words.startswith("unsupported: exported bundle ")]


def test_every_later_removal_names_the_bundles_that_held_its_items(workspace: Workspace) -> None:
    remove(workspace, [person(workspace, "shard-3", 1)])
    exported(workspace, "R-1")
    second = remove(workspace, [person(workspace, "shard-3", 0)], request_id="R-2")
    today = f"{workspace.now():%Y-%m-%d}"
    words = f"exported bundle R-1-with-inputs.zip of request R-1 on {today} held them; ask its holder to delete it"
    assert f"unsupported: {words}" in residuals(second)
    exported(workspace, "R-2")
    third = remove(workspace, [person(workspace, "shard-3", 2)], request_id="R-3")
    assert named(third) == ["R-1-with-inputs.zip", "R-2-with-inputs.zip"], "the shard of R-2 was cut from that of R-1"


def test_what_a_later_removal_deleted_is_not_exported_any_more(workspace: Workspace) -> None:
    remove(workspace, [person(workspace, "shard-3", 1)])
    remove(workspace, [person(workspace, "shard-3", 0)], request_id="R-2")
    told = r"was deleted for request R-2 since; no bundle with inputs can be written any more"
    with pytest.raises(DisgorgeError, match=told):
        exported(workspace, "R-1")
    assert not [fact for fact in workspace.ledger.facts("bundle-exported")]
    assert not list((workspace.root / "reports").glob("*with-inputs*"))


def test_a_bundle_without_the_items_is_not_named(workspace: Workspace) -> None:
    remove(workspace, [Selector("shard", "shard-3")])
    with ZipFile(exported(workspace, "R-1")) as bundle:
        inputs = {Path(name).stem for name in bundle.namelist() if name.startswith("inputs/")}
    shard = live_shards(workspace)["shard-1"].digest
    assert bundles_with(workspace, [shard]) != []
    assert bundles_with(workspace, ["0" * 64]) == []
    (fact,) = workspace.ledger.facts("bundle-exported")
    assert set(fact.body) == {"request", "name", "shards"}
    assert set(fact.body["shards"]) == inputs


def test_none_is_exported_while_something_is_removed(workspace: Workspace) -> None:
    remove(workspace, [person(workspace, "shard-3", 1)])
    with turn(workspace, then=""), pytest.raises(WorkspaceBusy, match="--with-inputs"):
        exported(workspace, "R-1")
    assert not list(workspace.ledger.facts("bundle-exported"))


@pytest.mark.parametrize("there", [True, False])
def test_a_page_with_pictures_is_named_and_its_path_is_not(
    workspace: Workspace, tmp_path: Path, *, there: bool
) -> None:
    rows = shard_rows(workspace, live_shards(workspace)["shard-3"].digest)
    items = [row.digest for row in rows if row.subject == person(workspace, "shard-3", 1).value]
    page = tmp_path / "of-ada-lovelace.html"
    write_page(workspace, "R-0", page, "<html>", items)
    (note,) = (workspace.home / "private" / "pages").iterdir()
    assert json.loads(note.read_bytes())["path"] == str(page)
    if not there:
        page.unlink()
    granted_plan(workspace, [person(workspace, "shard-3", 1)])
    done = carry(workspace)
    told = [words for words in residuals(done) if "a page with pictures" in words]
    assert len(told) == 1
    assert "for request R-0" in told[0]
    assert (note.name in told[0]) == there
    everything = [path for path in workspace.root.rglob("*") if path.is_file() and path != note]
    assert not any(b"lovelace" in path.read_bytes() for path in everything)
    assert not any(item.encode() in note.read_bytes() for item in items)


def test_a_page_that_shows_other_items_is_not_named_and_a_damaged_note_is(workspace: Workspace, tmp_path: Path) -> None:
    write_page(workspace, "R-0", tmp_path / "page.html", "<html>", ["a" * 64])
    assert pages_with(workspace, ["b" * 64]) == []
    (note,) = (workspace.home / "private" / "pages").iterdir()
    note.write_bytes(note.read_bytes()[:30])
    assert "cannot be read" in pages_with(workspace, ["b" * 64])[0]
