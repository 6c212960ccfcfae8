"""A removal from shards that lie in place: as with copies, and what only its owner can delete is said."""

import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from disgorge.audit.findings import Level
from disgorge.audit.rules import audit
from disgorge.locations.location import Spare, Target
from disgorge.locations.source_files import SourceFiles
from disgorge.removal.dry_run import preview
from disgorge.report.bundle import verify_bundle
from disgorge.report.compile import write_with_inputs
from disgorge.request.case import case_of, plan_of
from lineage.shards.add import add_shard, shard_items, shard_rows
from lineage.shards.files import check_items, references_of
from lineage.storage.content import read_content
from lineage.workspace import Workspace
from tests.toys import NOW, carry, granted_plan, live_shards, person, toy_of, train, write_rows


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A toy trained from tables that lie in place."""
    workspace, toy = Workspace.init(tmp_path / "workspace", clock=lambda: NOW), toy_of("averages", 3)
    (tmp_path / "sources").mkdir()
    for name, items in toy.items.items():
        path, core = tmp_path / "sources" / f"{name}.npz", name in toy.spec.core
        write_rows(path, name, items, range(len(items)))
        add_shard(
            workspace, path, name=name, key="key", subject="subject", source=f"source-of-{name}", license="MIT",
            legal_basis="public domain" if core else "consent", core=core, check=False, in_place=True,
        )  # fmt: skip
    train(workspace, toy)
    return workspace


def test_a_person_is_removed_and_the_table_is_left_to_its_owner(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "sources" / "shard-1.npz"
    before = source.read_bytes()
    granted_plan(workspace, [person(workspace, "shard-1", 1)])
    assert [words for words in preview(workspace, "R-1").left if f"{source}: 3 rows" in words], "the dry run names it"
    done = carry(workspace)
    page = re.sub(r"\s+", " ", (done.bundle / "report.html").read_text())
    assert verify_bundle(done.bundle, public_key=(workspace.home / "public.pem").read_bytes()).verdict == "certified"
    assert source.read_bytes() == before, "the file is the user's"
    assert re.search(
        "shard-1 lies in place in [^ ]+, which still holds 3 removed items; only you can delete them", page
    )
    left = live_shards(workspace)["shard-1"]
    assert references_of(workspace, left.digest) is not None, "what is retained lies in place, too"
    rows = {row.key for row in shard_rows(workspace, left.digest)}
    with np.load(source) as table:
        kept = [place for place, key in enumerate(table["key"]) if key in rows]
        thinner = {name: table[name][kept] for name in table.files}
    np.savez(source, **thinner)
    assert len(check_items(workspace, left.digest)) == len(rows) == left.count
    path, case = tmp_path / "input.parquet", case_of(workspace, "R-1")
    with zipfile.ZipFile(write_with_inputs(workspace, plan_of(workspace, case), case)) as bundle:
        (inside,) = (name for name in bundle.namelist() if name.endswith(f"inputs/{left.digest}.parquet"))
        path.write_bytes(bundle.read(inside))
    assert read_content(path)[0] == shard_items(workspace, left.digest)[0], "whoever verifies gets the items themselves"
    assert [found.words for found in audit(workspace) if found.level is Level.ERROR] == []
    source.write_bytes(before[:-1])
    assert [found.words for found in audit(workspace) if found.where == "shard-1"], "what changed is found"


def test_files_are_counted_for_a_report_and_named_for_a_person(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    folder = tmp_path / "voices"
    folder.mkdir()
    for name in ("ann.wav", "bob.wav", "cy.wav"):
        (folder / name).write_bytes(name.encode() * 3)
    shard = add_shard(workspace, folder, name="voices", check=False, whole=True, in_place=True).shard
    items = frozenset(row.digest for row in shard_rows(workspace, shard.digest) if row.key != "cy.wav")
    target = Target(shards=(shard.digest,), items=items)
    (said,) = SourceFiles(workspace).search(target, Spare()).unsupported
    assert "2 files there still hold what was removed" in said
    assert not [name for name in ("ann", "bob") if name in said], "a name of a file may be a person's"
    shutil.rmtree(folder)
    assert SourceFiles(workspace).search(target, Spare()).unsupported == ()
