"""Requests that meet: fulfilled by another's removal, or taken back, and what must not pass for either."""

import datetime as dt
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import BundleBroken, DisgorgeError, PurgeHeld
from disgorge.evidence.checks import Verdict
from disgorge.plan.plan import Action
from disgorge.removal.containment import take_back
from disgorge.removal.fulfilled_by import _shown, close_fulfilled
from disgorge.report.bundle import verify_bundle
from disgorge.report.compile import Written, evidence_of
from disgorge.request.case import case_of, plan_of
from disgorge.request.holds.hold import hold_request
from disgorge.request.holds.purge_hold import hold_purge
from disgorge.request.withdrawn.forget_list import overlap_list
from disgorge.request.workflow.plan_request import plan_request
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import public_pem, read_key
from disgorge.tracking.registry import Registrar
from disgorge.training.sandbox.levels import Level, reached
from lineage.records import Selector, canonical
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from policies.taxonomy import Outcome
from tests import lookalikes, toys
from tests.disgorge.report_cases import sign_again
from tests.in_process import InProcessRunner
from tests.stores import registry_of

WHOLE = "shard-3"
LAW: dict[str, Any] = toys.GDPR | {"identity_verified": True, "facts": {"gdpr_ground": "d"}}


@pytest.fixture(scope="module")
def removed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, where R-1 removed a shard, and R-2, for one person of it, was granted before. To be copied."""
    folder = tmp_path_factory.mktemp("removed") / "workspace"
    shutil.copytree(trained, folder)
    met(Workspace.open(folder), [Selector("shard", WHOLE)], [toys.person(Workspace.open(folder), WHOLE, 1)])
    return folder


@pytest.fixture
def after(removed: Path, tmp_path: Path) -> Workspace:
    """What two requests left, of which one is open."""
    shutil.copytree(removed, tmp_path / "workspace")
    return Workspace.open(tmp_path / "workspace")


def close(workspace: Workspace, request: str = "R-2", by: str = "R-1") -> Written:
    """Close a request as fulfilled by another."""
    return close_fulfilled(workspace, request, by_request=by, registrar=Registrar())


def met(workspace: Workspace, theirs: Sequence[Selector], ours: Sequence[Selector]) -> None:
    """File R-2 for ``ours``, and carry R-1 out for ``theirs`` before it."""
    toys.filed_and_decided(workspace, ours, request_id="R-2")
    assert toys.remove(workspace, theirs).verdict == "certified"


def levels(workspace: Workspace) -> list[str]:
    """The audit's findings about requests and releases."""
    return [f"{finding.title}, {finding.where}: {finding.words}" for finding in audit(workspace)]


def test_what_another_removal_took_is_closed_with_a_report_that_points_to_it(after: Workspace) -> None:
    before = audit(after)
    with pytest.raises(DisgorgeError, match="close R-2 --fulfilled-by R-1"):
        plan_request(after, "R-2")
    written = close(after)
    case = case_of(after, "R-2")
    assert (written.verdict, case.closed, case.ending.by_request) == ("certified", "fulfilled", "R-1")
    key = after.home / "public.pem"
    found = verify_bundle(written.bundle, public_key=key, level="ledger", workspace_folder=after.root)
    theirs = sha256((after.root / "reports/R-1/statement.json").read_bytes()).hexdigest()
    assert found.verdict == "certified"
    assert found.guarantee == "exact"
    assert theirs in found.words
    assert any(theirs in words for words in found.checked)
    (residue,) = (check for check in written.evidence.checks if check.name == "residue")
    assert [control.held for control in residue.controls] == [True, True]  # these items then, a live one now
    assert {check.name for check in written.evidence.checks} == {"lineage-closure", "residue"}
    assert audit(after) == before
    assert not list((after.home / "private" / "executions").iterdir())


def test_a_part_does_not_fulfill_the_whole(workspace: Workspace) -> None:
    met(workspace, [toys.person(workspace, "shard-3", 1)], [Selector("shard", "shard-3")])
    with pytest.raises(DisgorgeError, match="R-1 removed 3 of 12 items that R-2 selected"):
        close(workspace)
    assert not (workspace.root / "reports" / "R-2").exists()
    assert case_of(workspace, "R-2").closed is None


def test_a_removal_that_was_to_be_shown_by_less_does_not_fulfill(workspace: Workspace) -> None:
    person = [toys.person(workspace, "shard-3", 1)]
    toys.filed_and_decided(workspace, person, LAW, request_id="R-2")
    toys.granted_plan(workspace, person)
    toys.carry(workspace, independent=lambda: InProcessRunner(workspace))
    with pytest.raises(
        DisgorgeError,
        match=r"R-1 gave less than R-2 is owed: it was shown by equal bits, of a run that need not be confined, "
        r"and owed is a confined run \(namespace, or landlock and equal bits\)",
    ):
        close(workspace)
    assert case_of(workspace, "R-2").closed is None


@pytest.mark.skipif(reached().level is Level.PROCESS, reason=f"confinement cannot be tried here: {reached().why}")
def test_a_removal_that_was_shown_by_more_than_its_plan_demanded_fulfills(tmp_path: Path) -> None:
    """The contract asks for equal bits alone; all runs were confined, as the law asks, and trying that held."""
    workspace, toy = Workspace.init(tmp_path / "workspace", clock=lambda: toys.NOW), toys.toy_of("averages", 3)
    toys.populate(workspace, toy, tmp_path / "sources")
    confined = InProcessRunner(workspace, claims=Level.LANDLOCK)
    toys.train(workspace, toy, confined)
    person = [toys.person(workspace, "shard-3", 1)]
    toys.filed_and_decided(workspace, person, LAW, request_id="R-2")
    plan = toys.granted_plan(workspace, person)
    assert toys.carry(workspace, runner=confined, independent=lambda: confined).verdict == "certified"
    assert plan.confinement is Level.PROCESS
    evidence = evidence_of(workspace, case_of(workspace, "R-1").last_report.evidence)
    assert _shown(plan, evidence) == (Level.LANDLOCK, True)
    (check,) = [each for each in evidence.checks if each.name == "never-trained"]
    for less in (
        replace(check, controls=tuple(each for each in check.controls if each.name != "confinement")),
        replace(check, controls=tuple(replace(each, held=False) for each in check.controls)),
        replace(check, detail=check.detail | {"level": None}),
        replace(check, verdict=Verdict.INCONCLUSIVE),
        replace(check, subject="another release"),
    ):
        others = tuple(less if each is check else each for each in evidence.checks)
        assert _shown(plan, replace(evidence, checks=others))[0] is Level.PROCESS
    assert close(workspace).verdict == "certified"


def test_equal_bits_count_where_every_part_has_them(after: Workspace) -> None:
    case = case_of(after, "R-1")
    plan, evidence = replace(plan_of(after, case), equal_bits=False), evidence_of(after, case.last_report.evidence)
    (check,) = [each for each in evidence.checks if each.name == "never-trained"]

    def told(*words: str) -> bool:
        named = [{"name": str(place), "shown by": each} for place, each in enumerate(words)]
        other = replace(check, detail=check.detail | {"components": named})
        return _shown(plan, replace(evidence, checks=(other,)))[1]

    assert told("equal bits", "confinement and equal bits")
    assert not told("equal bits", "confinement")
    assert not told()


def test_two_removals_do_not_fulfill_as_one(workspace: Workspace) -> None:
    """Each took a part, one of them the rest: neither took every item."""
    toys.filed_and_decided(
        workspace, [toys.person(workspace, "shard-3", 1), toys.person(workspace, "shard-4", 1)], request_id="R-2"
    )
    toys.remove(workspace, [Selector("shard", "shard-3")])
    toys.remove(workspace, [Selector("shard", "shard-4")], request_id="R-3")
    for by in ("R-1", "R-3"):
        with pytest.raises(DisgorgeError, match=f"{by} removed only a part of what R-2 selects"):
            close(workspace, by=by)


def test_a_line_forged_into_the_ledger_fulfills_nothing(workspace: Workspace) -> None:
    met(workspace, [toys.person(workspace, "shard-3", 1)], [Selector("shard", "shard-3")])
    toys.remove(workspace, [Selector("shard", "shard-3")], request_id="R-4")
    forged = {"request": "R-2", "by_request": "R-1", "removed": 12, "of": 12, "items": 12}
    workspace.ledger.append("overlap", forged)
    with pytest.raises(DisgorgeError, match="only a part of what R-2 selects, R-4 removed others"):
        close(workspace)
    toys.filed_and_decided(workspace, [Selector("shard", "shard-4")], request_id="R-5")
    workspace.ledger.append("overlap", forged | {"request": "R-5", "by_request": "R-4"})
    with pytest.raises(DisgorgeError, match="does not list the 12 items of R-5 that R-4 removed"):
        close(workspace, "R-5", "R-4")


def test_a_line_forged_after_a_part_fulfills_nothing(workspace: Workspace) -> None:
    """The list of what really went is sealed, and says of how many it was a part."""
    met(workspace, [toys.person(workspace, "shard-3", 1)], [Selector("shard", "shard-3")])
    workspace.ledger.append("overlap", {"request": "R-2", "by_request": "R-1", "removed": 12, "of": 12, "items": 3})
    with pytest.raises(DisgorgeError, match="does not list the 3 items of R-2 that R-1 removed"):
        close(workspace)


def test_near_duplicates_are_judged_first(tmp_path: Path) -> None:
    """A changed copy of its items that lives elsewhere is seen, and stops the closing until somebody judged it."""
    workspace = lookalikes.trained(tmp_path)
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.filed_and_decided(workspace, [Selector("shard", "shard-3")])
    lookalikes.judge(workspace)
    toys.approved(workspace)
    toys.carry(workspace)
    with pytest.raises(DisgorgeError, match=r"the same \(`disgorge request near R-2` shows"):
        close(workspace)
    lookalikes.judge(workspace, request_id="R-2")
    assert close(workspace).verdict == "certified"


def test_what_is_live_or_came_again_is_not_fulfilled(after: Workspace, tmp_path: Path) -> None:
    late = tmp_path / "late.npz"
    toys.write_rows(
        late, "shard-3", toys.toy_of("averages", 3).items["shard-4"], [3, 4]
    )  # named as the same person's, and live elsewhere too
    add_shard(after, late, name="late", key="key", subject="subject", check=False, dvc=False)
    with pytest.raises(DisgorgeError, match="2 items of late, shard-4 still fit what R-2 selects; plan it"):
        close(after)


def test_a_request_on_hold_stays_open(after: Workspace) -> None:
    hold_request(after, "R-2", on=True, reason="litigation")
    with pytest.raises(DisgorgeError, match=r"on hold \(litigation\)"):
        close(after)
    hold_request(after, "R-2", on=False, reason="over")
    assert close(after).verdict == "certified"


def test_only_a_certified_removal_fulfills(workspace: Workspace) -> None:
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.granted_plan(workspace, [Selector("shard", "shard-3")])
    with pytest.raises(DisgorgeError, match="request R-1 is not finished"):
        close(workspace)
    with pytest.raises(DisgorgeError, match="request R-2 is not finished"):
        close(workspace, by="R-2")
    toys.carry(workspace)
    (workspace.root / "reports" / "R-1" / "evidence.json").write_bytes(b"{}")
    with pytest.raises(BundleBroken, match=r"evidence\.json was edited"):
        close(workspace)


def test_what_was_filed_later_or_not_recorded_is_refused(workspace: Workspace) -> None:
    toys.remove(workspace, [Selector("shard", "shard-3")])
    toys.filed_and_decided(workspace, [Selector("shard", "shard-3")], request_id="R-2")
    with pytest.raises(DisgorgeError, match="R-2 is denied"):
        close(workspace)
    toys.filed_and_decided(workspace, [Selector("shard", "shard-4")], request_id="R-3")
    with pytest.raises(DisgorgeError, match="nothing recorded shows that R-1 removed items that R-3 selects"):
        close(workspace, "R-3")


def test_a_request_that_was_not_decided_in_time_can_be(after: Workspace) -> None:
    """Its items were here when it was filed, so no-match would be wrong."""
    assert toys.decide(after, "R-2") is Outcome.GRANTED
    assert close(after).verdict == "certified"


def test_residue_that_is_there_refuses(workspace: Workspace) -> None:
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.granted_plan(workspace, [Selector("shard", "shard-3")])
    old = next(
        path for path in (workspace.home / "manifests").iterdir() if b"shard-3-person-1" not in path.name.encode()
    )
    copies = {path.name: path.read_bytes() for path in (workspace.home / "manifests").iterdir()}
    assert old.name in copies
    toys.carry(workspace)
    for name in copies.keys() - {path.name for path in (workspace.home / "manifests").iterdir()}:
        (workspace.root / f"kept-{name}").write_bytes(copies[name])
    with pytest.raises(DisgorgeError, match="check residue is fail for R-2"):
        close(workspace)
    assert case_of(workspace, "R-2").closed is None


def test_a_control_that_did_not_hold_refuses(after: Workspace) -> None:
    listed = overlap_list(after, "R-2", "R-1")
    listed.note_found(0, ())
    with pytest.raises(DisgorgeError, match="residue is inconclusive for R-2: a control did not hold"):
        close(after)
    listed.path.unlink()
    assert any("does not list the 3 items" in words for words in levels(after))
    with pytest.raises(DisgorgeError, match="does not list the 3 items of R-2 that R-1 removed"):
        close(after)


def test_its_own_removal_under_way_is_finished_and_not_closed(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, Action.RETRAIN, "R-2")
    toys.filed_and_decided(workspace, [Selector("shard", "shard-4")])
    with pytest.raises(DisgorgeError, match="by a plan of its own; finish it"):
        close(workspace)
    with pytest.raises(DisgorgeError, match="beyond containment"):
        take_back(workspace, "R-2", by="ann", registrar=Registrar())


def test_what_only_contained_a_release_serves_it_again_when_taken_back(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2")
    assert toys.is_contained(workspace, toys.RELEASE)
    told = take_back(workspace, "R-2", by="Ann", registrar=Registrar())
    assert told == ("toy-averages@live is served again, as it was before R-2 contained it",)
    assert not toys.is_contained(workspace, toys.RELEASE)
    case = case_of(workspace, "R-2")
    assert (case.closed, case.ending.by) == ("taken-back", workspace.pseudonym("ann"))
    assert not levels(workspace)
    assert (
        toys.remove(workspace, [Selector("shard", "shard-3")]).verdict == "certified"
    )  # nothing waits for it any more


def test_the_alias_in_mlflow_is_set_again(workspace: Workspace, database: Path) -> None:
    shutil.copy(database, workspace.root / "mlflow.db")
    composition = toys.composition_of(workspace)
    registry = registry_of(workspace.root)
    registry.adopt("toy-averages", "live", composition)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2", registrar=registry)
    assert registry.served("toy-averages") == {}
    take_back(workspace, "R-2", by="ann", registrar=registry)
    assert registry.served("toy-averages") == {"live": composition.digest}


def test_what_may_not_be_served_any_more_stays_out_of_service(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2")
    member = toys.composition_of(workspace).members[0]
    workspace.objects.path(member.component).write_bytes(b"other bytes")
    (words,) = take_back(workspace, "R-2", by="ann", registrar=Registrar())
    assert words.startswith("toy-averages@live stays out of service")
    assert toys.is_contained(workspace, toys.RELEASE)
    assert case_of(workspace, "R-2").closed == "taken-back"


def test_what_another_request_contains_stays_out_of_service(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.granted_plan(workspace, [toys.person(workspace, "shard-4", 1)], request_id="R-3")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-3")
    toys.approved(workspace, "R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2")
    (words,) = take_back(workspace, "R-2", by="ann", registrar=Registrar())
    assert "stays out of service: request R-3 contains it as well" in words
    assert toys.is_contained(workspace, toys.RELEASE)
    (words,) = take_back(workspace, "R-3", by="ann", registrar=Registrar())
    assert "is served again" in words
    assert not toys.is_contained(workspace, toys.RELEASE)
    assert not levels(workspace)


def test_what_was_contained_and_then_removed_for_another_is_fulfilled(workspace: Workspace) -> None:
    """It could neither go on nor be denied: its release was contained, and its items went."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2")
    toys.remove(workspace, [Selector("shard", "shard-3")])
    assert not toys.is_contained(workspace, toys.RELEASE)
    assert close(workspace).verdict == "certified"


def test_old_shards_that_another_request_keeps_are_purged_first(workspace: Workspace) -> None:
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.granted_plan(workspace, [Selector("shard", "shard-3")])
    hold_purge(workspace, "R-1", until=workspace.now().date() + dt.timedelta(days=9), because="evidence", by="ann")
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    with pytest.raises(DisgorgeError, match="R-1 is not finished"):
        close(workspace)


def test_killed_before_it_was_closed_it_is_closed_by_saying_it_again(
    after: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import disgorge.removal.fulfilled_by

    with monkeypatch.context() as patched:
        patched.setattr(disgorge.removal.fulfilled_by, "write_up", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            close(after)
    assert case_of(after, "R-2").state == "granted"
    written = close(after)
    assert verify_bundle(written.bundle, level="ledger", workspace_folder=after.root).verdict == "certified"
    assert case_of(after, "R-2").state == "fulfilled"


def test_a_maker_cannot_say_that_a_part_was_all(after: Workspace) -> None:
    """Signed anew with the real key: the certificate is issued again from the plan, and the ledger's facts count."""
    bundle = close(after).bundle
    key, path = read_key(after.home / "private" / "signing.pem"), after.root / "R-2.zip"

    def without_overlap(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
        lines = files["ledger-slice.jsonl"].splitlines(keepends=True)
        files["ledger-slice.jsonl"] = b"".join(line for line in lines if b'"kind":"overlap"' not in line)

    def one_of_them(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
        plan = json.loads(files["plan.json"])
        plan["steps"][0]["detail"]["removed"] = 1
        files["plan.json"] = canonical(plan)

    path.write_bytes(pack(sign_again(read_members(bundle), key)))
    assert verify_bundle(path, public_key=public_pem(key)).verdict == "certified"
    for change, words in ((without_overlap, "does not say that R-1 removed every item"), (one_of_them, None)):
        path.write_bytes(pack(sign_again(read_members(bundle), key, change)))
        with pytest.raises(BundleBroken, match=words):
            verify_bundle(path, public_key=public_pem(key))


def test_the_report_it_rests_on_must_be_that_one(after: Workspace) -> None:
    bundle = close(after).bundle
    theirs = after.root / "reports" / "R-1" / "statement.json"
    theirs.write_bytes(theirs.read_bytes() + b"\n")
    with pytest.raises(BundleBroken, match="is not the report on R-1 that this one rests on"):
        verify_bundle(bundle, level="ledger", workspace_folder=after.root)
