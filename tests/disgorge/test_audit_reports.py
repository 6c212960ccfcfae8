"""Reports edited, deleted or swapped, keys swapped, a ledger rewritten: the audit finds each."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import DisgorgeError
from disgorge.report.bundle import verify_bundle, write_bundle
from disgorge.report.compile import evidence_of, report_case, write_again, write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import key_id, new_key, public_pem, read_key
from lineage.ledger.chain import Fact, encode, next_fact
from lineage.records import Selector, canonical
from lineage.workspace import Workspace
from tests.disgorge.report_cases import case as case_of_another_workspace
from tests.toys import populate, remove, toy_of, train

HEAVY = {"torch", "mlflow", "dvc", "great_expectations", "duckdb", "sklearn"}
BOTH = {"reports/R-1", "reports/R-1.zip"}


@pytest.fixture(scope="module")
def removed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose request R-1 is carried out and closed; nobody touches it."""
    folder = tmp_path_factory.mktemp("removed")
    workspace = Workspace.init(folder)
    toy = toy_of("averages", 3)
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    remove(workspace, [Selector("shard", "shard-2")])
    return folder


@pytest.fixture
def workspace(removed: Path, tmp_path: Path) -> Workspace:
    """A copy to attack."""
    return Workspace.open(Path(shutil.copytree(removed, tmp_path / "workspace")))


def rewrite(workspace: Workspace, body: Callable[[Fact], dict[str, Any] | None]) -> None:
    """Write the ledger anew with other bodies, those that are None left out, and chain it again; ``head.json`` too."""
    made: list[Fact] = []
    for fact in workspace.ledger.facts():
        told = body(fact)
        if told is not None:
            made.append(next_fact(made[-1] if made else None, kind=fact.kind, body=told, at=fact.at))
    workspace.ledger.journal.file.write_bytes(b"".join(encode(fact) + b"\n" for fact in made))
    workspace.ledger.journal.head_file.write_bytes(canonical({"digest": made[-1].digest, "seq": made[-1].seq}) + b"\n")
    assert Workspace.open(workspace.root).ledger.verify() == len(made), "a chain that holds, or nothing would be shown"


def found(workspace: Workspace) -> set[tuple[str, str, str]]:
    """Return identifier, level and subject of each finding."""
    return {(each.id, each.level.value, each.where) for each in audit(Workspace.open(workspace.root))}


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
    made = report_case(workspace, plan_of(workspace, case), case, evidence_of(workspace, case.report["evidence"]))
    write_bundle(report(workspace), replace(made, **changes), key=key)
    assert verify_bundle(report(workspace), public_key=public_pem(key)).verdict == "certified"


def test_a_removal_that_nobody_touched_has_no_findings(workspace: Workspace) -> None:
    assert found(workspace) == set()


@pytest.mark.parametrize("name", ["report.html", "plan.json", "statement.json", "public.pem"])
def test_an_edited_file_of_a_report_is_found(workspace: Workspace, name: str) -> None:
    path = report(workspace) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert found(workspace) == {("DSG013", "error", "reports/R-1")}


def test_a_file_that_was_added_or_taken_away_is_found(workspace: Workspace) -> None:
    (report(workspace) / "impact.json").rename(report(workspace) / "impact-2.json")
    assert found(workspace) == {("DSG013", "error", "reports/R-1")}


def test_an_edited_zip_is_found_beside_a_folder_that_is_whole(workspace: Workspace) -> None:
    packed = report(workspace).with_name("R-1.zip")
    members = read_members(packed)
    packed.write_bytes(pack(members | {"report.html": members["report.html"] + b" "}))
    assert found(workspace) == {("DSG013", "error", "reports/R-1.zip")}


def test_a_deleted_report_is_found_and_its_zip_stands_in_for_its_folder(workspace: Workspace) -> None:
    shutil.rmtree(report(workspace))
    assert found(workspace) == set()
    report(workspace).with_name("R-1.zip").unlink()
    assert found(workspace) == {("DSG013", "error", "reports/R-1")}


def test_another_workspaces_report_is_found(workspace: Workspace) -> None:
    """It is whole and validly signed, with that workspace's key."""
    shutil.rmtree(report(workspace))
    case = case_of_another_workspace()
    write_bundle(report(workspace), case, key=new_key())
    assert found(workspace) == {("DSG013", "error", name) for name in BOTH}


def test_another_report_signed_with_the_same_key_is_found(workspace: Workspace) -> None:
    """Of another request, as a report of one that was refused would be."""
    key = read_key(workspace.home / "private" / "signing.pem")
    write_bundle(report(workspace), case_of_another_workspace(), key=key)
    assert found(workspace) == {("DSG013", "error", name) for name in BOTH}


def test_a_public_key_that_was_swapped_is_found(workspace: Workspace) -> None:
    """Where the private folder is, and where it is not."""
    (workspace.home / "public.pem").write_bytes(public_pem(new_key()))
    assert ("DSG014", "error", "public.pem") in found(workspace)
    shutil.rmtree(workspace.home / "private")
    (workspace.home / "private").mkdir()
    assert ("DSG011", "error", "private/signing.pem") in found(workspace)
    (workspace.home / "private").rmdir()
    left = {each for each in found(workspace) if each[0] in ("DSG013", "DSG014")}
    assert left == {("DSG014", "error", "public.pem")}


def test_a_report_signed_again_with_swapped_keys_is_found(workspace: Workspace) -> None:
    """Both halves are swapped and fit; only what was recorded knows the key from before."""
    sign_again(workspace, swap_keys(workspace))
    assert found(workspace) == {("DSG014", "error", "public.pem"), *(("DSG013", "error", name) for name in BOTH)}


def test_a_report_signed_again_with_the_same_key_is_not_the_recorded_one(workspace: Workspace) -> None:
    """Its pages may be others."""
    sign_again(workspace, read_key(workspace.home / "private" / "signing.pem"), lineage_svg="<svg/>")
    assert found(workspace) == {("DSG013", "error", name) for name in BOTH}


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
    ("change", "where"),
    [(change_license, BOTH), (leave_the_request_out, BOTH), (reopen, {"reports/R-1"})],
)
def test_a_ledger_that_was_rewritten_and_chained_again_is_found(
    workspace: Workspace, change: Callable[[Fact], dict[str, Any] | None], where: set[str]
) -> None:
    rewrite(workspace, change)
    told = {each for each in found(workspace) if each[0] == "DSG015"}
    assert told == {("DSG015", "error", name) for name in where}


def test_the_report_of_an_open_request_is_checked_too(workspace: Workspace) -> None:
    """One that was refused, or written by a step that was killed before it was recorded."""
    rewrite(workspace, lambda fact: None if fact.kind == "request-closed" else fact.body)
    assert not {each for each in found(workspace) if each[0] in ("DSG013", "DSG015")}
    (report(workspace) / "report.html").write_text("all is well")
    assert ("DSG013", "error", "reports/R-1") in found(workspace)


def test_what_is_no_report_is_left_alone_and_a_strangers_is_named(workspace: Workspace) -> None:
    reports = report(workspace).parent
    (reports / "notes").mkdir()
    (reports / "notes" / "a.txt").write_text("x")
    (reports / "notes.zip").write_bytes(b"PK no zip")
    shutil.copytree(report(workspace), reports / "copy-of-R-1")
    assert found(workspace) == set()
    write_bundle(reports / "R-7", case_of_another_workspace(), key=new_key())
    assert found(workspace) == {("DSG013", "warning", "reports/R-7"), ("DSG013", "warning", "reports/R-7.zip")}


def test_a_bundle_with_inputs_may_be_deleted(workspace: Workspace) -> None:
    """The ledger says that it was exported; it is made to be handed over."""
    case = case_of(workspace, "R-1")
    path = write_with_inputs(workspace, plan_of(workspace, case), case)
    assert found(workspace) == set()
    path.unlink()
    assert found(workspace) == set()


def test_a_lost_report_is_written_again(workspace: Workspace) -> None:
    shutil.rmtree(report(workspace))
    report(workspace).with_name("R-1.zip").unlink()
    write_again(workspace, case_of(workspace, "R-1"))
    assert found(workspace) == set()
    public = (workspace.home / "public.pem").read_bytes()
    assert verify_bundle(report(workspace), public_key=public, level="ledger", workspace_folder=workspace.root).verdict
    told = list(workspace.ledger.facts("report"))[-1].body
    assert told["zip"] == sha256(report(workspace).with_name("R-1.zip").read_bytes()).hexdigest()
    assert told["key"] == key_id(public)
    assert case_of(workspace, "R-1").closed == "done"


def test_only_a_closed_request_has_a_report_to_write_again(workspace: Workspace) -> None:
    rewrite(workspace, lambda fact: None if fact.kind == "request-closed" else fact.body)
    with pytest.raises(DisgorgeError, match="no report to write again"):
        write_again(workspace, case_of(workspace, "R-1"))


def test_a_key_that_was_replaced_is_told_and_fails_no_gate(removed: Path, tmp_path: Path) -> None:
    """As docs/RECOVERY.md says for a key that is lost for good: reports from before stay what they were."""
    workspace = Workspace.open(Path(shutil.copytree(removed, tmp_path / "workspace")))
    for half in ("public.pem", "private/signing.pem"):
        (workspace.home / half).unlink()
    assert found(workspace) == {("DSG014", "warning", "public.pem")}
    remove(workspace, [Selector("shard", "shard-3")], request_id="R-2")
    assert found(workspace) == {("DSG014", "note", "public.pem")}


def test_a_report_written_again_under_another_key_is_a_warning(removed: Path, tmp_path: Path) -> None:
    """By the verb itself, so that the ledger records it: a key that was replaced has no reason to sign old reports."""
    workspace = Workspace.open(Path(shutil.copytree(removed, tmp_path / "workspace")))
    swap_keys(workspace)
    write_again(workspace, case_of(workspace, "R-1"))
    assert found(workspace) == {("DSG014", "warning", "public.pem")}


def test_it_stays_light_with_reports(removed: Path) -> None:
    code = (
        "import sys; from disgorge.audit.rules import audit; from lineage.workspace import Workspace\n"
        f"print(len(audit(Workspace.open())), sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=removed, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


def test_every_finding_points_at_the_fact_it_is_about(workspace: Workspace) -> None:
    (report(workspace) / "report.html").write_text("all is well")
    (told,) = audit(workspace)
    assert told.fact is not None
    assert [fact.kind for fact in workspace.ledger.facts() if fact.seq == told.fact] == ["report"]
