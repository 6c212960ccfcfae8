"""The pass end to end on the hand-checkable method: what moves, what stays, what is refused, what survives a kill."""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from disgorge.errors import AlreadyExecuted, CertificateRefused, DisgorgeError, ExecutionFailed, NotApproved, StalePlan
from disgorge.plan.plan import Action
from disgorge.request.case import case_of, plan_of
from disgorge.request.holds.hold import hold_request
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.filing import file_request
from disgorge.request.workflow.plan_request import plan_request
from disgorge.training.recipe import Done, Job, OnProgress, unseen
from disgorge.training.runners.in_process import InProcessRunner
from lineage.catalog.catalog import Catalog
from lineage.errors import WorkspaceBusy
from lineage.records import Selector
from lineage.storage.objects import load_tensors, save_tensors
from lineage.workspace import Workspace
from policies.packs.load import load_packs
from policies.request import Standing
from policies.taxonomy import Defect
from tests.toys import (
    bytes_by_name,
    carry,
    granted_plan,
    live_shards,
    person,
    populate,
    remove,
    served,
    toy_of,
    train,
)

RELEASE = "toy-averages"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A trained toy."""
    workspace = Workspace.init(tmp_path / "workspace")
    toy = toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources")
    train(workspace, toy)
    return workspace


def test_a_whole_shard_is_subtracted_and_nothing_is_trained(workspace: Workspace) -> None:
    before = bytes_by_name(workspace, RELEASE)
    plan = granted_plan(workspace, [Selector("shard", "shard-2")])
    assert [step.action for step in plan.steps if step.release == RELEASE] == [
        Action.CONTAIN, Action.SUBTRACT, Action.RECOMPOSE, Action.PROBE, Action.ADOPT,
    ]  # fmt: skip
    assert plan.cost.steps == 0
    executed = carry(workspace)
    assert executed.verdict == "certified"
    after = bytes_by_name(workspace, RELEASE)
    del before[f"{RELEASE}/mean/shard-2"]
    assert after == before


def test_one_person_costs_one_component(workspace: Workspace) -> None:
    before = bytes_by_name(workspace, RELEASE)
    executed = remove(workspace, [person(workspace, "shard-3", 1)])
    after = bytes_by_name(workspace, RELEASE)
    assert executed.verdict == "certified"
    assert {name for name in before if before[name] != after[name]} == {f"{RELEASE}/mean/shard-3"}
    assert live_shards(workspace)["shard-3"].count == 9


def test_what_was_removed_is_gone_from_the_store(workspace: Workspace) -> None:
    old_component = bytes_by_name(workspace, RELEASE)[f"{RELEASE}/mean/shard-3"]
    old_shard = live_shards(workspace)["shard-3"].digest
    remove(workspace, [person(workspace, "shard-3", 1)])
    assert not workspace.objects.exists(old_component)
    assert not workspace.content_path(old_shard).exists()
    assert not workspace.manifest_path(old_shard).exists()
    with Catalog.of(workspace) as catalog:
        assert catalog.impact([Selector("subject", workspace.pseudonym("shard-3-person-1"))]).items == 0


def test_an_unapproved_plan_is_not_executed(workspace: Workspace) -> None:
    granted_plan(workspace, [Selector("shard", "shard-2")])
    head = workspace.ledger.lineage_head()
    case_two = granted_plan_without_approval(workspace)
    with pytest.raises(NotApproved, match="0 of 1 approvals"):
        carry(workspace, case_two)
    assert workspace.ledger.lineage_head() == head


def granted_plan_without_approval(workspace: Workspace) -> str:
    """A second request, planned and left there."""
    file_request(
        workspace, standing=Standing.CONTRIBUTOR, ground=Defect.CONTRACT, regime="contract",
        selectors=[Selector("shard", "shard-4")], received=dt.date(2026, 11, 2), identity_verified=True,
        request_id="R-2", facts={"all_theirs": True},
    )  # fmt: skip
    decide_request(workspace, "R-2", load_packs())
    plan_request(workspace, "R-2")
    return "R-2"


def test_a_plan_goes_stale_when_lineage_moves(workspace: Workspace) -> None:
    granted_plan(workspace, [Selector("shard", "shard-2")], request_id="R-1")
    remove(workspace, [Selector("shard", "shard-4")], request_id="R-2")
    with pytest.raises(StalePlan, match="plan again"):
        carry(workspace, "R-1")


def test_a_wrong_digest_is_not_approved(workspace: Workspace) -> None:
    granted_plan(workspace, [Selector("shard", "shard-2")])
    with pytest.raises(StalePlan, match="is not the digest"):
        approve_plan(workspace, "R-1", "0" * 64, approver="bea")


def test_executing_twice_is_refused_and_changes_nothing(workspace: Workspace) -> None:
    remove(workspace, [Selector("shard", "shard-2")])
    head = workspace.ledger.head()
    with pytest.raises(AlreadyExecuted, match="is closed"):
        carry(workspace)
    assert workspace.ledger.head() == head


def test_two_executions_at_once_are_refused(workspace: Workspace) -> None:
    granted_plan(workspace, [Selector("shard", "shard-2")])
    with FileLock(workspace.home / "execute.lock"), pytest.raises(WorkspaceBusy, match="another execution"):
        carry(workspace)


def test_a_hold_stops_before_the_next_step(workspace: Workspace) -> None:
    granted_plan(workspace, [Selector("shard", "shard-2")])
    hold_request(workspace, "R-1", on=True, reason="litigation")
    with pytest.raises(ExecutionFailed, match="on hold"):
        carry(workspace)
    hold_request(workspace, "R-1", on=False, reason="lifted")
    assert carry(workspace).verdict == "certified"


def test_killed_after_every_step_it_resumes_to_the_same_digests(workspace: Workspace, tmp_path: Path) -> None:
    import shutil

    plan = granted_plan(workspace, [person(workspace, "shard-3", 1)])
    copy = Workspace.open(Path(shutil.copytree(workspace.root, tmp_path / "undisturbed")))
    carry(copy)

    class KilledError(BaseException):
        pass

    import disgorge.removal.execute as shell
    from disgorge.tracking.registry import Unregistered
    from disgorge.tracking.runs import Untracked
    from disgorge.training.runners.in_process import InProcessRunner

    def die(step: object) -> None:
        if len(seen) < len(plan.steps) and step not in seen:
            seen.append(step)
            raise KilledError

    seen: list[object] = []
    for _ in plan.steps:
        with pytest.raises(KilledError):
            shell.execute(
                workspace,
                "R-1",
                runner=InProcessRunner(workspace),
                independent=lambda: InProcessRunner(workspace),
                references=0,
                registrar=Unregistered(),
                observer=Untracked(),
                on_step=die,
            )
    assert carry(workspace).verdict == "certified"
    assert served(workspace, RELEASE) == served(copy, RELEASE)
    assert len(seen) == len(plan.steps)


def test_forged_retraining_is_refused_and_the_release_stays_down(workspace: Workspace) -> None:
    """An operator records old weights under the new recipe; re-execution in the probe step finds out."""
    plan = granted_plan(workspace, [person(workspace, "shard-3", 1)])
    name = f"{RELEASE}/mean/shard-3"
    old = bytes_by_name(workspace, RELEASE)[name]
    forge_after(workspace, plan, name, old)
    with pytest.raises(CertificateRefused, match="never-trained"):
        carry(workspace)
    with Catalog.of(workspace) as catalog:
        assert catalog.release(RELEASE).contained
    case = case_of(workspace, "R-1")
    assert case.closed is None
    assert plan_of(workspace, case).digest == plan.digest


def forge_after(workspace: Workspace, plan: object, name: str, old: str) -> None:
    """Do the first steps honestly, then record weights of our own making where retraining should happen."""
    import disgorge.removal.execute as shell
    from disgorge.layout import blueprint_name
    from disgorge.method import method_named, recipe_for
    from disgorge.tracking.registry import Unregistered
    from disgorge.tracking.runs import Untracked
    from disgorge.training.assemble import spec_of
    from disgorge.training.environment import environment_in_use
    from disgorge.training.make import uses_of
    from disgorge.training.runners.in_process import InProcessRunner
    from lineage.records import Component, plain
    from lineage.storage.objects import load_tensors, save_tensors

    class StopError(BaseException):
        pass

    def stop(step: object) -> None:
        if step.action is Action.RETRAIN:  # type: ignore[attr-defined]
            raise StopError

    with pytest.raises(StopError):
        shell.execute(
            workspace,
            "R-1",
            runner=InProcessRunner(workspace),
            independent=lambda: InProcessRunner(workspace),
            references=0,
            registrar=Unregistered(),
            observer=Untracked(),
            on_step=stop,
        )
    with Catalog.of(workspace) as catalog:
        composition = catalog.composition(catalog.release(RELEASE).composition)
        shards = {shard.name: shard for shard in catalog.shards()}
        scale = catalog.component(f"{RELEASE}/scale")
    spec = spec_of(composition)
    method = method_named(spec.method)
    blueprint = next(b for b in method.layout(spec, shards) if b.name == blueprint_name(RELEASE, name))
    digests = {("shard", n): s.digest for n, s in shards.items()} | {("component", "scale"): scale.digest}
    recipe = recipe_for(method, blueprint, digests, spec)
    tensors = load_tensors(workspace.objects.get(old))
    forged = workspace.objects.put(save_tensors({**tensors, "counts": tensors["counts"] + 1}))
    environment = environment_in_use(method.libraries)
    component = Component(forged, name, "mean", uses_of(recipe), recipe, environment=environment)
    workspace.ledger.append("component", {"component": plain(component)})


def test_the_ledger_holds_no_item_digest_and_no_name(workspace: Workspace) -> None:
    with Catalog.of(workspace) as catalog:
        selected = catalog.selected([person(workspace, "shard-3", 1)])
    remove(workspace, [person(workspace, "shard-3", 1)])
    text = (workspace.home / "ledger.jsonl").read_text()
    assert "shard-3-person-1" not in text
    for digests in selected.values():
        assert not any(digest in text for digest in digests)


def test_every_step_left_one_fact(workspace: Workspace) -> None:
    plan = granted_plan(workspace, [Selector("shard", "shard-2")])
    carry(workspace)
    done = [fact.body["step"] for fact in workspace.ledger.facts("step") if fact.body["plan"] == plan.digest]
    assert done == [step.id for step in plan.steps]


def test_a_destroyed_release_takes_its_references_along(workspace: Workspace) -> None:
    """Never-trained references of a release serve its probes only; destroyed means that they are gone too."""
    granted_plan(workspace, [person(workspace, "shard-3", 1)], every_probe=True)
    carry(workspace, references=3)
    with Catalog.of(workspace) as catalog:
        assert any("~reference-" in component.name for component in catalog.components())
    file_request(
        workspace, standing=Standing.REGULATOR, ground=Defect.REGULATOR_ORDER, regime="regulator-order",
        selectors=[Selector("shard", "shard-2")], received=dt.date(2026, 11, 2), identity_verified=True,
        facts={"order_deadline": "2027-06-30", "order_reference": "C-0000", "order_scope": "whole-lineage"},
        request_id="R-2",
    )  # fmt: skip
    decide_request(workspace, "R-2", load_packs())
    plan = plan_request(workspace, "R-2")
    for approver in ("ann", "bea"):
        approve_plan(workspace, "R-2", plan.digest, approver=approver)
    weights = {fact.body["component"]["digest"] for fact in workspace.ledger.facts("component")}
    assert carry(workspace, "R-2").verdict == "certified"
    with Catalog.of(workspace) as catalog:
        assert catalog.components() == ()
        assert catalog.releases() == ()
    assert not [digest for digest in weights if workspace.objects.exists(digest)]


class Contrary(InProcessRunner):
    """Reaches other bytes than everybody else, as a re-execution does where something was kept that should be gone."""

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Yield each job with the digest of other weights; questions are answered as they are."""
        for done in super().run(jobs, on_progress=on_progress):
            if "questions" in done.job.recipe:
                yield done
                continue
            others = {
                name: tensor + 1 for name, tensor in load_tensors(self.workspace.objects.get(done.digest)).items()
            }
            yield replace(done, digest=self.workspace.objects.put(save_tensors(others)))


def test_a_release_whose_check_fails_for_good_can_be_destroyed(workspace: Workspace) -> None:
    old = set(bytes_by_name(workspace, RELEASE).values())
    granted_plan(workspace, [person(workspace, "shard-3", 1)])
    with pytest.raises(CertificateRefused, match=f"request plan R-1 --withdraw {RELEASE}"):
        carry(workspace, independent=lambda: Contrary(workspace))
    with pytest.raises(DisgorgeError, match=f"nobody cannot be withdrawn by R-1: it reaches {RELEASE}"):
        plan_request(workspace, "R-1", withdraw=["nobody"])
    plan = plan_request(workspace, "R-1", withdraw=[RELEASE])
    assert {step.action for step in plan.steps if step.release == RELEASE} == {Action.CONTAIN, Action.WITHDRAW}
    approve_plan(workspace, "R-1", plan.digest, approver="ann")
    assert carry(workspace).verdict == "certified"
    with Catalog.of(workspace) as catalog:
        assert not catalog.releases()
        assert not old & {component.digest for component in catalog.components()}
    assert not [digest for digest in old if workspace.objects.exists(digest)]
