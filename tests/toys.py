"""Workspaces made from a method's toy, and one removal through the whole pass, as short calls for tests.

The workspace that most tests share, ``workspace`` of ``tests/conftest.py``, is a copy of ``trained_toy(folder)``.
"""

import base64
import datetime as dt
import json
import resource
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.audit.rules import audit
from disgorge.method import Items, Toy, method_named
from disgorge.plan.plan import Action, Plan, Step
from disgorge.removal.execute import Executed, execute
from disgorge.report.bundle import verify_bundle
from disgorge.request.case import case_of
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.filing import file_request
from disgorge.request.workflow.plan_request import plan_requests
from disgorge.tracking.registry import Registrar
from disgorge.tracking.runs import Observer
from disgorge.training.make import Made, make
from disgorge.training.recipe import Runner
from disgorge.training.runners.declared import declared
from disgorge.training.sandbox.levels import Level
from lineage.catalog.catalog import Catalog
from lineage.ledger.chain import Fact, encode, next_fact
from lineage.records import Component, Composition, Selector, Shard, canonical, plain
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from policies.packs.load import load_packs
from policies.request import Standing
from policies.taxonomy import Defect, Outcome
from tests.in_process import InProcessRunner

PEOPLE_HOLD = 3
"""Items each invented person holds, within one shard."""
RELEASE = "toy-averages"
NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
"""When everything happens in the shared workspace."""
RECEIVED = dt.date(2026, 11, 2)

CONTRACT: dict[str, Any] = {
    "standing": Standing.CONTRIBUTOR, "ground": Defect.CONTRACT, "regime": "contract", "identity_verified": True,
    "facts": {"all_theirs": True},
}  # fmt: skip
"""A withdrawal that the contract pack grants."""
SINGLE = ("forget-quality", "membership", "memorization")
"""The statistical probes that look at one removed model."""
UNVERIFIED = CONTRACT | {"identity_verified": False, "facts": None, "received": None}
"""The same as a stranger files it, today."""
ORDER: dict[str, Any] = {
    "standing": Standing.REGULATOR, "ground": Defect.REGULATOR_ORDER, "regime": "regulator-order",
    "identity_verified": True,
    "facts": {"order_deadline": "2099-12-31", "order_reference": "C-0000", "order_scope": "whole-lineage"},
}  # fmt: skip
"""A regulator's order, which two people approve: everything built on the data goes."""
COURT = ORDER | {"ground": Defect.PRIVACY, "identity_verified": False, "facts": None}
"""A court's order that concerns nobody's claim: what holds are put on with."""
GDPR: dict[str, Any] = {"standing": Standing.DATA_SUBJECT, "ground": Defect.PRIVACY, "regime": "gdpr"}
"""A data subject's request whose identity is not verified."""


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


def train(workspace: Workspace, toy: Toy, runner: Runner | None = None) -> Made:
    """Train a toy and release it under its alias."""
    made = make(
        workspace,
        toy.spec,
        runner or InProcessRunner(workspace),
        method=declared(toy.spec.method),
        shards=live_shards(workspace),
    )
    workspace.ledger.append("composition", {"composition": plain(made.composition)})
    body = {"name": toy.spec.release, "alias": toy.spec.alias, "composition": made.composition.digest}
    workspace.ledger.append("release", body)
    return made


def trained_toy(
    folder: Path, *, method: str = "averages", seed: int = 3, clock: Callable[[], dt.datetime] | None = lambda: NOW,
    **spec: Any,
) -> Workspace:  # fmt: skip
    """Train a toy, its specification changed as said, in ``folder / "workspace"``; its sources lie beside that."""
    workspace, toy = Workspace.init(folder / "workspace", **({"clock": clock} if clock else {})), toy_of(method, seed)
    toy = replace(toy, spec=replace(toy.spec, **spec))
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    return workspace


def at(workspace: Workspace | Path, day: dt.date) -> Workspace:
    """The workspace on some day."""
    folder = workspace if isinstance(workspace, Path) else workspace.root
    return Workspace.open(folder, clock=lambda: dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC))


def person(workspace: Workspace, shard: str, number: int) -> Selector:
    """A selector for one of a toy's people."""
    return Selector("subject", workspace.pseudonym(f"{shard}-person-{number}"))


def file(
    workspace: Workspace, selectors: Sequence[Selector], kind: Mapping[str, Any] = CONTRACT, *,
    request_id: str = "R-1", **how: Any,
) -> None:  # fmt: skip
    """File a request of a kind, in part another."""
    asked = {"selectors": selectors, "received": RECEIVED, "request_id": request_id, **kind, **how}
    file_request(workspace, **asked)


def decide(workspace: Workspace, request_id: str = "R-1") -> Outcome:
    """Decide a request by the shipped packs."""
    return decide_request(workspace, request_id, load_packs()).outcome


def filed_and_decided(
    workspace: Workspace, selectors: Sequence[Selector], kind: Mapping[str, Any] = CONTRACT, *,
    request_id: str = "R-1", **how: Any,
) -> None:  # fmt: skip
    """File and decide a request, by default a withdrawal that the contract pack grants."""
    file(workspace, selectors, kind, request_id=request_id, **how)
    decide(workspace, request_id)


def approved(workspace: Workspace, request_id: str = "R-1", *together: str, by: str = "", **how: Any) -> Plan:
    """Plan a request, or several together, and approve the plan by as many people as it needs, with what it warns of.

    ``by`` is the request that approvers name.
    """
    plan = plan_requests(workspace, [request_id, *together], **how)
    by, lossy = by or request_id, bool(plan.warnings)
    for approver in ("ann", "bea")[: plan.approvals]:
        approve_plan(workspace, by, plan.digest, approver=approver, accept_utility_loss=lossy)
    return plan


def granted_plan(
    workspace: Workspace, selectors: Sequence[Selector], kind: Mapping[str, Any] = CONTRACT, *,
    request_id: str = "R-1", named: Collection[str] = (),
) -> Plan:  # fmt: skip
    """File, decide, plan and approve a request, by default a withdrawal that the contract pack grants."""
    filed_and_decided(workspace, selectors, kind, request_id=request_id)
    return approved(workspace, request_id, named=named)


def carry(
    workspace: Workspace,
    request_id: str = "R-1",
    *,
    runner: Runner | None = None,
    independent: Callable[[], Runner] | None = None,
    references: int = 0,
    registrar: Registrar | None = None,
    observer: Observer | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_words: Callable[[str], None] = lambda words: None,
) -> Executed:
    """Execute an approved request in this process; references and a registry are left out unless asked for.

    What is run again to compare claims the closest confinement, as it has it where a removal is carried out for real.

    References are trained only where the plan has probes.
    """
    return execute(
        workspace,
        request_id,
        runner=runner or InProcessRunner(workspace),
        independent=independent or (lambda: InProcessRunner(workspace, claims=Level.NAMESPACE)),
        references=references,
        registrar=registrar or Registrar(),
        observer=observer or Observer(),
        on_step=on_step,
        on_words=on_words,
    )


def doing(deed: Callable[[], None], before: Action, subject: str | None = None) -> Callable[[Step], None]:
    """What ``on_step`` is to do: a deed before each step of an action, or before that about one subject."""

    def on_step(step: Step) -> None:
        if step.action is before and subject in (None, step.subject):
            deed()

    return on_step


class StoppedError(BaseException):
    """A kill, as far as the shell can tell."""


def kill() -> None:
    """Kill the execution."""
    raise StoppedError


def stopped(
    workspace: Workspace, before: Action, request_id: str = "R-1", *, subject: str | None = None, **how: Any
) -> None:
    """Execute a request and be killed before the first step of that action, or before that about one subject."""
    with pytest.raises(StoppedError):
        carry(workspace, request_id, on_step=doing(kill, before, subject), **how)


def forget_holds(patch: pytest.MonkeyPatch) -> None:
    """Let nothing ask about holds any more, as in versions without that rule."""
    workflow = [f"request.workflow.{step}" for step in ("plan_request", "approval", "decide")]
    for module in (*workflow, "removal.execute", "removal.actions"):
        patch.setattr(f"disgorge.{module}.require_all_unheld", lambda *_, **__: None)
    patch.setattr("disgorge.removal.purge.require_purge_unheld", lambda *_, **__: None)
    patch.setattr("disgorge.request.workflow.decide.all_overlaps", lambda *_: ())


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


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let writes beyond ``size`` bytes fail in the kernel, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def is_open(workspace: Workspace, request_id: str = "R-1") -> bool:
    """Whether a request waits for what it is owed."""
    return case_of(workspace, request_id).closed is None


def audited(workspace: Workspace, *, today: dt.date | None = None) -> set[tuple[str, str, str]]:
    """What an audit finds: rule, level and subject."""
    return {(each.id, each.level.value, each.where) for each in audit(workspace, today=today)}


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
    return carry(workspace, approved(workspace, *asked).request)


def served(workspace: Workspace, release: str) -> str:
    """The digest of the composition a release serves now."""
    with Catalog.of(workspace) as catalog:
        return catalog.release(release).composition


def composition_of(workspace: Workspace, release: str = RELEASE, alias: str = "live") -> Composition:
    """What an alias of a release serves now."""
    with Catalog.of(workspace) as catalog:
        return catalog.composition(catalog.release(release, alias).composition)


def component_of(workspace: Workspace, name: str) -> Component:
    """A live component by its name."""
    with Catalog.of(workspace) as catalog:
        return catalog.component(name)


def component_names(workspace: Workspace) -> list[str]:
    """The names of the live components."""
    with Catalog.of(workspace) as catalog:
        return [component.name for component in catalog.components()]


def items_of(workspace: Workspace, selectors: Sequence[Selector]) -> set[str]:
    """The digests of the live items that selectors pick."""
    with Catalog.of(workspace) as catalog:
        return {item for items in catalog.selected(selectors).values() for item in items}


def bytes_by_name(workspace: Workspace, release: str, alias: str = "live") -> dict[str, str]:
    """Component digests by name in what an alias of a release serves now."""
    return {member.name: member.component for member in composition_of(workspace, release, alias).members}


class MemoryRegistry(Registrar):
    """A registry in memory: which digest each alias serves, and which digests a release has versions of."""

    def __init__(self) -> None:
        self.aliases: dict[tuple[str, str], str] = {}
        self.versions: dict[str, set[str]] = {}

    def register(self, release: str, composition: Composition) -> str:
        """Keep a version."""
        self.versions.setdefault(release, set()).add(composition.digest)
        return composition.digest

    def adopt(self, release: str, alias: str, composition: Composition) -> str:
        """Serve a version."""
        self.aliases[release, alias] = self.register(release, composition)
        return composition.digest

    def contain(self, release: str, alias: str) -> None:
        """Serve nothing under an alias."""
        self.aliases.pop((release, alias), None)

    def stop(self, composition: str) -> tuple[str, ...]:
        """Serve a version nowhere."""
        found = sorted(place for place, digest in self.aliases.items() if digest == composition)
        for place in found:
            del self.aliases[place]
        return tuple("@".join(place) for place in found)

    def withdraw(self, release: str, *, keep: Collection[str] = ()) -> tuple[str, ...]:
        """Destroy versions."""
        self.versions[release] = self.versions.get(release, set()) & set(keep)
        self.aliases = {key: d for key, d in self.aliases.items() if key[0] != release or d in self.versions[release]}
        return ()

    def served(self, release: str) -> dict[str, str]:
        """What each alias serves."""
        return {alias: digest for (name, alias), digest in self.aliases.items() if name == release}


def predicate(bundle: Path) -> dict[str, Any]:
    """The predicate of a report's signed statement."""
    statement = json.loads(base64.b64decode(json.loads((bundle / "statement.json").read_bytes())["payload"]))
    return dict(statement["predicate"])


def residuals(done: Executed) -> list[str]:
    """What a report calls left, from its signed statement."""
    assert verify_bundle(done.bundle).verdict == "certified"
    return list(predicate(done.bundle)["caveats"]["this_removal"])
