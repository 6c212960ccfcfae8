"""The pass end to end on the hand-checkable method: what moves, what stays, what is refused, what survives a kill."""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import (
    AlreadyExecuted,
    CertificateRefused,
    DataHeld,
    DisgorgeError,
    NotApproved,
    StalePlan,
)
from disgorge.plan.plan import Action
from disgorge.removal.conflicts import keepers
from disgorge.removal.containment import deny_begun
from disgorge.removal.execute import Executed
from disgorge.removal.fulfilled_by import close_fulfilled
from disgorge.request.case import case_of, plan_of
from disgorge.request.history.lost_facts import accept_loss
from disgorge.request.holds.hold import hold_request
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.plan_request import plan_request
from disgorge.tracking.client import Store
from disgorge.tracking.registry import Registrar, Registry
from disgorge.training.recipe import Done, Job, OnProgress, trains, unseen
from lineage.catalog.catalog import Catalog
from lineage.errors import LedgerBroken, LineageError
from lineage.records import Composition, Selector, plain
from lineage.shards.add import add_shard, shard_rows
from lineage.storage.tensors import load_tensors, save_tensors
from lineage.workspace import Workspace
from policies.events import EventKind
from policies.taxonomy import Outcome
from tests import toys
from tests.in_process import InProcessRunner
from tests.tier import tally


def test_a_whole_shard_is_subtracted_and_nothing_is_trained(workspace: Workspace) -> None:
    before = toys.bytes_by_name(workspace, toys.RELEASE)
    plan = toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    assert [step.action for step in plan.steps if step.release == toys.RELEASE] == [
        Action.CONTAIN, Action.SUBTRACT, Action.RECOMPOSE, Action.PROBE, Action.ADOPT,
    ]  # fmt: skip
    assert plan.cost.steps == 0
    executed = toys.carry(workspace)
    assert executed.verdict == "certified"
    after = toys.bytes_by_name(workspace, toys.RELEASE)
    del before[f"{toys.RELEASE}/mean/shard-2"]
    assert after == before


def test_one_person_costs_one_component_and_is_gone_from_the_store(workspace: Workspace) -> None:
    before, old_shard = toys.bytes_by_name(workspace, toys.RELEASE), toys.live_shards(workspace)["shard-3"].digest
    plan = toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    assert toys.carry(workspace).verdict == "certified"
    after = toys.bytes_by_name(workspace, toys.RELEASE)
    assert {name for name in before if before[name] != after[name]} == {f"{toys.RELEASE}/mean/shard-3"}
    assert toys.live_shards(workspace)["shard-3"].count == 9
    assert not workspace.objects.exists(before[f"{toys.RELEASE}/mean/shard-3"])
    assert not workspace.content_path(old_shard).exists()
    assert not workspace.manifest_path(old_shard).exists()
    assert not toys.items_of(workspace, [toys.person(workspace, "shard-3", 1)])
    done = [fact.body["step"] for fact in workspace.ledger.facts("step") if fact.body["plan"] == plan.digest]
    assert done == [step.id for step in plan.steps], "a fact each"


class Batches(InProcessRunner):
    """Notes which components are trained side by side, and stops a removal at one of them."""

    def __init__(self, workspace: Workspace, *, stops_at: str = "") -> None:
        super().__init__(workspace)
        self.trained: list[list[str]] = []
        self._stops_at = stops_at

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Yield each job as it is done."""
        jobs = list(jobs)
        if names := [job.name for job in jobs if trains(job.recipe)]:
            self.trained.append(names)
        for done in super().run(jobs, on_progress=on_progress, **how):
            if done.job.name == self._stops_at:
                raise KeyboardInterrupt
            yield done


def test_what_a_removal_trains_again_of_a_release_is_trained_side_by_side(workspace: Workspace) -> None:
    """Each part has its step all the same, and what was trained before a kill is not trained again."""
    persons = [toys.person(workspace, shard, 1) for shard in ("shard-1", "shard-2", "shard-3")]
    plan = toys.granted_plan(workspace, persons)
    parts = [f"{toys.RELEASE}/mean/shard-{number}" for number in (1, 2, 3)]
    assert sorted(step.subject for step in plan.steps if step.action is Action.RETRAIN) == parts
    killed, resumed = Batches(workspace, stops_at=parts[1]), Batches(workspace)
    with pytest.raises(KeyboardInterrupt):
        toys.carry(workspace, runner=killed)
    assert list(map(sorted, killed.trained)) == [parts]
    assert toys.carry(workspace, runner=resumed).verdict == "certified"
    assert list(map(sorted, resumed.trained[:1])) == [parts[1:]]
    done = [fact.body["step"] for fact in workspace.ledger.facts("step") if fact.body["plan"] == plan.digest]
    assert done == [step.id for step in plan.steps], "a fact each"


def test_an_unapproved_plan_is_not_executed(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    head = workspace.ledger.lineage_head()
    toys.filed_and_decided(workspace, [Selector("shard", "shard-4")], request_id="R-2")
    plan_request(workspace, "R-2")
    with pytest.raises(NotApproved, match="0 of 1 approvals"):
        toys.carry(workspace, "R-2")
    assert workspace.ledger.lineage_head() == head


def test_a_plan_goes_stale_when_lineage_moves(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [Selector("shard", "shard-2")], request_id="R-1")
    toys.remove(workspace, [Selector("shard", "shard-4")], request_id="R-2")
    with pytest.raises(StalePlan, match="plan again"):
        toys.carry(workspace, "R-1")


def test_a_wrong_digest_is_not_approved(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    with pytest.raises(StalePlan, match="is not the digest"):
        approve_plan(workspace, "R-1", "0" * 64, approver="bea")


def test_executing_twice_is_refused_and_changes_nothing(workspace: Workspace) -> None:
    toys.remove(workspace, [Selector("shard", "shard-2")])
    head = workspace.ledger.head()
    with pytest.raises(AlreadyExecuted, match="is closed"):
        toys.carry(workspace)
    assert workspace.ledger.head() == head


def test_forged_retraining_is_refused_and_the_release_stays_down(workspace: Workspace, tmp_path: Path) -> None:
    """An operator records old weights under the new recipe; re-execution in the probe step finds out."""
    plan, name = toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)]), f"{toys.RELEASE}/mean/shard-3"
    old = load_tensors(workspace.objects.get(toys.bytes_by_name(workspace, toys.RELEASE)[name]))
    honest = Workspace.open(Path(shutil.copytree(workspace.root, tmp_path / "honest")))
    toys.stopped(honest, Action.RECOMPOSE)
    toys.stopped(workspace, Action.RETRAIN)
    forged = workspace.objects.put(save_tensors({**old, "counts": old["counts"] + 1}))
    component = replace(toys.component_of(honest, name), digest=forged)
    workspace.ledger.append("component", {"component": plain(component)})
    with pytest.raises(CertificateRefused, match="never-trained"):
        toys.carry(workspace)
    assert toys.is_contained(workspace, toys.RELEASE)
    assert toys.is_open(workspace)
    assert plan_of(workspace, case_of(workspace, "R-1")).digest == plan.digest


def test_a_destroyed_release_takes_its_references_along(workspace: Workspace) -> None:
    """Never-trained references of a release serve its probes only; destroyed means that they are gone too."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], named=toys.SINGLE)
    toys.carry(workspace, references=3)
    assert any("~reference-" in name for name in toys.component_names(workspace))
    toys.granted_plan(workspace, [Selector("shard", "shard-2")], toys.ORDER, request_id="R-2")
    weights = {fact.body["component"]["digest"] for fact in workspace.ledger.facts("component")}
    assert toys.carry(workspace, "R-2").verdict == "certified"
    with Catalog.of(workspace) as catalog:
        assert catalog.components() == ()
        assert catalog.releases() == ()
    assert not [digest for digest in weights if workspace.objects.exists(digest)]


class Contrary(InProcessRunner):
    """Reaches other bytes than everybody else, as a re-execution does where something was kept that should be gone."""

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Yield each job with the digest of other weights; questions are answered as they are."""
        for done in super().run(jobs, on_progress=on_progress, **how):
            if not trains(done.job.recipe) or done.job.entry:  # or a planted job
                yield done
                continue
            others = {
                name: tensor + 1 for name, tensor in load_tensors(self.workspace.objects.get(done.digest)).items()
            }
            yield replace(done, digest=self.workspace.objects.put(save_tensors(others)))


def test_a_release_whose_check_fails_for_good_can_be_destroyed(workspace: Workspace) -> None:
    old = set(toys.bytes_by_name(workspace, toys.RELEASE).values())
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    with pytest.raises(CertificateRefused, match=f"request plan R-1 --withdraw {toys.RELEASE}"):
        toys.carry(workspace, independent=lambda: Contrary(workspace))
    with pytest.raises(DisgorgeError, match=f"nobody cannot be withdrawn by R-1: it reaches {toys.RELEASE}"):
        plan_request(workspace, "R-1", withdraw=["nobody"])
    plan = plan_request(workspace, "R-1", withdraw=[toys.RELEASE])
    assert {step.action for step in plan.steps if step.release == toys.RELEASE} == {Action.CONTAIN, Action.WITHDRAW}
    approve_plan(workspace, "R-1", plan.digest, approver="ann")
    assert toys.carry(workspace).verdict == "certified"
    with Catalog.of(workspace) as catalog:
        assert not catalog.releases()
        assert not old & {component.digest for component in catalog.components()}
    assert not [digest for digest in old if workspace.objects.exists(digest)]


# What was put back after the purge


class Removed:
    """A removal done up to its report, and what was there before."""

    def __init__(self, workspace: Workspace, *, database: Path | None = None, by_key: bool = False) -> None:
        self.workspace = workspace
        self.registrar: Any = Registrar()
        if database is not None:
            shutil.copy(database, self.workspace.root / "mlflow.db")
            self.registrar = Registry(Store(self.workspace.root))
        self.before = toys.served(self.workspace, toys.RELEASE)
        self.old = self.workspace.objects.path(
            toys.bytes_by_name(self.workspace, toys.RELEASE)[f"{toys.RELEASE}/mean/shard-3"]
        )
        self.shard = self.workspace.content_path(toys.live_shards(self.workspace)["shard-3"].digest)
        self.saved = {path: path.read_bytes() for path in (self.old, self.shard)}
        key = shard_rows(self.workspace, toys.live_shards(self.workspace)["shard-3"].digest)[0].key
        toys.granted_plan(
            self.workspace, [Selector("key", key) if by_key else toys.person(self.workspace, "shard-3", 1)]
        )
        toys.stopped(self.workspace, Action.REPORT, registrar=self.registrar)

    def carry(self) -> Executed:
        """Carry the removal out."""
        return toys.carry(self.workspace, registrar=self.registrar)


@pytest.mark.parametrize("what", ["old", "shard"])
def test_what_was_put_back_after_the_purge_is_no_certificate(workspace: Workspace, what: str) -> None:
    removed = Removed(workspace)
    path = getattr(removed, what)
    assert not path.exists()
    path.write_bytes(removed.saved[path])
    with pytest.raises(CertificateRefused, match="what was purged is back"):
        removed.carry()
    if what == "old":
        tally("liars", "old weights put back", where="stores", caught=True)
    assert toys.is_open(removed.workspace)
    path.unlink()
    assert removed.carry().verdict == "certified"


def test_items_of_the_same_person_that_came_meanwhile_are_no_certificate(workspace: Workspace, tmp_path: Path) -> None:
    """They were trained on, too; planned again, everything goes."""
    removed = Removed(workspace)
    toy = toys.toy_of("averages", 9)
    late = tmp_path / "late.npz"
    toys.write_rows(late, "shard-3", toy.items["shard-1"], range(6))  # people 0 and 1 of shard-3
    add_shard(
        workspace, late, name="late", key="key", subject="subject", source="a form", license="MIT",
        legal_basis="consent", check=False, dvc=False,
    )  # fmt: skip
    toys.train(workspace, replace(toy, spec=replace(toy.spec, release="other", shards=("late", "shard-1"))))
    with pytest.raises(CertificateRefused, match=r"3 items of late fit what it selects.*request plan R-1"):
        removed.carry()
    assert toys.is_open(workspace)
    toys.approved(workspace)
    assert removed.carry().verdict == "certified"
    assert toys.live_shards(workspace)["late"].count == 3


@pytest.mark.parametrize("damage", ["cut", "another key"])
def test_while_nobody_can_read_what_was_asked_for_there_is_no_certificate(workspace: Workspace, damage: str) -> None:
    """Items that came meanwhile cannot be looked for by what a damaged file says; only an erased one is let be."""
    removed = Removed(workspace, by_key=True)
    (file,) = (removed.workspace.home / "private" / "requests").iterdir()
    whole = file.read_text()
    told = json.loads(whole)
    other = told | {"selectors": dict.fromkeys(told["selectors"], "somebody-else")}
    file.write_text(whole[:-9] if damage == "cut" else json.dumps(other))
    with pytest.raises((DisgorgeError, LineageError), match=r"restore it from a backup"):
        removed.carry()
    assert toys.is_open(removed.workspace)
    file.write_text(whole)
    assert removed.carry().verdict == "certified"


@pytest.mark.parametrize("what", ["old", "shard"])
def test_what_comes_back_after_the_certificate_is_found_by_the_audit(workspace: Workspace, what: str) -> None:
    removed = Removed(workspace)
    assert removed.carry().verdict == "certified"
    assert not [finding for finding in audit(removed.workspace) if finding.rule.id == "DSG012"]
    path = getattr(removed, what)
    path.write_bytes(removed.saved[path])
    (found,) = [finding for finding in audit(removed.workspace) if finding.rule.id == "DSG012"]
    assert found.where == path.relative_to(removed.workspace.root).as_posix()
    assert "deleted for request R-1" in found.words


def test_an_alias_that_was_moved_back_is_no_certificate(workspace: Workspace) -> None:
    removed = Removed(workspace)
    now = toys.served(removed.workspace, toys.RELEASE)
    body = {"name": toys.RELEASE, "alias": "live", "composition": removed.before}
    removed.workspace.ledger.append("release", body)
    with pytest.raises(CertificateRefused, match="serves the old release again"):
        removed.carry()
    removed.workspace.ledger.append("release", body | {"composition": now})
    assert removed.carry().verdict == "certified"


def test_an_alias_that_never_moved_in_mlflow_is_no_certificate(workspace: Workspace, database: Path) -> None:
    removed = Removed(workspace, database=database)
    with Catalog.of(removed.workspace) as catalog:
        now: Composition = catalog.composition(toys.served(removed.workspace, toys.RELEASE))
        old = catalog.composition(removed.before)
    other = Composition(now.method, {**now.spec, "note": "another"}, now.members)
    removed.registrar.adopt(toys.RELEASE, "live", other)
    with pytest.raises(CertificateRefused, match="in MLflow is not what was adopted"):
        removed.carry()
    removed.registrar.adopt(toys.RELEASE, "live", old)
    with pytest.raises(CertificateRefused, match="in MLflow is not what was adopted"):
        removed.carry()
    removed.registrar.adopt(toys.RELEASE, "live", now)
    with pytest.raises(CertificateRefused, match="what was purged is back: MLflow model version"):
        removed.carry()  # the old version is registered, if under no alias


# After the ledger lost its last facts


@pytest.fixture(scope="module")
def withdrawn(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose removal of a person, from two shards, was killed after the items were withdrawn."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("withdrawn") / "workspace"))
    workspace = Workspace.open(folder)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 1), toys.person(workspace, "shard-3", 1)])
    toys.stopped(workspace, Action.RETRAIN)
    return folder


@pytest.fixture(scope="module")
def finished(withdrawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, carried out to the end."""
    folder = Path(shutil.copytree(withdrawn, tmp_path_factory.mktemp("finished") / "workspace"))
    assert toys.carry(Workspace.open(folder)).verdict == "certified"
    return folder


def lose(workspace_folder: Path, count: int) -> Workspace:
    """Lose the last facts of a ledger, and return it as whoever comes next opens it."""
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-count]))
    workspace = Workspace.open(workspace_folder)
    with pytest.raises(LedgerBroken, match="was cut"):
        workspace.ledger.verify()
    return workspace


def approve_again(workspace: Workspace) -> None:
    """Approve the plan once more, having looked."""
    approve_plan(workspace, "R-1", plan_of(workspace, case_of(workspace, "R-1")).digest, approver="ann")


@pytest.mark.parametrize("count", [1, 3, 4])
def test_withdrawn_items_are_withdrawn_again_where_the_step_is_not_whole(
    withdrawn: Path, finished: Path, tmp_path: Path, count: int
) -> None:
    """The step recorded two shards, their withdrawals and itself; as many of these are lost."""
    workspace = lose(Path(shutil.copytree(withdrawn, tmp_path / "workspace")), count)
    accepted = accept_loss(workspace)
    assert accepted.loss.last - accepted.loss.first + 1 == (5 if count < 4 else count)
    assert accepted.open == {"R-1": "executing"}
    with pytest.raises(NotApproved, match="0 of 1 approvals since facts were lost, holds perhaps among them"):
        toys.carry(workspace)
    approve_again(workspace)
    done = toys.carry(workspace)
    assert done.verdict == "certified"
    assert toys.served(workspace, toys.RELEASE) == toys.served(Workspace.open(finished), toys.RELEASE)
    assert [(each.id, each.level.value) for each in audit(workspace)] == [("DSG016", "warning")]
    assert [words for words in toys.residuals(done) if "The ledger is not complete" in words]


@pytest.mark.parametrize("count", [1, 3])
def test_a_request_whose_end_is_lost_is_closed_again(finished: Path, tmp_path: Path, count: int) -> None:
    """The report step recorded itself, the report and the end of the request; as many of these are lost."""
    workspace = lose(Path(shutil.copytree(finished, tmp_path / "workspace")), count)
    assert accept_loss(workspace).open == {"R-1": "executing"}
    approve_again(workspace)
    assert toys.carry(workspace).verdict == "certified"
    assert case_of(workspace, "R-1").closed == "done"
    assert {each.id for each in audit(workspace)} == {"DSG016"}


def test_a_report_from_before_the_loss_is_explained_by_it(finished: Path, tmp_path: Path) -> None:
    """It names facts that the ledger does not have, and the ledger says why; without that it was rewritten."""
    workspace_folder = Path(shutil.copytree(finished, tmp_path / "workspace"))
    workspace = lose(workspace_folder, 4)
    accept_loss(workspace)
    told = {(each.id, each.where) for each in audit(workspace) if each.id in ("DSG013", "DSG015", "DSG016")}
    assert told == {("DSG016", "ledger"), ("DSG016", "reports/R-1")}


def test_a_withdrawal_that_another_request_overlaps_is_withdrawn_again_too(workspace: Workspace) -> None:
    """What is lost is the step behind the fact that says how the two requests overlap."""
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)], request_id="R-2")
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 0)])
    toys.stopped(workspace, Action.RECOMPOSE)
    kinds = [fact.kind for fact in workspace.ledger.facts()]
    assert "overlap" in kinds
    workspace = lose(workspace.root, len(kinds) - 1 - kinds.index("overlap"))
    accept_loss(workspace)
    approve_again(workspace)
    assert toys.carry(workspace).verdict == "certified"


# Denied halfway


KEY = Selector("key", "shard-3-4")


def set_aside(workspace: Workspace, at: Action) -> tuple[str, ...]:
    """Begin to carry out an order, which is set aside before a step, and close it; returns what was told."""
    facts = {"order_reference": "1", "order_deadline": "2027-02-01", "order_scope": "influence"}
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], toys.ORDER, facts=facts)
    toys.approved(workspace)
    toys.stopped(workspace, at)
    with pytest.raises(DisgorgeError, match="resume it, it can no longer be denied"):
        deny_begun(workspace, "R-1", reason="other", registrar=Registrar())
    record_event(workspace, "R-1", EventKind.ORDER_WITHDRAWN, by="Ann")
    assert toys.decide(workspace) is Outcome.DENIED
    with pytest.raises(StalePlan, match="nothing more is carried out"):
        toys.carry(workspace)
    told = deny_begun(workspace, "R-1", reason="claim-not-covered", registrar=Registrar())
    assert case_of(workspace, "R-1").closed == "denied"
    return told


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (Action.WITHDRAW_ITEMS, ["toy-averages@live is served again, as it was before R-1 contained it"]),
        (Action.RETRAIN, ["stays out of service", "were withdrawn for it and are not brought back"]),
        (Action.PURGE, ["were withdrawn for it and are not brought back"]),
        (
            Action.REPORT,
            [
                "backups and copies outside",
                "names and times of files",
                "of code and packages",
                "were withdrawn for it and are not brought back",
            ],
        ),
    ],
)
def test_it_can_be_closed_and_is_in_nobodys_way(workspace: Workspace, at: Action, said: list[str]) -> None:
    """Resuming was refused because it is denied, and denying because it was begun: for good, and for others too."""
    told = set_aside(workspace, at)
    assert len(told) == len(said)
    assert all(words in each for words, each in zip(said, told, strict=True))
    assert toys.is_contained(workspace, "toy-averages") is (at is Action.RETRAIN)
    if at is not Action.RETRAIN:
        assert toys.remove(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2").verdict == "certified"


def test_who_asks_for_what_it_left_is_not_told_that_nothing_is_here(workspace: Workspace) -> None:
    """No live shard has the items any more; the old one, which nothing purges, has."""
    set_aside(workspace, Action.PURGE)
    (words,) = keepers(workspace, [KEY])
    content = words.split("selects: ")[1].split(", ")[0]
    assert words.startswith("an old shard that request R-1, denied in the middle, left holds items that it selects")
    assert (workspace.root / content).is_file()
    assert not keepers(workspace, [Selector("key", "shard-2-4")])
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2").verdict == "certified"
    assert not keepers(workspace, [toys.person(workspace, "shard-3", 1)])  # that purge took the old shard along


def test_one_that_selects_the_same_cannot_rest_on_it(workspace: Workspace) -> None:
    """Planning names it as what removed the items; closing by it says how the other ends."""
    toys.filed_and_decided(workspace, [KEY], request_id="R-2")
    set_aside(workspace, Action.PURGE)
    with pytest.raises(DisgorgeError, match="R-1 removed its items"):
        plan_request(workspace, "R-2")
    with pytest.raises(DisgorgeError, match=r"R-1 is closed as denied.*with `disgorge request deny"):
        close_fulfilled(workspace, "R-2", by_request="R-1", registrar=Registrar())


def test_a_held_item_that_it_left_in_an_old_shard_is_not_swept_up(workspace: Workspace) -> None:
    """That shard also holds items of R-2, whose purge deletes it."""
    set_aside(workspace, Action.PURGE)
    toys.file(workspace, [Selector("shard", "shard-1")], toys.COURT, request_id="H-1")
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    with pytest.raises(DataHeld, match=r"request H-1 holds 1 of 6 items \(exhibit 7\)"):
        toys.carry(workspace, "R-2")
    shards = {fact.body["shard"]["digest"] for fact in workspace.ledger.facts("shard")}
    there = [shard for shard in shards if workspace.content_path(shard).is_file()]
    assert KEY.value in {row.key for shard in there for row in shard_rows(workspace, shard)}
    hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
    assert toys.carry(workspace, "R-2").verdict == "certified"
