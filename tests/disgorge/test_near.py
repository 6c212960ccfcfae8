"""Near-duplicates stop a removal until a person judged them, whenever they appear; what is said of them is bound."""

import json
from pathlib import Path

import pytest

from disgorge.errors import CertificateRefused, DisgorgeError
from disgorge.plan.plan import Action
from disgorge.report.bundle import verify_bundle
from disgorge.request.case import case_of
from disgorge.request.near.find import look
from disgorge.request.near.review import included_items, judge_same
from disgorge.request.particulars import selectors_of
from disgorge.request.workflow.impact import impact_of
from disgorge.request.workflow.plan_request import plan_request
from lineage.catalog.catalog import Catalog
from lineage.errors import DigestMismatch
from lineage.records import Selector
from lineage.shards.add import shard_rows
from lineage.workspace import Workspace
from tests import lookalikes, toys
from tests.lookalikes import ORIGINAL, ROW, SHARD, add_copies, digest_at, judge, near, noisy

WHO = ("shard-3", 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a near-duplicate of an item that is asked for; every test works on a copy."""
    return lookalikes.trained(tmp_path_factory.mktemp("near")).root


def approved_with_the_copy_staying(workspace: Workspace) -> None:
    """Ask for the person's items, say that the near-duplicate is another item, plan and approve."""
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    judge(workspace, same=False)
    toys.approved(workspace)


def carry_with_copy_added(workspace: Workspace, folder: Path, before: Action) -> None:
    """Carry R-1 out, and add another copy of the item just before the first step of an action."""
    picture = lookalikes.toy().items[ORIGINAL[0]].arrays["picture"][ORIGINAL[1]]

    def add() -> None:
        add_copies(workspace, folder, "shard-9", [noisy(picture, seed=9)])

    toys.carry(workspace, on_step=toys.doing(add, before))


def test_nothing_is_planned_while_it_is_not_judged(workspace: Workspace) -> None:
    """The near-duplicate and nothing else is found."""
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    (item,) = near(workspace).unjudged
    copy, original = digest_at(workspace, SHARD, ROW), digest_at(workspace, *ORIGINAL)
    assert (item.shard, item.digest, item.near) == (SHARD, copy, (original,))
    assert 0 < item.bits <= 21
    assert (near(workspace).sought, near(workspace).unseen) == (3, ())
    head = workspace.ledger.head
    with pytest.raises(DisgorgeError, match=r"1 item of shard-2 look.* `disgorge request near R-1`"):
        plan_request(workspace, "R-1")
    assert workspace.ledger.head == head


def test_the_same_is_removed_too(workspace: Workspace) -> None:
    """It is decided and planned again, with the other shard's component among what is trained again."""
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    copy, old = digest_at(workspace, SHARD, ROW), toys.bytes_by_name(workspace, toys.RELEASE)
    judge(workspace, same=True)
    with pytest.raises(DisgorgeError, match="decide R-1` again"):
        plan_request(workspace, "R-1")
    assert impact_of(workspace, case_of(workspace, "R-1").request).items == 4
    toys.decide(workspace)
    toys.approved(workspace)
    done = toys.carry(workspace)
    assert done.verdict == verify_bundle(done.bundle).verdict == "certified"
    assert {name: toys.live_shards(workspace)[name].count for name in ("shard-2", "shard-3")} == {
        "shard-2": 11,
        "shard-3": 9,
    }
    assert workspace.private.is_withdrawn(copy)
    changed = {name for name, digest in toys.bytes_by_name(workspace, toys.RELEASE).items() if digest != old[name]}
    assert {f"{toys.RELEASE}/mean/shard-2", f"{toys.RELEASE}/mean/shard-3"} <= changed
    assert not list((workspace.home / "private" / "near").iterdir())


def test_other_items_stay_and_the_report_says_so(workspace: Workspace) -> None:
    approved_with_the_copy_staying(workspace)
    done = toys.carry(workspace)
    assert done.verdict == verify_bundle(done.bundle).verdict == "certified"
    assert toys.live_shards(workspace)[SHARD].count == 12
    assert "1 item that looks like a removed one stays" in (done.bundle / "report.html").read_text()
    (check,) = [c for c in json.loads((done.bundle / "evidence.json").read_text())["checks"] if c["name"] == "residue"]
    assert check["detail"]["near-duplicates"]["judged to be other items"] == 1
    assert [(control["value"], control["held"]) for control in check["controls"]][1] == (3, True)


def test_a_judgement_covers_what_was_looked_at_and_nothing_later(workspace: Workspace, tmp_path: Path) -> None:
    approved_with_the_copy_staying(workspace)
    with pytest.raises(DisgorgeError, match="1 item of shard-9 look"):
        carry_with_copy_added(workspace, tmp_path / "more", Action.WITHDRAW_ITEMS)
    assert not case_of(workspace, "R-1").withdrawn
    assert [item.shard for item in near(workspace).unjudged] == ["shard-9"]


def test_a_judgement_is_of_one_request(workspace: Workspace) -> None:
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    judge(workspace, same=False)
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)], request_id="R-2")
    assert not near(workspace).unjudged
    assert len(near(workspace, "R-2").unjudged) == 1


def test_a_copy_that_comes_after_the_items_went_has_a_way_out(workspace: Workspace, tmp_path: Path) -> None:
    """No certificate; nothing can be added any more, but another request for the copy, and then this one goes on."""
    approved_with_the_copy_staying(workspace)
    with pytest.raises(CertificateRefused, match=r"residue is fail.*`disgorge request near R-1` shows them"):
        carry_with_copy_added(workspace, tmp_path / "more", Action.PURGE)
    case = case_of(workspace, "R-1")
    (item,) = near(workspace).unjudged
    with pytest.raises(DisgorgeError, match="file a request for these"):
        judge_same(workspace, case, [item.digest], by="ann", because="the same")
    toys.filed_and_decided(workspace, [Selector("item", item.digest)], request_id="R-2")
    judge(workspace, same=False, request_id="R-2")
    toys.approved(workspace, "R-2")
    assert toys.carry(workspace, "R-2").verdict == "certified"
    assert toys.carry(workspace).verdict == "certified"


def test_a_copy_that_comes_after_the_purge_is_seen_before_the_report(workspace: Workspace, tmp_path: Path) -> None:
    approved_with_the_copy_staying(workspace)
    with pytest.raises(CertificateRefused, match="which was not reviewed"):
        carry_with_copy_added(workspace, tmp_path / "more", Action.REPORT)
    judge(workspace, same=False)
    assert toys.carry(workspace).verdict == "certified"


def test_what_the_manifest_says_is_not_believed_once_it_was_edited(workspace: Workspace) -> None:
    """A copy cannot be hidden by another likeness in the manifest's file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    path = workspace.manifest_path(toys.live_shards(workspace)[SHARD].digest)
    table = pq.read_table(path)
    empty = pa.array([None] * len(table), table["likeness"].type)
    path.chmod(0o644)
    pq.write_table(table.set_column(table.schema.get_field_index("likeness"), "likeness", empty), path)
    case = case_of(workspace, "R-1")
    with Catalog.of(workspace) as catalog:
        selected = catalog.selected(selectors_of(workspace, case.request))
    (shard,) = selected
    likenesses = {item.digest: item.likeness for item in shard_rows(workspace, shard) if item.likeness}
    with pytest.raises(DigestMismatch, match="changed"):
        look(workspace, case, likenesses)


def test_what_was_added_must_be_known(workspace: Workspace) -> None:
    """The ledger says that something was added; without the private file nothing less is removed in silence."""
    toys.filed_and_decided(workspace, [toys.person(workspace, *WHO)])
    judge(workspace, same=True)
    case = case_of(workspace, "R-1")
    assert included_items(workspace, case) == (digest_at(workspace, SHARD, ROW),)
    (file,) = (workspace.home / "private" / "near").iterdir()
    file.unlink()
    with pytest.raises(DisgorgeError, match="missing from the workspace's private folder"):
        toys.decide(workspace)


def test_without_likenesses_the_report_says_that_nobody_looked(tmp_path: Path) -> None:
    workspace = lookalikes.trained(tmp_path, likeness=None)
    toys.granted_plan(workspace, [toys.person(workspace, *WHO)])
    done = toys.carry(workspace)
    assert done.verdict == "certified"
    said = (done.bundle / "report.html").read_text()
    assert "were not looked for with 3 of 3 of them: no likeness was recorded" in said
