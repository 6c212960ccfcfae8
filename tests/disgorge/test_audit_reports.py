"""Reports edited, deleted or swapped, keys swapped, a ledger rewritten: the audit finds each."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import DisgorgeError
from disgorge.report.bundle import verify_bundle, write_bundle
from disgorge.report.compile import evidence_of, report_case, write_again, write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import new_key, public_pem, read_key
from lineage.ledger.chain import Fact
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.disgorge.report_cases import case as case_of_another_workspace
from tests.toys import audited, remove, rewrite

BOTH = {"reports/R-1", "reports/R-1.zip"}


@pytest.fixture(scope="module")
def removed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose request R-1 is carried out and closed; nobody touches it."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("removed") / "workspace"))
    remove(Workspace.open(folder), [Selector("shard", "shard-2")])
    return folder


@pytest.fixture
def workspace(removed: Path, tmp_path: Path) -> Workspace:
    """A copy to attack."""
    return Workspace.open(Path(shutil.copytree(removed, tmp_path / "workspace")))


def report(workspace: Workspace) -> Path:
    """Return the folder of the report."""
    return workspace.root / "reports" / "R-1"


def swap_keys(workspace: Workspace) -> Any:
    """Put a new pair of keys in place of the workspace's, and return its private half."""
    key = new_key()
    (workspace.home / "private" / "signing.pem").write_bytes(key.private_bytes)
    (workspace.home / "public.pem").write_bytes(public_pem(key))
    return key


def sign_again(workspace: Workspace, key: Any, **changes: Any) -> None:
    """Put a report of the same evidence, whole and signed with ``key``, in the place of the one there is."""
    case = case_of(workspace, "R-1")
    made = report_case(workspace, plan_of(workspace, case), case, evidence_of(workspace, case.last_report.evidence))
    write_bundle(report(workspace), replace(made, **changes), key=key)
    assert verify_bundle(report(workspace), public_key=public_pem(key)).verdict == "certified"


def test_a_removal_that_nobody_touched_has_no_findings(workspace: Workspace) -> None:
    assert audited(Workspace.open(workspace.root)) == set()


def flip(name: str) -> Callable[[Workspace], None]:
    """Change a bit of a file of the report."""

    def deed(workspace: Workspace) -> None:
        data = bytearray((report(workspace) / name).read_bytes())
        data[len(data) // 2] ^= 1
        (report(workspace) / name).write_bytes(data)

    return deed


def edit_zip(workspace: Workspace) -> None:
    """Change the zip, beside a folder that is whole."""
    packed = report(workspace).with_name("R-1.zip")
    members = read_members(packed)
    packed.write_bytes(pack(members | {"report.html": members["report.html"] + b" "}))


def delete_both(workspace: Workspace) -> None:
    """Delete the folder, for which its zip stands in, and then that."""
    shutil.rmtree(report(workspace))
    assert audited(workspace) == set()
    report(workspace).with_name("R-1.zip").unlink()


def put_another_workspaces(workspace: Workspace) -> None:
    """Put a report there that is whole and validly signed, with another key."""
    write_bundle(report(workspace), case_of_another_workspace(), key=new_key())


def put_another_requests(workspace: Workspace) -> None:
    """Put another report there, signed with the same key, as one of a request that was refused would be."""
    key = read_key(workspace.home / "private" / "signing.pem")
    write_bundle(report(workspace), case_of_another_workspace(), key=key)


DEEDS: dict[str, tuple[Callable[[Workspace], object], set[str]]] = {
    **{name: (flip(name), {"reports/R-1"}) for name in ("report.html", "plan.json", "statement.json", "public.pem")},
    "renamed": (lambda w: (report(w) / "impact.json").rename(report(w) / "impact-2.json"), {"reports/R-1"}),
    "zip": (edit_zip, {"reports/R-1.zip"}),
    "deleted": (delete_both, {"reports/R-1"}),
    "another workspace's": (put_another_workspaces, BOTH),
    "another request's": (put_another_requests, BOTH),
}


@pytest.mark.parametrize("name", DEEDS)
def test_a_report_that_was_changed_or_swapped_is_found(workspace: Workspace, name: str) -> None:
    deed, where = DEEDS[name]
    deed(workspace)
    assert audited(Workspace.open(workspace.root)) == {("DSG013", "error", each) for each in where}


def test_a_public_key_that_was_swapped_is_found(workspace: Workspace) -> None:
    """Where the private folder is, and where it is not."""
    (workspace.home / "public.pem").write_bytes(public_pem(new_key()))
    assert ("DSG014", "error", "public.pem") in audited(Workspace.open(workspace.root))
    shutil.rmtree(workspace.home / "private")
    (workspace.home / "private").mkdir()
    assert ("DSG011", "error", "private/signing.pem") in audited(Workspace.open(workspace.root))
    (workspace.home / "private").rmdir()
    left = {each for each in audited(Workspace.open(workspace.root)) if each[0] in ("DSG013", "DSG014")}
    assert left == {("DSG014", "error", "public.pem")}


def test_a_report_signed_again_with_swapped_keys_is_found(workspace: Workspace) -> None:
    """Both halves are swapped and fit; only what was recorded knows the key from before."""
    sign_again(workspace, swap_keys(workspace))
    assert audited(Workspace.open(workspace.root)) == {
        ("DSG014", "error", "public.pem"), *(("DSG013", "error", name) for name in BOTH),
    }  # fmt: skip


def test_a_report_signed_again_with_the_same_key_is_not_the_recorded_one(workspace: Workspace) -> None:
    sign_again(workspace, read_key(workspace.home / "private" / "signing.pem"), lineage_svg="<svg/>")
    assert audited(Workspace.open(workspace.root)) == {("DSG013", "error", name) for name in BOTH}


def change_license(fact: Fact) -> dict[str, Any] | None:
    """Say of a shard that it had another license."""
    return json.loads(json.dumps(fact.body).replace('"MIT"', '"CC0"')) if fact.kind == "shard" else fact.body


def leave_the_request_out(fact: Fact) -> dict[str, Any] | None:
    """Deny that the request was ever made."""
    about_it = fact.kind in {"request", "decision", "plan", "approval", "step", "examination", "report"}
    return None if about_it or fact.kind == "request-closed" else fact.body


def reopen(fact: Fact) -> dict[str, Any] | None:
    """Deny that the request is closed, and change what was approved."""
    if fact.kind == "approval":
        return fact.body | {"by": "0" * 64}
    return None if fact.kind in {"report", "request-closed"} else fact.body


@pytest.mark.parametrize(
    ("change", "where"), [(change_license, BOTH), (leave_the_request_out, BOTH), (reopen, {"reports/R-1"})]
)
def test_a_ledger_that_was_rewritten_and_chained_again_is_found(
    workspace: Workspace, change: Callable[[Fact], dict[str, Any] | None], where: set[str]
) -> None:
    rewrite(workspace, change)
    told = {each for each in audited(Workspace.open(workspace.root)) if each[0] == "DSG015"}
    assert told == {("DSG015", "error", name) for name in where}


def test_the_report_of_an_open_request_is_checked_too(workspace: Workspace) -> None:
    """One that was refused, or written by a step that was killed before it was recorded."""
    rewrite(workspace, lambda fact: None if fact.kind == "request-closed" else fact.body)
    assert not {each for each in audited(Workspace.open(workspace.root)) if each[0] in ("DSG013", "DSG015")}
    (report(workspace) / "report.html").write_text("all is well")
    assert ("DSG013", "error", "reports/R-1") in audited(Workspace.open(workspace.root))


def test_what_is_no_report_is_left_alone_and_a_strangers_is_named(workspace: Workspace) -> None:
    reports = report(workspace).parent
    (reports / "notes").mkdir()
    (reports / "notes" / "a.txt").write_text("x")
    (reports / "notes.zip").write_bytes(b"PK no zip")
    shutil.copytree(report(workspace), reports / "copy-of-R-1")
    assert audited(Workspace.open(workspace.root)) == set()
    write_bundle(reports / "R-7", case_of_another_workspace(), key=new_key())
    assert audited(Workspace.open(workspace.root)) == {
        ("DSG013", "warning", "reports/R-7"),
        ("DSG013", "warning", "reports/R-7.zip"),
    }


def test_a_bundle_with_inputs_may_be_deleted(workspace: Workspace) -> None:
    """The ledger says that it was exported; it is made to be handed over."""
    case = case_of(workspace, "R-1")
    path = write_with_inputs(workspace, plan_of(workspace, case), case)
    assert audited(Workspace.open(workspace.root)) == set()
    path.unlink()
    assert audited(Workspace.open(workspace.root)) == set()


def test_only_a_closed_request_has_a_report_to_write_again(workspace: Workspace) -> None:
    rewrite(workspace, lambda fact: None if fact.kind == "request-closed" else fact.body)
    with pytest.raises(DisgorgeError, match="no report to write again"):
        write_again(workspace, case_of(workspace, "R-1"))


def test_a_key_that_was_replaced_is_told_and_fails_no_gate(workspace: Workspace) -> None:
    """As docs/RECOVERY.md says for a key that is lost for good: reports from before stay what they were."""
    for half in ("public.pem", "private/signing.pem"):
        (workspace.home / half).unlink()
    assert audited(Workspace.open(workspace.root)) == {("DSG014", "warning", "public.pem")}
    remove(workspace, [Selector("shard", "shard-3")], request_id="R-2")
    assert audited(Workspace.open(workspace.root)) == {("DSG014", "note", "public.pem")}


def test_a_report_written_again_under_another_key_is_a_warning(workspace: Workspace) -> None:
    """By the verb itself, so that the ledger records it: a key that was replaced has no reason to sign old reports."""
    swap_keys(workspace)
    write_again(workspace, case_of(workspace, "R-1"))
    assert audited(Workspace.open(workspace.root)) == {("DSG014", "warning", "public.pem")}


def test_every_finding_points_at_the_fact_it_is_about(workspace: Workspace) -> None:
    (report(workspace) / "report.html").write_text("all is well")
    (told,) = audit(workspace)
    assert told.fact is not None
    assert [fact.kind for fact in workspace.ledger.facts() if fact.seq == told.fact] == ["report"]
