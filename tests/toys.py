"""Workspaces made from a method's toy, and one removal through the whole pass, as short calls for tests."""

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from disgorge.method import Items, Toy, method_named
from disgorge.plan.plan import Action, Plan, Step
from disgorge.removal.execute import Executed, execute
from disgorge.report.bundle import verify_bundle
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.filing import file_request
from disgorge.request.workflow.plan_request import plan_request, plan_requests
from disgorge.tracking.registry import Registrar, Unregistered
from disgorge.tracking.runs import Untracked
from disgorge.training.make import Made, make
from disgorge.training.recipe import Runner
from disgorge.training.runners.in_process import InProcessRunner
from lineage.catalog.catalog import Catalog
from lineage.records import Selector, Shard, plain
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from policies.packs.load import load_packs
from policies.request import Standing
from policies.taxonomy import Defect

PEOPLE_HOLD = 3
"""Items each invented person holds, within one shard."""


def toy_of(method: str, seed: int) -> Toy:
    """The toy of a registered method."""
    return method_named(method).toy(seed)


def populate(
    workspace: Workspace,
    toy: Toy,
    folder: Path,
    *,
    leave_out: Callable[[str, int], bool] | None = None,
    dvc: bool = False,
) -> None:
    """Register a toy's shards; row r of shard s has key ``s-r``, and rows come from people in groups of three.

    ``leave_out(shard, row)`` says which rows were never there: that is how a never-trained workspace is made.
    ``dvc`` tracks the shards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in toy.items.items():
        rows = [row for row in range(len(items)) if not (leave_out and leave_out(name, row))]
        if rows:
            source = folder / f"{name}.npz"
            write_rows(source, name, items, rows)
            core = name in toy.spec.core
            add_shard(
                workspace, source, name=name, key="key", subject="subject", source=f"source-of-{name}", license="MIT",
                legal_basis="public domain" if core else "consent", core=core, check=False, dvc=dvc,
            )  # fmt: skip


def write_rows(path: Path, name: str, items: Items, rows: Sequence[int]) -> None:
    """Write some rows of a toy's shard as NPZ, with keys and people."""
    index = np.array(rows)
    people = np.array([f"{name}-person-{row // PEOPLE_HOLD}" for row in rows])
    keys = np.array([f"{name}-{row}" for row in rows])
    np.savez(path, key=keys, subject=people, **{field: array[index] for field, array in items.arrays.items()})


def live_shards(workspace: Workspace) -> dict[str, Shard]:
    """The live shards by name."""
    with Catalog.of(workspace) as catalog:
        return {shard.name: shard for shard in catalog.shards()}


def train(workspace: Workspace, toy: Toy) -> Made:
    """Train a toy and release it under its alias."""
    made = make(workspace, toy.spec, InProcessRunner(workspace), shards=live_shards(workspace))
    workspace.ledger.append("composition", {"composition": plain(made.composition)})
    body = {"name": toy.spec.release, "alias": toy.spec.alias, "composition": made.composition.digest}
    workspace.ledger.append("release", body)
    return made


def person(workspace: Workspace, shard: str, number: int) -> Selector:
    """A selector for one of a toy's people."""
    return Selector("subject", workspace.pseudonym(f"{shard}-person-{number}"))


def filed_and_decided(workspace: Workspace, selectors: Sequence[Selector], *, request_id: str = "R-1") -> None:
    """File and decide a withdrawal that the contract pack grants."""
    file_request(
        workspace, standing=Standing.CONTRIBUTOR, ground=Defect.CONTRACT, regime="contract", selectors=selectors,
        received=dt.date(2026, 11, 2), identity_verified=True, request_id=request_id, facts={"all_theirs": True},
    )  # fmt: skip
    decide_request(workspace, request_id, load_packs())


def granted_plan(
    workspace: Workspace, selectors: Sequence[Selector], *, request_id: str = "R-1", every_probe: bool = False
) -> Plan:
    """File, decide, plan and approve a withdrawal that the contract pack grants, with the loss its plan warns of."""
    filed_and_decided(workspace, selectors, request_id=request_id)
    plan = plan_request(workspace, request_id, every_probe=every_probe)
    approve_plan(workspace, request_id, plan.digest, approver="ann", accept_utility_loss=bool(plan.warnings))
    return plan


def carry(
    workspace: Workspace,
    request_id: str = "R-1",
    *,
    runner: Runner | None = None,
    independent: Callable[[], Runner] | None = None,
    references: int = 0,
    registrar: Registrar | None = None,
) -> Executed:
    """Execute an approved request in this process; references and a registry are left out unless asked for.

    References are trained only where the plan has probes.
    """
    return execute(
        workspace,
        request_id,
        runner=runner or InProcessRunner(workspace),
        independent=independent or (lambda: InProcessRunner(workspace)),
        references=references,
        registrar=registrar or Unregistered(),
        observer=Untracked(),
    )


class StoppedError(BaseException):
    """A kill, as far as the shell can tell."""


def stopped(workspace: Workspace, before: Action, request_id: str = "R-1") -> None:
    """Execute a request and be killed before the first step of that action."""

    def stop(step: Step) -> None:
        if step.action is before:
            raise StoppedError

    with pytest.raises(StoppedError):
        execute(
            workspace,
            request_id,
            runner=InProcessRunner(workspace),
            independent=lambda: InProcessRunner(workspace),
            references=0,
            registrar=Unregistered(),
            observer=Untracked(),
            on_step=stop,
        )


def is_contained(workspace: Workspace, release: str) -> bool:
    """Whether a release is out of service."""
    with Catalog.of(workspace) as catalog:
        return catalog.release(release).contained


def remove(workspace: Workspace, selectors: Sequence[Selector], *, request_id: str = "R-1") -> Executed:
    """One removal through the whole pass."""
    granted_plan(workspace, selectors, request_id=request_id)
    return carry(workspace, request_id)


def remove_together(workspace: Workspace, asked: Mapping[str, Sequence[Selector]]) -> Executed:
    """Several removals in one plan, by the requests' ids."""
    for request_id, selectors in asked.items():
        filed_and_decided(workspace, selectors, request_id=request_id)
    plan = plan_requests(workspace, list(asked))
    approve_plan(workspace, plan.request, plan.digest, approver="ann", accept_utility_loss=bool(plan.warnings))
    return carry(workspace, plan.request)


def served(workspace: Workspace, release: str) -> str:
    """The digest of the composition a release serves now."""
    with Catalog.of(workspace) as catalog:
        return catalog.release(release).composition


def bytes_by_name(workspace: Workspace, release: str) -> dict[str, str]:
    """Component digests by name in what a release serves now."""
    with Catalog.of(workspace) as catalog:
        composition = catalog.composition(catalog.release(release).composition)
    return {member.name: member.component for member in composition.members}


def residuals(done: Executed) -> list[str]:
    """Return what a report calls left, from its signed statement."""
    assert verify_bundle(done.bundle).verdict == "certified"
    statement = json.loads(base64.b64decode(json.loads((done.bundle / "statement.json").read_bytes())["payload"]))
    return list(statement["predicate"]["caveats"]["this_removal"])
