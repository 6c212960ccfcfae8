"""Several requests, one plan: their items go together, each part is trained once, and each request has its report."""

import base64
import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.findings import OVERDUE
from disgorge.audit.rules import audit
from disgorge.errors import (
    AlreadyExecuted,
    BundleBroken,
    CertificateRefused,
    DataHeld,
    DisgorgeError,
    PurgeHeld,
    StalePlan,
)
from disgorge.plan.plan import Action, Plan
from disgorge.removal.containment import deny_begun, take_back
from disgorge.removal.dry_run import preview
from disgorge.report.bundle import verify_bundle
from disgorge.report.compile import write_again
from disgorge.request.case import case_of, docket
from disgorge.request.holds.hold import hold_request
from disgorge.request.holds.purge_hold import due, hold_purge
from disgorge.request.particulars import erase_particulars
from disgorge.request.together import owed_together
from disgorge.request.withdrawn.forget_list import ForgetList
from disgorge.request.workflow.amend import amend_request
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.filing import deny_request
from disgorge.request.workflow.impact import impact_as_planned
from disgorge.request.workflow.plan_request import plan_request, plan_requests
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import public_pem, read_or_make_key
from disgorge.tracking.registry import Registrar
from disgorge.training.recipe import Done, Job, OnProgress, trains, unseen
from lineage.errors import UnknownRecord
from lineage.records import Selector, canonical
from lineage.workspace import Workspace
from policies.decision import Decision, Owed
from policies.events import EventKind
from policies.packs.load import load_packs
from policies.taxonomy import Confinement, Family, Guarantee, Outcome, Scope
from tests import lookalikes, toys
from tests.disgorge.report_cases import sign_again
from tests.disgorge.test_execute import Contrary
from tests.in_process import InProcessRunner

ASKED = ("R-1", "R-2", "R-3")
KEYS = {"R-2": ("shard-2-0", "shard-2-5"), "R-3": ("shard-3-4", "shard-4-1")}
"""R-1 asks for a person of shard-3, one of whose items R-3 asks for as well."""


@pytest.fixture(scope="module")
def trained(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained toy in which three requests are granted; every test works on a copy."""
    folder = tmp_path_factory.mktemp("joint")
    workspace = toys.at(shutil.copytree(trained, folder / "workspace"), toys.NOW.date())
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-1")
    for name, keys in KEYS.items():
        toys.filed_and_decided(workspace, [Selector("key", key) for key in keys], request_id=name)
    return workspace.root


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Workspace:
    """A copy of it."""
    return toys.at(Path(shutil.copytree(trained, tmp_path / "workspace")), toys.NOW.date())


def states(workspace: Workspace) -> dict[str, str]:
    """Where each request stands."""
    return {name: case.state for name, case in docket(workspace).items()}


# One joint removal, looked at from all sides


@dataclass(frozen=True)
class Joint:
    """A joint removal that was carried out, and its plan."""

    workspace: Workspace
    plan: Plan

    def bundle(self, request: str) -> Path:
        """The report of a request."""
        return self.workspace.root / "reports" / request

    def record(self, request: str, name: str) -> dict[str, object]:
        """A record of a report."""
        return dict(json.loads((self.bundle(request) / f"{name}.json").read_bytes()))

    def not_promised(self, request: str) -> str:
        """What a signed statement does not promise."""
        envelope = json.loads((self.bundle(request) / "statement.json").read_bytes())
        return " ".join(json.loads(base64.b64decode(envelope["payload"]))["predicate"]["caveats"]["this_removal"])


@pytest.fixture(scope="module")
def joint(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Joint:
    """Three requests planned together, approved by naming the last and carried out by naming the second."""
    folder = tmp_path_factory.mktemp("carried-out")
    workspace = toys.at(Path(shutil.copytree(trained, folder / "workspace")), toys.NOW.date())
    plan = toys.approved(workspace, *ASKED, by="R-3")
    done = toys.carry(workspace, "R-2")
    assert (done.request, done.verdict, done.bundle.name) == ("R-2", "certified", "R-2")
    assert [bundle.name for bundle in done.reports.values()] == list(ASKED) == list(done.reports)
    return Joint(workspace, plan)


def test_all_are_done_and_the_audit_is_clean(joint: Joint) -> None:
    assert states(joint.workspace) == dict.fromkeys(ASKED, "done")
    assert not audit(joint.workspace)
    assert not list((joint.workspace.home / "private" / "executions").iterdir())
    with pytest.raises(AlreadyExecuted, match="R-1 is closed"):
        toys.carry(joint.workspace, "R-1")


def test_what_is_common_is_done_once(joint: Joint) -> None:
    facts = list(joint.workspace.ledger.facts())
    assert [fact.body["step"] for fact in facts if fact.kind == "step"] == [step.id for step in joint.plan.steps]
    assert sorted(fact.body["name"] for fact in facts if fact.kind == "shard-withdrawn") == [
        "shard-2", "shard-3", "shard-4",
    ]  # fmt: skip
    assert sum(fact.kind == "purged" for fact in facts) == 1
    assert [step.subject for step in joint.plan.steps if step.action is Action.REPORT] == list(ASKED)


@pytest.mark.parametrize("request_id", ASKED)
def test_each_report_verifies_by_itself_and_is_about_its_own_request(joint: Joint, request_id: str) -> None:
    public, workspace_folder = (joint.workspace.home / "public.pem").read_bytes(), joint.workspace.root
    for bundle in (joint.bundle(request_id), joint.bundle(request_id).with_suffix(".zip")):
        found = verify_bundle(bundle, public_key=public, level="ledger", workspace_folder=workspace_folder)
        assert (found.request, found.plan, found.verdict) == (request_id, joint.plan.digest, "certified")
    own, others = {"R-1": 3, "R-2": 2, "R-3": 2}[request_id], [name for name in ASKED if name != request_id]
    assert f"Carried out together with {', '.join(others)}: {own} items that went are its own." in found.words
    assert "together with that for 2 other requests" in joint.not_promised(request_id)
    page = (joint.bundle(request_id) / "report.html").read_text()
    assert f"{own} items." in page
    assert f"The plan, carried out for {' and '.join(others)} as well, removes 6 items of 4 people in 3 shards" in page
    assert joint.record(request_id, "evidence")["request"] == request_id
    assert joint.record(request_id, "decision")["request"] == request_id


def test_no_report_tells_what_another_request_selects(joint: Joint) -> None:
    theirs = {name: {s.value for s in docket(joint.workspace)[name].request.selectors} for name in ASKED}
    for name in ASKED:
        every = joint.bundle(name).rglob("*")
        files = (path for path in every if path.is_file() and path.suffix != ".pdf")
        text = b"".join(map(Path.read_bytes, files)).decode("latin-1")
        for other in set(ASKED) - {name}:
            assert not [value for value in theirs[other] - theirs[name] if value in text]
            assert docket(joint.workspace)[other].request.digest not in text


def test_a_report_is_written_again_for_one_request(joint: Joint, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(joint.workspace.root, tmp_path / "workspace")))
    shutil.rmtree(workspace.root / "reports" / "R-2")
    (workspace.root / "reports" / "R-2.zip").unlink()
    assert write_again(workspace, case_of(workspace, "R-2")).verdict == "certified"
    assert verify_bundle(workspace.root / "reports" / "R-2").request == "R-2"
    assert not audit(workspace)


def swap(name: str) -> Callable[[Joint, dict[str, bytes]], None]:
    """A record of another request of the same plan in the place of this one's."""
    return lambda joint, files: files.update({name: (joint.bundle("R-1") / name).read_bytes()})


def in_plan(change: Callable[[list[Any]], object]) -> Callable[[Joint, dict[str, bytes]], None]:
    """What the plan says of those it is for."""

    def edit(joint: Joint, files: dict[str, bytes]) -> None:
        plan = json.loads(files["plan.json"])
        change(plan["together"])
        files["plan.json"] = canonical(plan)

    return edit


CHANGES = {
    "swap_request": swap("request.json"), "swap_decision": swap("decision.json"),
    "swap_evidence": swap("evidence.json"), "swap_facts": swap("ledger-slice.jsonl"),
    "more_items": in_plan(lambda shares: shares[1].update(items=200)),
    "leave_itself_out": in_plan(lambda shares: shares.pop(1)),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("signed", [False, True], ids=["edited", "signed anew"])
def test_a_report_that_was_changed_is_refused(joint: Joint, tmp_path: Path, change: str, signed: bool) -> None:
    key = read_or_make_key(joint.workspace.home / "private" / "signing.pem")
    public, path, edit = public_pem(key), tmp_path / "R-2.zip", partial(CHANGES[change], joint)
    members = sign_again(read_members(joint.bundle("R-2")), key)
    path.write_bytes(pack(members))
    assert verify_bundle(path, public_key=public).verdict == "certified"  # only what follows is wrong
    if signed:
        members = sign_again(members, key, lambda predicate, files: edit(files))
    else:
        edit(members)
    path.write_bytes(pack(members))
    with pytest.raises(BundleBroken):
        verify_bundle(path, public_key=public, level="ledger")


# As many trainings as for one


class Counting(InProcessRunner):
    """Trains in this process, and counts what it trained."""

    def __init__(self, workspace: Workspace, trained: list[str]) -> None:
        super().__init__(workspace)
        self.trained = trained

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Count the jobs that are trainings, not questions to models, nor planted ones."""
        for done in super().run(jobs, on_progress=on_progress, **how):
            self.trained += [done.job.name] if trains(done.job.recipe) and not done.job.entry else []
            yield done


def identity(runner: Counting) -> Counting:
    """The runner given."""
    return runner


def toy_with_requests(folder: Path, keys: Iterable[str]) -> Workspace:
    """A toy in which a part is calibrated on every shard, and a granted request for each of some keys."""
    workspace = toys.trained_toy(folder, parameters={"joint": True})
    for number, key in enumerate(keys):
        toys.filed_and_decided(workspace, [Selector("key", key)], request_id=f"R-{number}")
    return workspace


def test_ten_requests_are_trained_for_as_one_is(tmp_path: Path) -> None:
    workspace = toy_with_requests(tmp_path, [f"shard-2-{row}" for row in range(10)])
    alone = toys.at(Path(shutil.copytree(workspace.root, tmp_path / "alone")), toys.NOW.date())
    names, counted = [f"R-{number}" for number in range(10)], {}
    for which, asked in ((workspace, names), (alone, names[:1])):
        toys.approved(which, *asked, by=asked[-1])
        removal, evidence = Counting(which, []), Counting(which, [])
        toys.carry(which, asked[0], runner=removal, independent=partial(identity, evidence))
        counted[len(asked)] = (
            sorted(removal.trained),
            len(evidence.trained),
        )  # which part is run twice, its time decides
    assert counted[10] == counted[1]
    assert counted[1] == ([f"{toys.RELEASE}/mean/shard-2", f"{toys.RELEASE}/tilt"], 6)
    assert states(workspace) == dict.fromkeys(names, "done")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_together_comes_to_what_one_after_another_comes_to(
    joint: Joint, workspace: Workspace, order: tuple[int, ...]
) -> None:
    """Also where one item is asked for by two requests, and the second finds less than it asked for."""
    for number in order:
        toys.approved(workspace, ASKED[number])
        toys.carry(workspace, ASKED[number])
    assert toys.served(workspace, toys.RELEASE) == toys.served(joint.workspace, toys.RELEASE)
    assert toys.bytes_by_name(workspace, toys.RELEASE) == toys.bytes_by_name(joint.workspace, toys.RELEASE)
    assert {name: shard.digest for name, shard in toys.live_shards(workspace).items()} == {
        name: shard.digest for name, shard in toys.live_shards(joint.workspace).items()
    }


# What is not planned, or not carried out any more


SOME = [Selector("key", "shard-1-1")]


def begin(workspace: Workspace) -> None:
    """Begin to carry R-2 out by itself."""
    toys.approved(workspace, "R-2")
    toys.stopped(workspace, Action.PROBE, "R-2")


REFUSED: dict[str, tuple[Callable[[Workspace], object], list[str], str]] = {
    "unknown": (lambda workspace: None, ["R-1", "R-9"], "unknown request 'R-9'"),
    "twice": (lambda workspace: None, ["R-1", "R-2", "R-1"], "R-1 is named twice"),
    "undecided": (lambda workspace: toys.file(workspace, SOME, request_id="R-4"), ["R-1", "R-4"], "R-4 is not decided"),
    "denied": (lambda workspace: deny_request(workspace, "R-2", reason="other"), ["R-1", "R-2"], "R-2 is closed"),
    "held": (
        lambda workspace: hold_request(workspace, "R-2", on=True, reason="litigation", by="Ann"), ["R-1", "R-2"],
        "R-2 is on hold",
    ),
    "begun": (
        begin, ["R-1", "R-2"], "R-2 is being carried out; finish it with `disgorge request resume R-2`",
    ),
    "other_scope": (
        lambda workspace: toys.filed_and_decided(workspace, SOME, toys.ORDER, request_id="R-4"), ["R-1", "R-4"],
        "R-1 and R-4 cannot share a plan: influence is owed to the one and whole-lineage to the other",
    ),
    "no_match": (
        lambda workspace: toys.filed_and_decided(workspace, [Selector("key", "nobody-has-this-key")], request_id="R-4"),
        ["R-1", "R-4"], "R-4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_planned_together_is_one_line_and_writes_nothing(workspace: Workspace, name: str) -> None:
    prepare, requests, words = REFUSED[name]
    prepare(workspace)
    before = (workspace.home / "ledger.jsonl").read_bytes()
    with pytest.raises((DisgorgeError, UnknownRecord), match=words) as refused:
        plan_requests(workspace, requests)
    assert "\n" not in str(refused.value)
    assert (workspace.home / "ledger.jsonl").read_bytes() == before


def amend(workspace: Workspace) -> None:
    """R-2 asks for something else."""
    amend_request(workspace, "R-2", selectors=SOME)


def decide_otherwise(workspace: Workspace) -> None:
    """R-2 is decided anew."""
    decision = case_of(workspace, "R-2").decision
    assert decision is not None
    other = json.loads(canonical(replace(decision, decided=toys.NOW.date(), category="other")))
    workspace.ledger.append("decision", {"request": "R-2", "decision": other})


CHANGED: dict[str, tuple[Callable[[Workspace], object], str]] = {
    "amend": (amend, "R-1 has no plan"),
    "deny": (lambda workspace: deny_request(workspace, "R-2", reason="other"), "R-1 has no plan"),
    "plan_alone": (lambda workspace: plan_request(workspace, "R-2"), "R-1 has no plan"),
    "hold": (
        lambda workspace: hold_request(workspace, "R-2", on=True, reason="litigation", by="Ann"),
        r"R-2 was put on hold \(litigation\) before it was started.*without it with `disgorge request plan R-1 R-3`",
    ),
    "deny_by_rule": (decide_otherwise, "R-2 was decided again"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_when_one_request_changes_all_are_planned_again(workspace: Workspace, name: str) -> None:
    toys.approved(workspace, *ASKED, by="R-3")
    change, words = CHANGED[name]
    change(workspace)
    shards = toys.live_shards(workspace)
    with pytest.raises((DisgorgeError, UnknownRecord), match=words):
        toys.carry(workspace, "R-1")
    assert not any(case.steps for case in docket(workspace).values())
    assert toys.live_shards(workspace) == shards
    plan = toys.approved(workspace, "R-1", "R-3")
    assert plan.requests == ("R-1", "R-3")
    assert states(workspace)["R-1"] == states(workspace)["R-3"] == "approved"


def test_who_left_a_plan_is_not_removed_with_the_others(workspace: Workspace) -> None:
    toys.approved(workspace, *ASKED, by="R-3")
    amend(workspace)
    toys.approved(workspace, "R-1", "R-3")
    assert toys.carry(workspace, "R-3").verdict == "certified"
    assert states(workspace) == {"R-1": "done", "R-2": "filed", "R-3": "done"}
    assert toys.live_shards(workspace)["shard-2"].count == 12


def test_a_held_item_of_another_request_is_not_destroyed(workspace: Workspace) -> None:
    """The hold comes after the approval, on an item that one of the requests removes."""
    toys.approved(workspace, *ASKED, by="R-3")
    toys.file(workspace, [Selector("key", "shard-2-0")], request_id="H-1")
    hold_request(workspace, "H-1", on=True, reason="litigation", by="Ann")
    with pytest.raises(DataHeld, match=r"request R-2 stops before its first step.*H-1 holds 1 of 2 items"):
        toys.carry(workspace, "R-1")
    with pytest.raises(DataHeld, match="R-2 stops before it is planned"):
        plan_requests(workspace, ["R-1", "R-2"])
    assert not any(case.steps for case in docket(workspace).values())


def test_what_one_request_leaves_out_stays_and_the_others_are_done(workspace: Workspace) -> None:
    hold_request(workspace, "R-2", on=True, reason="exhibit 7", by="Ann", selectors=[Selector("key", "shard-2-0")])
    toys.decide(workspace, "R-2")
    plan = toys.approved(workspace, *ASKED, by="R-3")
    assert [(share.items, sum(each.items for each in share.left_out)) for share in plan.together] == [
        (3, 0), (1, 1), (2, 0),
    ]  # fmt: skip
    done = toys.carry(workspace, "R-1")
    assert states(workspace) == {"R-1": "done", "R-2": "partly-done", "R-3": "done"}
    assert "Fulfilled only in part" in verify_bundle(done.reports["R-2"]).words
    assert "Fulfilled only in part" not in verify_bundle(done.reports["R-1"]).words
    told = {
        name: [path.name for path in report.rglob("*") if path.is_file() and b"exhibit 7" in path.read_bytes()]
        for name, report in done.reports.items()
    }
    assert told == {"R-1": [], "R-2": ["ledger-slice.jsonl"], "R-3": []}  # why it is held is told to nobody else
    assert toys.live_shards(workspace)["shard-2"].count == 11
    with pytest.raises(AlreadyExecuted, match="R-2 is carried out but for what is held"):
        toys.carry(workspace, "R-2")
    hold_request(workspace, "R-2", on=False, reason="returned", selectors=[Selector("key", "shard-2-0")])
    toys.approved(workspace, "R-2")
    toys.carry(workspace, "R-2")
    assert states(workspace)["R-2"] == "done"
    assert not list((workspace.home / "private" / "executions").iterdir())
    assert not audit(workspace)


def test_two_people_approve_where_one_request_needs_two(workspace: Workspace) -> None:
    for name, key in (("R-4", "shard-1-1"), ("R-5", "shard-1-2")):
        toys.filed_and_decided(workspace, [Selector("key", key)], toys.ORDER, request_id=name)
    plan = plan_requests(workspace, ["R-4", "R-5"])
    assert plan.approvals == 2
    assert (plan.confinement, plan.equal_bits) == (Confinement.NAMESPACE, True)
    approve_plan(workspace, "R-4", plan.digest, approver="ann")
    with pytest.raises(DisgorgeError, match="1 of 2 approvals"):
        toys.carry(workspace, "R-5")
    approve_plan(workspace, "R-5", plan.digest, approver="bea")
    toys.carry(workspace, "R-5")
    assert states(workspace)["R-4"] == states(workspace)["R-5"] == "done"
    assert not audit(workspace)


# Interrupted


def test_a_failed_check_leaves_all_undone(workspace: Workspace) -> None:
    toys.approved(workspace, *ASKED, by="R-3")
    with pytest.raises(CertificateRefused, match=r"the requests stay open, the signed refusals are .*R-1, .*R-3"):
        toys.carry(workspace, "R-2", independent=lambda: Contrary(workspace))
    assert states(workspace) == dict.fromkeys(ASKED, "executing")
    for name in ASKED:
        assert verify_bundle(workspace.root / "reports" / name).verdict == "refused"
    toys.carry(workspace, "R-3")
    assert states(workspace) == dict.fromkeys(ASKED, "done")
    assert not audit(workspace)


def test_half_done_each_is_overdue_by_itself_and_any_of_them_goes_on(workspace: Workspace) -> None:
    plan = toys.approved(workspace, *ASKED, by="R-3")
    toys.stopped(workspace, Action.PURGE, "R-1")
    assert not audit(workspace)
    assert states(workspace) == dict.fromkeys(ASKED, "executing")
    late = toys.at(workspace.root, dt.date(2028, 1, 1))
    assert sorted(found.where for found in audit(late) if found.rule == OVERDUE) == list(ASKED)
    for name in ASKED:
        with pytest.raises(DisgorgeError, match="being carried out"):
            deny_request(workspace, name, reason="other")
        with pytest.raises(DisgorgeError, match="together with"):
            plan_request(workspace, name)
    hold_request(workspace, "R-3", on=True, reason="litigation", by="Ann")
    with pytest.raises(DisgorgeError, match="R-3 was put on hold"):
        toys.carry(workspace, "R-1")
    hold_request(workspace, "R-3", on=False, reason="over")
    record_event(workspace, "R-2", EventKind.INTERIM_ANSWER, by="Ann")
    with pytest.raises(DisgorgeError, match="run `disgorge request decide R-2` again"):
        toys.carry(workspace, "R-1")
    before = case_of(workspace, "R-2").decisions[-1]
    assert decide_request(workspace, "R-2", load_packs()) == before  # by what it touches itself, and not by all of it
    assert [impact_as_planned(workspace, plan, of=name).items for name in (None, *ASKED)] == [6, 3, 2, 2]
    until = toys.NOW.date() + dt.timedelta(days=5)
    hold_purge(workspace, "R-2", until=until, because="trial", by="Ann")
    assert not due(workspace)
    with pytest.raises(PurgeHeld, match="on hold until"):
        toys.carry(workspace, "R-1")
    assert len(preview(workspace, "R-3").paths) == len(preview(workspace, "R-1").paths) > 2
    later = toys.at(workspace.root, until)
    assert set(due(later)) == set(ASKED)
    toys.carry(later, "R-3")
    assert states(later) == dict.fromkeys(ASKED, "done")
    assert not audit(later)


def test_what_stops_one_report_stops_no_other(workspace: Workspace) -> None:
    toys.approved(workspace, *ASKED, by="R-3")
    toys.stopped(workspace, Action.REPORT, subject="R-1")
    hold_request(workspace, "R-2", on=True, reason="litigation", by="Ann")
    with pytest.raises(DisgorgeError, match="R-2 was put on hold"):
        toys.carry(workspace, "R-1")
    assert states(workspace) == {"R-1": "done", "R-2": "on-hold", "R-3": "done"}
    hold_request(workspace, "R-2", on=False, reason="over")
    assert toys.carry(workspace, "R-3").request == "R-3"
    assert states(workspace) == dict.fromkeys(ASKED, "done")
    assert not audit(workspace)


def test_a_joint_plan_that_was_begun_is_planned_again_together(workspace: Workspace) -> None:
    """A release is destroyed because its check does not pass: for all of them, or for none."""
    toys.approved(workspace, *ASKED, by="R-3")
    toys.stopped(workspace, Action.PROBE, "R-1")
    with pytest.raises(DisgorgeError, match="request R-1 is being carried out together with R-3; plan them together"):
        plan_requests(workspace, ["R-1", "R-2"])
    plan = plan_requests(workspace, ["R-3", "R-1", "R-2"], withdraw=[toys.RELEASE])
    assert {share.request: share.items for share in plan.together} == {"R-1": 3, "R-2": 2, "R-3": 2}
    approve_plan(workspace, "R-2", plan.digest, approver="ann")
    toys.carry(workspace, "R-2")
    assert states(workspace) == dict.fromkeys(ASKED, "done")
    assert not audit(workspace)
    assert not list((workspace.home / "private" / "executions").iterdir())


def test_who_takes_a_request_back_before_anything_was_withdrawn_leaves_the_others(workspace: Workspace) -> None:
    toys.approved(workspace, *ASKED, by="R-3")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-1")
    assert take_back(workspace, "R-1", by="Ann", registrar=Registrar()) == (
        f"{toys.RELEASE}@live stays out of service: request R-2 contains it as well",
    )
    assert toys.is_contained(workspace, toys.RELEASE)
    with pytest.raises(StalePlan, match=r"R-1 is closed .*plan the others again with `disgorge request plan R-2 R-3`"):
        toys.carry(workspace, "R-2")
    toys.approved(workspace, "R-2", "R-3")
    toys.carry(workspace, "R-2")
    assert states(workspace) == {"R-1": "taken-back", "R-2": "done", "R-3": "done"}
    assert not audit(workspace)


@pytest.mark.parametrize("asked", [("R-4", "R-1"), ("R-1", "R-4")])
def test_a_request_denied_when_only_the_purge_is_left_leaves_the_others_to_be_finished(
    workspace: Workspace, asked: tuple[str, str]
) -> None:
    """R-1 could neither be resumed, because R-4 was closed, nor planned again, because nothing matched any more."""
    facts = {"order_reference": "1", "order_deadline": "2027-02-01", "order_scope": "influence"}
    toys.filed_and_decided(workspace, [Selector("key", "shard-2-1")], toys.ORDER, request_id="R-4", facts=facts)
    toys.approved(workspace, *asked, by="R-1")
    toys.stopped(workspace, Action.PURGE, "R-1")
    record_event(workspace, "R-4", EventKind.ORDER_WITHDRAWN, by="Ann")
    toys.decide(workspace, "R-4")
    with pytest.raises(DisgorgeError, match="which is granted no more; close it with `disgorge request deny R-4`"):
        plan_request(workspace, "R-1")
    told = deny_begun(workspace, "R-4", reason="claim-not-covered", registrar=Registrar())
    assert told[-1].startswith("the purge for R-1, planned together with R-4, deletes them")
    done = toys.carry(workspace, "R-1")
    assert list(done.reports) == ["R-1"]
    assert verify_bundle(done.bundle, level="ledger", workspace_folder=workspace.root).verdict == "certified"
    assert {name: states(workspace)[name] for name in asked} == {"R-4": "denied", "R-1": "done"}
    assert not audit(workspace)


def test_what_was_withdrawn_together_is_not_finished_without_one_that_may_be_granted_again(
    workspace: Workspace,
) -> None:
    """R-2 was left for good: its items were gone with those of R-1, and nothing was left to be planned for it."""
    toys.approved(workspace, "R-1", "R-2")
    toys.stopped(workspace, Action.RETRAIN, "R-1")
    record_event(workspace, "R-2", EventKind.INTERIM_ANSWER, by="Ann")
    with pytest.raises(DisgorgeError, match=r"together with those of R-2, .* run `disgorge request decide R-2` first"):
        plan_request(workspace, "R-1")
    toys.decide(workspace, "R-2")
    assert list(toys.carry(workspace, "R-1").reports) == ["R-1", "R-2"]


def test_one_whose_private_file_was_erased_is_denied_and_leaves_the_others(workspace: Workspace) -> None:
    """It only contained: nothing says what it would remove, so nothing could be planned, decided or denied."""
    toys.approved(workspace, "R-1", "R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-1")
    erase_particulars(workspace, "R-2")
    with pytest.raises(DisgorgeError, match="close it with `disgorge request deny R-2 --reason other`"):
        toys.carry(workspace, "R-1")
    deny_begun(workspace, "R-2", reason="other", registrar=Registrar())
    toys.approved(workspace, "R-1")
    toys.carry(workspace, "R-1")
    assert states(workspace) == {"R-1": "done", "R-2": "denied", "R-3": "granted"}
    assert toys.live_shards(workspace)["shard-2"].count == 12
    assert not audit(workspace)


# Near-duplicates


def test_a_near_duplicate_is_judged_for_its_own_request(tmp_path: Path) -> None:
    workspace = lookalikes.trained(tmp_path)
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-1")
    toys.filed_and_decided(workspace, [Selector("key", "shard-4-1")], request_id="R-2")
    with pytest.raises(DisgorgeError, match="near-duplicates of request R-1"):
        plan_requests(workspace, ["R-2", "R-1"])
    found = lookalikes.near(workspace).unjudged
    toys.filed_and_decided(workspace, [Selector("item", found[0].digest)], request_id="R-3")
    joint = plan_requests(workspace, ["R-2", "R-1", "R-3"])  # the copy goes too, so nobody has to look at it
    assert [share.items for share in joint.together] == [1, 3, 1]
    lookalikes.judge(workspace)
    plan = toys.approved(workspace, "R-2", "R-1")
    toys.stopped(workspace, Action.PURGE, "R-2")
    listed = ForgetList(workspace, plan.digest)
    assert {len(listed.own(name)) for name in plan.requests} == {1, 3}
    toys.carry(workspace, "R-2")
    assert {states(workspace)[name] for name in ("R-1", "R-2")} == {"done"}


# What is owed together


OWED = Owed(
    guarantee=Guarantee.APPROXIMATE, families=(Family.RETRAINING, Family.COMPARTMENTALIZATION), scope=Scope.INFLUENCE,
    deadline=None, acknowledge_by=None, approvals=1, evidence=("membership",), notices=(), utility_floor=None,
)  # fmt: skip


def decided(name: str, **owed: object) -> Decision:
    """A decision that owes this."""
    return Decision(
        request=name, outcome=Outcome.GRANTED, category="c", owed=replace(OWED, **owed),  # type: ignore[arg-type]
        refusal=None, reasons=(), packs="0" * 64, decided=toys.NOW.date(),
    )  # fmt: skip


def test_together_the_strongest_is_owed() -> None:
    strict: Mapping[str, object] = {
        "guarantee": Guarantee.EXACT, "families": (Family.RETRAINING,), "approvals": 2, "evidence": ("memorization",),
        "utility_floor": 0.9, "confinement": Confinement.NAMESPACE, "equal_bits": False,
    }  # fmt: skip
    lax: Mapping[str, object] = {"confinement": Confinement.LANDLOCK, "equal_bits": True}
    for decisions in (
        [decided("R-1", **strict), decided("R-2", **lax)],
        [decided("R-2", **lax), decided("R-1", **strict)],
    ):
        owed = owed_together(decisions)
        assert owed is not None
        assert (owed.guarantee, owed.families, owed.approvals, owed.utility_floor) == (
            Guarantee.EXACT, (Family.RETRAINING,), 2, 0.9,
        )  # fmt: skip
        assert set(owed.evidence) == {"membership", "memorization"}
        assert (owed.confinement, owed.equal_bits) == (Confinement.NAMESPACE, True)
    with pytest.raises(DisgorgeError, match=r"no kind of removal is admitted for both.*plan R-2 apart"):
        owed_together([decided("R-1", **strict), decided("R-2", families=(Family.DATASET_EMULATION,))])
