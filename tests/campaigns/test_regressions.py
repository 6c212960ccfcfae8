"""Ways to a certificate that was not earned, each of them open once.

They take no more than an operator in a hurry, a careless engineer or a method with a bug. Every test walks one of them
and must end without a certificate, or with a true one.
"""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disgorge.audit.rules import audit
from disgorge.errors import CertificateRefused, DisgorgeError, ExecutionFailed, StalePlan
from disgorge.evidence.checks import Utility, Verdict
from disgorge.evidence.utility import utility_check
from disgorge.examination.lineage_closure import lineage_closure
from disgorge.method import ModelSpec
from disgorge.plan.plan import Action
from disgorge.request.case import case_of
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.plan_request import plan_request
from disgorge.training.make import make
from disgorge.training.recipe import Job
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest
from lineage.errors import LineageError
from lineage.recording import recording
from lineage.records import Component, Composition, Member, Role, Selector, Use, canonical, plain
from lineage.shards.add import add_shard
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from policies.packs.load import load_packs
from policies.request import Standing
from policies.taxonomy import Defect
from tests import toys
from tests.in_process import InProcessRunner


def release(workspace: Workspace, spec: ModelSpec) -> None:
    """Train a model and release it, as ``disgorge train`` does."""
    runner, method = InProcessRunner(workspace), declared(spec.method)
    made = make(workspace, spec, runner, method=method, shards=toys.live_shards(workspace))
    body = {"name": spec.release, "alias": spec.alias, "composition": made.composition.digest}
    workspace.ledger.append_all([("composition", {"composition": plain(made.composition)}), ("release", body)])


def spec_of_toy(**changes: object) -> ModelSpec:
    """The toy's model, in part another."""
    return replace(toys.toy_of("averages", 3).spec, **changes)  # type: ignore[arg-type]


# The plan does not fit any more -------------------------------------------------------------------------------------


def test_a_release_trained_after_containment_is_not_passed_over(workspace: Workspace) -> None:
    """A killed execution lets training go on; what was trained then is in no plan."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.WITHDRAW_ITEMS)
    release(workspace, spec_of_toy(release="other", seed=11))
    with pytest.raises(StalePlan, match="plan again"):
        toys.carry(workspace)
    assert toys.live_shards(workspace)["shard-3"].count == 12
    toys.approved(workspace)
    assert toys.carry(workspace).verdict == "certified"
    assert not audit(workspace)


def test_a_copy_of_the_model_under_another_name_is_not_passed_over(workspace: Workspace) -> None:
    """The same recipes make the same digests: the purge would keep them as live, and residue not look for them."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.WITHDRAW_ITEMS)
    release(workspace, spec_of_toy(release="twin"))
    with pytest.raises(StalePlan, match="plan again"):
        toys.carry(workspace)


def test_a_foreign_training_that_ends_during_the_execution_stops_the_certificate(workspace: Workspace) -> None:
    """Its uses were resolved before the shard was cut, and it takes no turn."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    with recording(workspace, kind="mlp", name="foreign", uses=[("shard-3", "train")]) as foreign:
        toys.stopped(workspace, Action.RECOMPOSE)
        foreign.save({"w": np.ones(3)})
    with pytest.raises(CertificateRefused, match="foreign"):
        toys.carry(workspace)
    assert toys.is_open(workspace)
    toys.approved(workspace)
    assert toys.carry(workspace).verdict == "certified"
    assert foreign.component is not None
    assert not workspace.objects.exists(foreign.component.digest)


def test_a_distilled_foreign_release_is_destroyed_with_its_teacher_retrained(workspace: Workspace) -> None:
    """The control of the one before: known in time, a chain of foreign components is in the plan."""
    teacher = f"{toys.RELEASE}/mean/shard-3"
    for name, uses in (("student", [(teacher, "distill")]), ("grandchild", [("student", "initialize")])):
        with recording(workspace, kind="mlp", name=name, uses=uses) as foreign:
            foreign.save({"w": np.full(3, len(name))})
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 1)]).verdict == "certified"
    assert not {"student", "grandchild"} & set(toys.component_names(workspace))


# A refusal is no end ------------------------------------------------------------------------------------------------


def test_what_is_left_behind_keeps_the_request_open_until_it_is_gone(workspace: Workspace) -> None:
    """A log names the withdrawn items: found, refused, not closed; without the log, certified."""
    log = workspace.objects.put(
        canonical({"failing": sorted(toys.items_of(workspace, [toys.person(workspace, "shard-3", 1)]))})
    )
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    with pytest.raises(CertificateRefused, match="residue"):
        toys.carry(workspace)
    assert toys.is_open(workspace)
    workspace.objects.delete(log)
    assert toys.carry(workspace).verdict == "certified"
    assert not toys.is_open(workspace)


# Two requests at once -----------------------------------------------------------------------------------------------


def test_a_second_request_waits_for_the_one_that_is_being_carried_out(workspace: Workspace) -> None:
    """The first would else adopt, when it goes on, a composition from before the second."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.ADOPT)
    toys.granted_plan(workspace, [Selector("shard", "shard-2")], request_id="R-2")
    with pytest.raises(ExecutionFailed, match="resume R-1"):
        toys.carry(workspace, "R-2")
    assert toys.carry(workspace).verdict == "certified"
    toys.approved(workspace, "R-2")
    assert toys.carry(workspace, "R-2").verdict == "certified"
    assert not audit(workspace)
    assert f"{toys.RELEASE}/mean/shard-2" not in toys.bytes_by_name(workspace, toys.RELEASE)


def test_one_about_something_else_does_not_wait(workspace: Workspace, tmp_path: Path) -> None:
    """Two models on different data have nothing to do with each other."""
    toy = toys.toy_of("averages", 8)
    names = {name: f"far-{name}" for name in ("core", "shard-1", "shard-2")}
    spec = spec_of_toy(release="far", core=("far-core",), shards=("far-shard-1", "far-shard-2"), evaluate=())
    toys.populate(
        workspace, replace(toy, spec=spec, items={new: toy.items[old] for old, new in names.items()}), tmp_path / "f"
    )
    release(workspace, spec)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.ADOPT)
    assert toys.remove(workspace, [toys.person(workspace, "far-shard-1", 0)], request_id="R-2").verdict == "certified"


# Decided again ------------------------------------------------------------------------------------------------------


def test_a_plan_of_an_older_decision_is_not_executed(workspace: Workspace) -> None:
    """Decided again by packs that leave it to a person, the old plan and its approvals stand for nothing."""
    toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    packs = [pack for pack in load_packs() if pack.pack != "contract"]
    assert decide_request(workspace, "R-1", packs).outcome.value == "needs-review"
    with pytest.raises(StalePlan, match="decided"):
        toys.carry(workspace)
    assert "shard-2" in toys.live_shards(workspace)


def test_what_is_being_carried_out_is_not_decided_again(workspace: Workspace) -> None:
    """The certificate would be about another decision than the one carried out."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.RETRAIN)
    with pytest.raises(DisgorgeError, match="being carried out"):
        toys.decide(workspace)
    assert toys.carry(workspace).verdict == "certified"


@pytest.mark.parametrize("before", [Action.RETRAIN, Action.RECOMPOSE, Action.ADOPT])
def test_planned_again_halfway_nothing_of_the_first_plan_is_forgotten(workspace: Workspace, before: Action) -> None:
    """A second plan that saw only what is still selected would close the request over the steps of the first."""
    old, shard = (
        toys.bytes_by_name(workspace, toys.RELEASE)[f"{toys.RELEASE}/mean/shard-3"],
        toys.live_shards(workspace)["shard-3"].digest,
    )
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, before)
    with pytest.raises(DisgorgeError, match="touches nothing that was not planned"):
        plan_request(workspace, "R-1")
    with recording(workspace, kind="mean", name="late", uses=[(shard, "train")]) as late:
        late.save({"weights": np.ones(2, np.float32)})
    plan = plan_request(workspace, "R-1")
    assert set(plan.required) >= {"answers", "never-trained"}
    approve_plan(workspace, "R-1", plan.digest, approver="ann")
    done = toys.carry(workspace)
    assert done.verdict == "certified"
    told = " ".join((done.bundle / "report.html").read_text().split())
    assert "An earlier plan of this request, begun and then replaced, took 3 rows out of 1 shard: shard-3." in told
    assert toys.bytes_by_name(workspace, toys.RELEASE)[f"{toys.RELEASE}/mean/shard-3"] != old
    assert not workspace.objects.exists(old)
    assert not list((workspace.home / "private" / "executions").iterdir())
    assert not audit(workspace)


def test_an_extension_does_not_outlive_the_deadline_it_was_of(workspace: Workspace) -> None:
    """Decided again with an earlier deadline, that one holds."""
    toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    case = case_of(workspace, "R-1")
    assert case.decision is not None
    assert case.decision.owed is not None
    workspace.ledger.append("deadline-extended", {"request": "R-1", "until": "2099-01-01", "reason": "complex"})
    earlier = replace(case.decision, owed=replace(case.decision.owed, deadline=dt.date(2026, 11, 20)))
    workspace.ledger.append("decision", {"request": "R-1", "decision": plain(earlier)})
    assert case_of(workspace, "R-1").deadline == dt.date(2026, 11, 20)


@pytest.mark.parametrize("spelled", ["ann", "ANN", " Ann ", "a\u200bnn", "\uff41nn"])
def test_one_person_approves_once_however_spelled(workspace: Workspace, spelled: str) -> None:
    plan = toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    with pytest.raises(DisgorgeError, match="someone else"):
        approve_plan(workspace, "R-1", plan.digest, approver=spelled)


def test_a_rest_that_equals_another_shard_is_said_when_it_is_planned(tmp_path: Path) -> None:
    """Two manifests cannot lie under one digest; nothing is contained for a removal that cannot be carried out."""
    workspace, toy = Workspace.init(tmp_path / "alike"), toys.toy_of("averages", 7)
    toys.populate(workspace, toy, tmp_path / "sources", leave_out=lambda shard, row: shard == "shard-4")
    toys.write_rows(tmp_path / "rest.npz", "shard-4", toy.items["shard-3"], range(3, 12))
    add_shard(
        workspace, tmp_path / "rest.npz", name="shard-4", key="key", subject="subject", source="s", license="MIT",
        legal_basis="consent", check=False, dvc=False,
    )  # fmt: skip
    toys.train(workspace, toy)
    with pytest.raises(LineageError, match="what is left are the very items of shard 'shard-4'"):
        toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 0)])
    assert not toys.is_contained(workspace, toy.spec.release)
    assert toys.remove(workspace, [Selector("shard", "shard-3")], request_id="R-2").verdict == "certified"


# What releases share ------------------------------------------------------------------------------------------------


def compositions(workspace: Workspace) -> dict[str, Composition]:
    """What live releases serve, by name@alias."""
    with Catalog.of(workspace) as catalog:
        return {f"{each.name}@{each.alias}": catalog.composition(each.composition) for each in catalog.releases()}


def test_each_alias_of_a_release_gets_its_own_model_back(workspace: Workspace) -> None:
    """Steps of one name were taken for one another: the second alias would serve what was probed for the first."""
    release(workspace, spec_of_toy(alias="staging", parameters={"joint": True}))
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 1)]).verdict == "certified"
    after = compositions(workspace)
    assert {name: composition.spec["parameters"] for name, composition in after.items()} == {
        f"{toys.RELEASE}@live": {}, f"{toys.RELEASE}@staging": {"joint": True},
    }  # fmt: skip
    with Catalog.of(workspace) as catalog:
        assert not any(each.contained for each in catalog.releases())
    assert not audit(workspace)


def test_destroying_one_alias_leaves_another_that_nothing_is_the_matter_with(workspace: Workspace) -> None:
    """Registries destroy models, of which an alias is only a part."""
    release(workspace, spec_of_toy(alias="small", seed=5, shards=("shard-1",)))
    registry = toys.MemoryRegistry()
    for name, composition in compositions(workspace).items():
        registry.adopt(*name.split("@"), composition)
    toys.granted_plan(workspace, [Selector("shard", "shard-2")], toys.ORDER)
    assert toys.carry(workspace, registrar=registry).verdict == "certified"
    (left,) = compositions(workspace).values()
    assert registry.aliases == {(toys.RELEASE, "small"): left.digest}
    assert registry.versions == {toys.RELEASE: {left.digest}}
    assert not audit(workspace)


def test_one_digest_under_two_names_goes_under_both(workspace: Workspace) -> None:
    """The same model released twice: everything built on the data is destroyed, whatever it is called."""
    before = set(toys.bytes_by_name(workspace, toys.RELEASE).values())
    release(workspace, spec_of_toy(release="twin"))
    toys.granted_plan(workspace, [Selector("shard", "shard-2")], toys.ORDER)
    assert toys.carry(workspace).verdict == "certified"
    with Catalog.of(workspace) as catalog:
        assert not catalog.releases()
        assert not catalog.components()
    assert not [digest for digest in before if workspace.objects.exists(digest)]
    assert not audit(workspace)


def test_what_nobody_recorded_is_not_taken_for_clean(workspace: Workspace) -> None:
    """A release with a member nobody recorded may have learned from anything."""
    unknown = Composition("", {}, (Member("head", "ab" * 32),))
    workspace.ledger.append("composition", {"composition": plain(unknown)})
    workspace.ledger.append("release", {"name": "foreign", "alias": "live", "composition": unknown.digest})
    with pytest.raises(LineageError, match=r"foreign@live.*not recorded"):
        toys.granted_plan(workspace, [Selector("shard", "shard-2")])


def test_a_foreign_release_with_a_description_of_its_own_is_withdrawn(workspace: Workspace) -> None:
    """Its spec is none of ours."""
    with recording(workspace, kind="mlp", name="net", uses=[("shard-2", "select")]) as net:
        net.save({"w": np.ones(3)})
    assert net.component is not None
    foreign = Composition("pipeline", {"layers": [3, 4]}, (Member("net", net.component.digest),))
    workspace.ledger.append("composition", {"composition": plain(foreign)})
    workspace.ledger.append("release", {"name": "foreign", "alias": "live", "composition": foreign.digest})
    assert toys.remove(workspace, [Selector("shard", "shard-2")]).verdict == "certified"
    assert set(compositions(workspace)) == {f"{toys.RELEASE}@live"}
    assert not workspace.objects.exists(net.component.digest)


def test_a_recipe_role_of_ones_own_is_influence_too(workspace: Workspace) -> None:
    """A careless recipe says "finetune" and the recorded uses forget it."""
    recipe = {"uses": [{"of": "shard", "digest": toys.live_shards(workspace)["shard-2"].digest, "role": "finetune"}]}
    with recording(workspace, kind="mlp", name="net", uses=[("core", "train")], recipe=recipe) as net:
        net.save({"w": np.ones(3)})
    with Catalog.of(workspace) as catalog:
        affected = [each.component.name for each in catalog.impact([Selector("shard", "shard-2")]).affected]
    assert "net" in affected


def test_an_unknown_input_makes_the_closure_say_so() -> None:
    """Where lineage ends in a digest nobody recorded, no path found is no path shown."""
    shard, unknown = "1" * 64, "2" * 64
    old = Component("3" * 64, "net", "mlp", (Use(shard, Role.TRAIN),))
    new = Component("4" * 64, "net", "mlp", (Use(unknown, Role.DISTILL),))
    check = lineage_closure(
        "toy", before=[old], after=[new], known=by_digest([old, new]), withdrawn=frozenset({shard}),
        shards=frozenset({shard}),
    )  # fmt: skip
    assert check.verdict is Verdict.INCONCLUSIVE


def test_what_was_composed_before_is_not_adopted_over_what_was_withdrawn_since(workspace: Workspace) -> None:
    """Whatever let two executions get so far, the alias does not move to a model that learned from what is gone."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.ADOPT)
    shard = toys.live_shards(workspace)["shard-2"]
    workspace.ledger.append(
        "shard-withdrawn", {"shard": shard.digest, "name": shard.name, "after": None, "removed": 12}
    )
    with pytest.raises(CertificateRefused, match="shard-2"):
        toys.carry(workspace)
    assert toys.is_contained(workspace, toys.RELEASE)


# What lies about ----------------------------------------------------------------------------------------------------


def test_weights_nobody_recorded_are_not_left_lying(workspace: Workspace) -> None:
    """A training killed between its result and its fact: it may have learned from anything there was."""
    stray = workspace.objects.put(save_tensors({"w": np.arange(5.0)}))
    os.utime(workspace.objects.path(stray), (1, 1))
    kept = set(toys.bytes_by_name(workspace, toys.RELEASE).values())
    assert toys.remove(workspace, [Selector("shard", "shard-2")]).verdict == "certified"
    assert not workspace.objects.exists(stray)
    assert len([digest for digest in kept if workspace.objects.exists(digest)]) == len(kept) - 1


def test_a_reexecution_shares_no_working_folder(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commonest cache of all lies in ``./``; found there by the re-execution, it would prove itself."""
    monkeypatch.chdir(tmp_path)
    Path("sitecustomize.py").write_text("open('was-here', 'w').close()")
    monkeypatch.setenv("PYTHONPATH", f".{os.pathsep}{os.environ['PYTHONPATH']}")
    scale = toys.component_of(workspace, f"{toys.RELEASE}/scale")
    with Workers(workspace, count=1) as workers:
        (done,) = workers.run([Job(scale.name, scale.recipe, 1)])
    assert done.digest == scale.digest
    assert not Path("was-here").exists()


# What was not measured ----------------------------------------------------------------------------------------------


def test_a_floor_under_utility_is_no_floor_where_nothing_was_measured() -> None:
    unmeasured = utility_check("toy", (), 0.9, accepted=False)
    broken = utility_check("toy", (Utility("toy", "held-out", "accuracy", 9, 0.9, float("nan")),), 0.9, accepted=False)
    assert [unmeasured.verdict, broken.verdict] == [Verdict.INCONCLUSIVE] * 2
    canonical(broken)


def test_a_plan_with_a_floor_requires_that_it_is_measured(workspace: Workspace) -> None:
    quality = {"standing": Standing.INTERNAL, "ground": Defect.LOW_FIDELITY, "regime": "quality"}
    toys.filed_and_decided(workspace, [Selector("shard", "shard-2")], quality)
    plan = plan_request(workspace, "R-1")
    assert (plan.utility_floor is None) == ("utility" not in plan.required)
    assert plan.utility_floor == 0.9
