"""Ways to a certificate that was not earned, each of them open once.

They take no more than an operator in a hurry, a careless engineer or a method with a bug. Every test walks one of them
and must end without a certificate, or with a true one.
"""

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disgorge.audit import audit
from disgorge.docket import case_of
from disgorge.errors import CertificateRefused, DisgorgeError, ExecutionFailed, StalePlan
from disgorge.execute import execute
from disgorge.jobs import Here
from disgorge.method import ModelSpec
from disgorge.plan import Action, Plan, Step
from disgorge.registry import Unregistered
from disgorge.requests import approve_plan, decide_request, deny_request, file_request, plan_request
from disgorge.tracking import Untracked
from disgorge.training import make
from lineage.catalog import Catalog
from lineage.ledger import Ledger
from lineage.records import Selector, canonical, plain
from policies.pack import load_packs
from policies.request import Standing
from policies.taxonomy import Defect
from tests.toys import bytes_by_name, carry, granted_plan, live_shards, person, populate, remove, toy_of, train

RELEASE = "toy-averages"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained toy; every test works on a copy."""
    folder = tmp_path_factory.mktemp("holes")
    ledger = Ledger.init(folder / "workspace")
    toy = toy_of("averages", 3)
    populate(ledger, toy, folder / "sources")
    train(ledger, toy)
    return ledger.workspace


@pytest.fixture
def ledger(trained: Path, tmp_path: Path) -> Ledger:
    """A copy of the trained toy."""
    return Ledger.open(Path(shutil.copytree(trained, tmp_path / "workspace")))


class StoppedError(BaseException):
    """A kill, as far as the shell can tell."""


def stopped(ledger: Ledger, before: Action, request_id: str = "R-1") -> None:
    """Execute a request and be killed before the first step of that action."""

    def stop(step: Step) -> None:
        if step.action is before:
            raise StoppedError

    with pytest.raises(StoppedError):
        execute(
            ledger, request_id, runner=Here(ledger), independent=lambda: Here(ledger), references=0,
            registrar=Unregistered(), observer=Untracked(), on_step=stop,
        )  # fmt: skip


def release(ledger: Ledger, spec: ModelSpec) -> None:
    """Train a model and release it, as ``disgorge train`` does."""
    made = make(ledger, spec, Here(ledger), shards=live_shards(ledger))
    body = {"name": spec.release, "alias": spec.alias, "composition": made.composition.digest}
    ledger.append_all([("composition", {"composition": plain(made.composition)}), ("release", body)])


def spec_of_toy(**changes: object) -> ModelSpec:
    """The toy's model, in part another."""
    return replace(toy_of("averages", 3).spec, **changes)  # type: ignore[arg-type]


def ordered_plan(ledger: Ledger, selectors: Sequence[Selector]) -> Plan:
    """A regulator's order, approved by two: everything built on the data goes."""
    file_request(
        ledger, standing=Standing.REGULATOR, ground=Defect.REGULATOR_ORDER, regime="regulator-order",
        selectors=selectors, identity_verified=True, request_id="R-1", facts={"order_deadline": "2099-12-31"},
    )  # fmt: skip
    decide_request(ledger, "R-1", load_packs())
    plan = plan_request(ledger, "R-1")
    for approver in ("ann", "bea"):
        approve_plan(ledger, "R-1", plan.digest, approver=approver)
    return plan


def is_open(ledger: Ledger, request_id: str = "R-1") -> bool:
    """Whether a request waits for what it is owed."""
    return case_of(ledger, request_id).closed is None


# The plan does not fit any more -------------------------------------------------------------------------------------


def test_a_release_trained_after_containment_is_not_passed_over(ledger: Ledger) -> None:
    """A killed execution lets training go on; what was trained then is in no plan."""
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    stopped(ledger, Action.WITHDRAW_ITEMS)
    release(ledger, spec_of_toy(release="other", seed=11))
    with pytest.raises(StalePlan, match="plan again"):
        carry(ledger)
    assert live_shards(ledger)["shard-3"].count == 12
    plan = plan_request(ledger, "R-1")
    approve_plan(ledger, "R-1", plan.digest, approver="ann")
    assert carry(ledger).verdict == "certified"
    assert not audit(ledger)


def test_a_copy_of_the_model_under_another_name_is_not_passed_over(ledger: Ledger) -> None:
    """The same recipes make the same digests: the purge would keep them as live, and residue not look for them."""
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    stopped(ledger, Action.WITHDRAW_ITEMS)
    release(ledger, spec_of_toy(release="twin"))
    with pytest.raises(StalePlan, match="plan again"):
        carry(ledger)


def test_a_foreign_training_that_ends_during_the_execution_stops_the_certificate(ledger: Ledger) -> None:
    """Its uses were resolved before the shard was cut, and it takes no turn."""
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    with ledger.recording(kind="mlp", name="foreign", uses=[("shard-3", "train")]) as foreign:
        stopped(ledger, Action.RECOMPOSE)
        foreign.save({"w": np.ones(3)})
    with pytest.raises(CertificateRefused, match="foreign"):
        carry(ledger)
    assert is_open(ledger)
    plan = plan_request(ledger, "R-1")
    approve_plan(ledger, "R-1", plan.digest, approver="ann")
    assert carry(ledger).verdict == "certified"
    assert foreign.component is not None
    assert not ledger.objects.exists(foreign.component.digest)


def test_a_distilled_foreign_release_is_destroyed_with_its_teacher_retrained(ledger: Ledger) -> None:
    """The control of the one before: known in time, a chain of foreign components is in the plan."""
    teacher = f"{RELEASE}/mean/shard-3"
    for name, uses in (("student", [(teacher, "distill")]), ("grandchild", [("student", "initialize")])):
        with ledger.recording(kind="mlp", name=name, uses=uses) as foreign:
            foreign.save({"w": np.full(3, len(name))})
    assert remove(ledger, [person(ledger, "shard-3", 1)]).verdict == "certified"
    with Catalog.of(ledger) as catalog:
        assert not {"student", "grandchild"} & {component.name for component in catalog.components()}


# A refusal is no end ------------------------------------------------------------------------------------------------


def test_what_is_left_behind_keeps_the_request_open_until_it_is_gone(ledger: Ledger) -> None:
    """A log names the withdrawn items: found, refused, not closed; without the log, certified."""
    with Catalog.of(ledger) as catalog:
        items = catalog.selected([person(ledger, "shard-3", 1)])
    log = ledger.objects.put(canonical({"failing": [digest for found in items.values() for digest in found]}))
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    with pytest.raises(CertificateRefused, match="residue"):
        carry(ledger)
    assert is_open(ledger)
    ledger.objects.delete(log)
    assert carry(ledger).verdict == "certified"
    assert not is_open(ledger)


# Two requests at once -----------------------------------------------------------------------------------------------


def test_a_second_request_waits_for_the_one_that_is_being_carried_out(ledger: Ledger) -> None:
    """The first would else adopt, when it goes on, a composition from before the second."""
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    stopped(ledger, Action.ADOPT)
    granted_plan(ledger, [Selector("shard", "shard-2")], request_id="R-2")
    with pytest.raises(ExecutionFailed, match="resume R-1"):
        carry(ledger, "R-2")
    assert carry(ledger).verdict == "certified"
    plan = plan_request(ledger, "R-2")
    approve_plan(ledger, "R-2", plan.digest, approver="ann")
    assert carry(ledger, "R-2").verdict == "certified"
    assert not audit(ledger)
    assert f"{RELEASE}/mean/shard-2" not in bytes_by_name(ledger, RELEASE)


def test_one_about_something_else_does_not_wait(ledger: Ledger, tmp_path: Path) -> None:
    """Two models on different data have nothing to do with each other."""
    toy = toy_of("averages", 8)
    names = {name: f"far-{name}" for name in ("core", "shard-1", "shard-2")}
    spec = spec_of_toy(release="far", core=("far-core",), shards=("far-shard-1", "far-shard-2"), evaluate=())
    populate(ledger, replace(toy, spec=spec, items={new: toy.items[old] for old, new in names.items()}), tmp_path / "f")
    release(ledger, spec)
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    stopped(ledger, Action.ADOPT)
    assert remove(ledger, [person(ledger, "far-shard-1", 0)], request_id="R-2").verdict == "certified"


# Decided again ------------------------------------------------------------------------------------------------------


def test_a_plan_of_an_older_decision_is_not_executed(ledger: Ledger) -> None:
    """Decided again by packs that leave it to a person, the old plan and its approvals stand for nothing."""
    granted_plan(ledger, [Selector("shard", "shard-2")])
    packs = [pack for pack in load_packs() if pack.pack != "contract"]
    assert decide_request(ledger, "R-1", packs).outcome.value == "needs-review"
    with pytest.raises(StalePlan, match="decided"):
        carry(ledger)
    assert "shard-2" in live_shards(ledger)


def test_what_is_being_carried_out_is_not_decided_again(ledger: Ledger) -> None:
    """The certificate would be about another decision than the one carried out."""
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    stopped(ledger, Action.RETRAIN)
    with pytest.raises(DisgorgeError, match="being carried out"):
        decide_request(ledger, "R-1", load_packs())
    assert carry(ledger).verdict == "certified"


@pytest.mark.parametrize("before", [Action.RETRAIN, Action.RECOMPOSE, Action.ADOPT])
def test_planned_again_halfway_nothing_of_the_first_plan_is_forgotten(ledger: Ledger, before: Action) -> None:
    """A second plan that saw only what is still selected would close the request over the steps of the first."""
    old = bytes_by_name(ledger, RELEASE)[f"{RELEASE}/mean/shard-3"]
    granted_plan(ledger, [person(ledger, "shard-3", 1)])
    stopped(ledger, before)
    plan = plan_request(ledger, "R-1")
    approve_plan(ledger, "R-1", plan.digest, approver="ann")
    assert carry(ledger).verdict == "certified"
    assert bytes_by_name(ledger, RELEASE)[f"{RELEASE}/mean/shard-3"] != old
    assert not ledger.objects.exists(old)
    assert not list((ledger.home / "private" / "executions").iterdir())
    assert not audit(ledger)


def test_what_was_begun_under_an_older_plan_is_not_denied(ledger: Ledger) -> None:
    """Contained and planned again, it is still under way."""
    granted_plan(ledger, [Selector("shard", "shard-2")])
    stopped(ledger, Action.WITHDRAW_ITEMS)
    plan_request(ledger, "R-1")
    with pytest.raises(DisgorgeError, match="being carried out"):
        deny_request(ledger, "R-1", reason="other")


def test_an_extension_does_not_outlive_the_deadline_it_was_of(ledger: Ledger) -> None:
    """Decided again with an earlier deadline, that one holds."""
    granted_plan(ledger, [Selector("shard", "shard-2")])
    case = case_of(ledger, "R-1")
    assert case.decision is not None
    assert case.decision.owed is not None
    ledger.append("deadline-extended", {"request": "R-1", "until": "2099-01-01", "reason": "complex"})
    earlier = replace(case.decision, owed=replace(case.decision.owed, deadline=dt.date(2026, 11, 20)))
    ledger.append("decision", {"request": "R-1", "decision": plain(earlier)})
    assert case_of(ledger, "R-1").deadline == dt.date(2026, 11, 20)


@pytest.mark.parametrize("spelled", ["ann", "ANN", " Ann ", "a\u200bnn", "\uff41nn"])
def test_one_person_approves_once_however_spelled(ledger: Ledger, spelled: str) -> None:
    plan = granted_plan(ledger, [Selector("shard", "shard-2")])
    with pytest.raises(DisgorgeError, match="someone else"):
        approve_plan(ledger, "R-1", plan.digest, approver=spelled)
