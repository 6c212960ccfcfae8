"""An upgrade bricks no removal: what is not touched stays, what cannot be shown here is said first, with ways on."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.cli.output.errors import exit_code_of
from disgorge.errors import EnvironmentDiffers
from disgorge.plan.plan import Action
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.plan_request import plan_request
from disgorge.training.runners.local import Workers
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Component, plain, restore
from lineage.workspace import Workspace
from tests import toys


class Upgrade:
    """Another version of a library, installed in front of the one there is, as far as its metadata says."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / f"upgraded-{name}"
        found = self.folder / f"{name}-99.9.dist-info"
        found.mkdir(parents=True)
        (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.9\n")

    def install(self) -> None:
        """Put it in front."""
        sys.path.insert(0, str(self.folder))

    def remove(self) -> None:
        """Take it away."""
        while str(self.folder) in sys.path:
            sys.path.remove(str(self.folder))


@pytest.fixture
def upgraded(tmp_path: Path) -> Iterator[Upgrade]:
    """A new numpy, not installed yet."""
    found = Upgrade(tmp_path, "numpy")
    yield found
    found.remove()


def test_a_library_that_the_method_does_not_use_is_nobodys_business(workspace: Workspace, tmp_path: Path) -> None:
    unused = Upgrade(tmp_path, "torch")
    unused.install()
    try:
        toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
        assert toys.carry(workspace).verdict == "certified"
    finally:
        unused.remove()


def test_the_plan_says_before_containment_what_cannot_be_shown_here(workspace: Workspace, upgraded: Upgrade) -> None:
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)])
    upgraded.install()
    before = workspace.ledger.head()
    with pytest.raises(EnvironmentDiffers, match=r"leaves 4 parts alone.*numpy was .* and is 99.9.*and 1 more") as said:
        plan_request(workspace, "R-1")
    assert "`disgorge request plan R-1 --retrain-untouched` (4 steps, about" in str(said.value)
    assert workspace.ledger.head() == before
    plan = plan_request(workspace, "R-1", retrain_untouched=True)
    trained = [step for step in plan.steps if step.action is Action.RETRAIN]
    assert trained[0].subject == f"{toys.RELEASE}/scale", "inputs come first"
    assert len(trained) == 5
    assert "though the removal does not touch it: numpy was" in trained[0].words
    approve_plan(workspace, "R-1", plan.digest, approver="ann")
    done = toys.carry(workspace)
    assert done.verdict == "certified"
    assert "99.9" in (done.bundle / "recipes.json").read_text()
    assert "is 99.9" in (done.bundle / "report.html").read_text()


@pytest.mark.parametrize("before", [Action.RETRAIN, Action.RECOMPOSE, Action.PROBE], ids=lambda action: action.value)
@pytest.mark.parametrize("way", ["retrain", "go back"])
def test_an_upgrade_in_the_middle_leaves_two_ways_on(
    workspace: Workspace, upgraded: Upgrade, before: Action, way: str
) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    toys.stopped(workspace, before)
    assert toys.is_contained(workspace, toys.RELEASE)
    upgraded.install()
    with pytest.raises(EnvironmentDiffers, match="install what they were made with and run this again"):
        toys.carry(workspace)
    if way == "retrain":
        toys.approved(workspace, "R-1", retrain_untouched=True)
    else:
        upgraded.remove()
    assert toys.carry(workspace).verdict == "certified"
    assert not toys.is_contained(workspace, toys.RELEASE)
    live = toys.component_names(workspace)
    assert len(live) == len(set(live)) == 5


def test_a_recipe_that_changed_while_the_bytes_stayed_is_no_obstacle(workspace: Workspace) -> None:
    toy = toys.toy_of("averages", 3)
    before = toys.bytes_by_name(workspace, toys.RELEASE)
    toys.train(workspace, replace(toy, spec=replace(toy.spec, threads=2)))
    assert toys.bytes_by_name(workspace, toys.RELEASE) == before
    recorded = [said.component for _, said in workspace.ledger.said(ComponentFact)]
    assert len({(c.name, c.digest, c.recipe_digest) for c in recorded}) == len(recorded) == 10
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    assert toys.carry(workspace).verdict == "certified"


def rewritten(workspace: Workspace, folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Workspace:
    """A workspace with the same facts, but for what a change makes of every recorded component."""
    other = Workspace.init(folder / "rewritten")
    for name in ("manifests", "objects"):
        if (other.home / name).is_dir():
            (other.home / name).rmdir()
        (workspace.home / name).rename(other.home / name)
    (workspace.root / "shards").rename(other.root / "shards")
    shutil.rmtree(other.home / "private")
    (workspace.home / "private").rename(other.home / "private")
    for fact in workspace.ledger.facts():
        if fact.kind == "component":
            other.ledger.append(fact.kind, {"component": change(fact.body["component"])})
        elif fact.kind != "opened":
            other.ledger.append(fact.kind, fact.body)
    return Workspace.open(other.root)


def made_elsewhere(component: dict[str, Any]) -> dict[str, Any]:
    """A part as made on another processor, whose kernels this one has not: other bits come out here."""
    if component["name"] != "toy-tangent/tangent/shard-3":
        return component
    elsewhere = {"processor": "Neoverse", "kernels": {"aten": "NEON"}, "variables": {"ATEN_CPU_CAPABILITY": "default"}}
    return component | {"environment": {**component["environment"], **elsewhere}}


def test_parts_made_on_another_processor_are_no_verdict_and_can_be_trained_again(tmp_path: Path) -> None:
    """Bits differ because the kernels do: both environments are named, nothing is adopted, and nothing is accused."""
    workspace = rewritten(toys.trained_toy(tmp_path, method="tangent_composition", seed=5), tmp_path, made_elsewhere)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    with (
        Workers(workspace, count=1) as runner,
        pytest.raises(EnvironmentDiffers, match=r"never-trained is inconclusive.*aten was NEON and is DEFAULT") as said,
    ):
        toys.carry(workspace, runner=runner, independent=lambda: Workers(workspace, count=1))
    assert "--retrain-untouched" in str(said.value)
    assert "--withdraw" not in str(said.value), "destroying the release is not the advice"
    assert exit_code_of(said.value) == 4
    plan = plan_request(workspace, "R-1", retrain_untouched=True)
    again = [step.subject for step in plan.steps if step.action is Action.RETRAIN]
    assert again == ["toy-tangent/tangent/shard-3"]
    approve_plan(workspace, "R-1", plan.digest, approver="ann")
    assert toys.carry(workspace, independent=lambda: Workers(workspace, count=1)).verdict == "certified"


@pytest.mark.parametrize("shares", ["every shard", "no touched shard"])
def test_two_aliases_with_parts_of_the_same_names_are_kept_apart(workspace: Workspace, shares: str) -> None:
    """The parts of an alias are those of its composition, not what was recorded last under their names."""
    toy = toys.toy_of("averages", 3)
    shards = toy.spec.shards if shares == "every shard" else tuple(s for s in toy.spec.shards if s != "shard-2")
    toys.train(workspace, replace(toy, spec=replace(toy.spec, seed=99, alias="next", shards=shards)))
    before = toys.bytes_by_name(workspace, toys.RELEASE, "next")
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    assert toys.carry(workspace).verdict == "certified"
    assert (
        toys.bytes_by_name(workspace, toys.RELEASE, "live")[f"{toys.RELEASE}/mean/shard-4"]
        != toys.bytes_by_name(workspace, toys.RELEASE, "next")[f"{toys.RELEASE}/mean/shard-4"]
    )
    for name, digest in toys.bytes_by_name(workspace, toys.RELEASE, "next").items():
        assert workspace.objects.exists(digest)
        assert digest == before[name] or (name.endswith("shard-2") and shares == "every shard")


def test_a_model_that_was_trained_with_another_seed_and_back_is_removed_from(workspace: Workspace) -> None:
    toy = toys.toy_of("averages", 3)
    toys.train(workspace, replace(toy, spec=replace(toy.spec, seed=99)))
    toys.train(workspace, toy)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    assert toys.carry(workspace).verdict == "certified"


def test_what_is_trained_again_stays_where_another_alias_has_it(workspace: Workspace, upgraded: Upgrade) -> None:
    """The alias that the request does not reach keeps its parts and serves on."""
    toy = toys.toy_of("averages", 3)
    rest = tuple(name for name in toy.spec.shards if name != "shard-2")
    toys.train(workspace, replace(toy, spec=replace(toy.spec, alias="next", shards=rest)))
    before = toys.bytes_by_name(workspace, toys.RELEASE, "next")
    assert set(before.items()) < set(toys.bytes_by_name(workspace, toys.RELEASE, "live").items()), (
        "they share what the request does not touch"
    )
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)])
    upgraded.install()
    toys.approved(workspace, "R-1", retrain_untouched=True)
    assert toys.carry(workspace).verdict == "certified"
    assert toys.bytes_by_name(workspace, toys.RELEASE, "next") == before
    assert all(workspace.objects.exists(digest) for digest in before.values())
    assert [finding.id for finding in audit(workspace) if finding.level.value == "error"] == []


def test_what_was_re_executed_once_stands_whatever_was_recorded_since(workspace: Workspace) -> None:
    """A later recording of the same bytes, made elsewhere, does not take back what was shown here."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    assert toys.carry(workspace).verdict == "certified"
    for fact in list(workspace.ledger.facts("component")):
        component = restore(Component, fact.body["component"])
        if component.name.endswith(("scale", "shard-4")):
            elsewhere = {**component.environment, "libraries": {"numpy": "0.1"}}
            recipe = {**component.recipe, "threads": 7}
            workspace.ledger.append(
                "component", {"component": plain(replace(component, environment=elsewhere, recipe=recipe))}
            )
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 0)], request_id="R-2")
    assert toys.carry(workspace, "R-2").verdict == "certified"


def test_data_that_the_evidence_needs_and_that_is_gone_is_said_before_containment(workspace: Workspace) -> None:
    from disgorge.errors import DisgorgeError

    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)])
    workspace.content_path(toys.live_shards(workspace)["shard-4"].digest).unlink()
    with pytest.raises(DisgorgeError, match=r"the data of shard 'shard-4' is missing.*dvc pull"):
        plan_request(workspace, "R-1")
    assert not toys.is_contained(workspace, toys.RELEASE)
