"""What must hold of a workspace while a removal is under way and after it, however often it was killed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from disgorge.audit.rules import audit
from disgorge.evidence.checks import Examination
from disgorge.plan.details import PurgeDetail
from disgorge.plan.plan import Action, Plan
from disgorge.report.bundle import verify_bundle
from disgorge.request.case import docket
from disgorge.request.stored_records import kept_record
from disgorge.statement.certificate import refuse_adoption
from lineage.catalog.catalog import Catalog
from lineage.ledger.chain import Fact
from lineage.records import Component, restore
from lineage.storage.file_types import holds
from lineage.workspace import Workspace

ENDS = (Action.ADOPT, Action.WITHDRAW)


def under_way(workspace_folder: Path, plan: Plan) -> None:
    """Assert what must hold whenever a removal is cut short: the chain, and nothing deleted that is not replaced."""
    workspace = Workspace.open(workspace_folder)
    facts = list(workspace.ledger.facts())
    assert set(plan.requests) <= docket(workspace).keys()
    ended = {step.id for step in plan.steps if step.action in ENDS} <= steps_done(facts, plan)
    if not ended:
        (purge,) = (step for step in plan.steps if step.action is Action.PURGE)
        for digest in purge.detail_as(PurgeDetail).objects:
            assert workspace.objects.exists(digest), "weights were deleted before the release moved"
        for digest in purge.detail_as(PurgeDetail).shards:
            assert workspace.content_path(digest).exists(), "items were deleted before the release moved"
    _in_order(workspace, facts, plan)


@contextmanager
def nothing_lost(workspace_folder: Path) -> Iterator[None]:
    """Assert that every fact there was before the block is there after it, byte for byte, whatever was killed in it."""
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    before = file.read_bytes()
    yield
    assert file.read_bytes().startswith(before), "a fact was lost"
    assert Workspace.open(workspace_folder).ledger.verify() >= before.count(b"\n")


def finished(workspace_folder: Path, undisturbed: Path, plan: Plan, *, forgotten: frozenset[str]) -> None:
    """Assert that a removal ended as one that nobody disturbed did, with its facts in order and nothing left over."""
    workspace, other = Workspace.open(workspace_folder), Workspace.open(undisturbed)
    facts = list(workspace.ledger.facts())
    assert workspace.ledger.verify() == len(facts)
    assert served(workspace) == served(other)
    assert live(workspace) == live(other)
    assert docket(workspace).keys() == docket(other).keys()
    assert [fact.body["step"] for fact in of(facts, "step", plan)] == [step.id for step in plan.steps]
    for kind in ("release", "report", "request-closed", "purged", "shard", "shard-withdrawn", "component-retired"):
        assert stripped(workspace, kind) == stripped(other, kind), kind
    _in_order(workspace, facts, plan)
    for request in plan.requests:
        case = docket(workspace)[request]
        assert (case.closed, case.last_report.verdict) == ("done", "certified")
    reports = workspace.root / "reports"
    assert sorted(path.name for path in reports.iterdir()) == sorted(
        name for request in plan.requests for name in (request, f"{request}.zip")
    )
    public = (workspace.home / "public.pem").read_bytes()
    for bundle in reports.iterdir():
        assert verify_bundle(bundle, public_key=public).verdict == "certified"
    assert not list((workspace.home / "private" / "executions").iterdir())
    assert not workspace.objects.check()
    assert not audit(workspace)
    assert not traces(workspace, forgotten)


def _in_order(workspace: Workspace, facts: list[Fact], plan: Plan) -> None:
    """Assert that no release moved without an examination that passed, and that nothing was purged before it moved."""
    began = next(fact.seq for fact in facts if fact.kind == "plan" and fact.body["plan"] == plan.digest)
    after = [fact for fact in facts if fact.seq > began]
    done = {fact.body["step"]: fact for fact in of(facts, "step", plan)}
    moved = [fact for fact in after if fact.kind in ("release", "release-withdrawn")]
    for fact in moved:
        if fact.kind == "release":
            probed = done[plan.step_for(Action.PROBE, fact.body["name"]).id]
            assert probed.seq < fact.seq
            examination = kept_record(workspace, Examination, probed.body["result"]["examination"])
            refuse_adoption(plan, fact.body["name"], examination.checks)
            assert fact.body["composition"] == probed.body["result"]["after"]
    for fact in after:
        if fact.kind == "purged":
            assert {step.id for step in plan.steps if step.action in ENDS} <= done.keys()
            assert all(other.seq < fact.seq for other in moved)


def served(workspace: Workspace) -> dict[str, str]:
    """Return the digest of the composition that each live release serves."""
    with Catalog.of(workspace) as catalog:
        return {f"{release.name}@{release.alias}": release.composition for release in catalog.releases()}


def live(workspace: Workspace) -> set[tuple[str, str]]:
    """Return name and digest of every live component and shard."""
    with Catalog.of(workspace) as catalog:
        return {(found.name, found.digest) for found in (*catalog.components(), *catalog.shards())}


def stripped(workspace: Workspace, kind: str) -> list[dict[str, object]]:
    """Return the bodies of facts of a kind without what differs from run to run."""
    differs = ("evidence", "zip", "key")  # they hold the machine, the time and a key made there
    bodies = [
        {key: value for key, value in fact.body.items() if key not in differs} for fact in workspace.ledger.facts(kind)
    ]
    return sorted(bodies, key=str)


def recorded(workspace: Workspace) -> list[tuple[str, str]]:
    """Return name and digest of every component fact, in order."""
    found = [restore(Component, fact.body["component"]) for fact in workspace.ledger.facts("component")]
    return [(component.name, component.digest) for component in found]


def of(facts: list[Fact], kind: str, plan: Plan) -> list[Fact]:
    """Return the facts of one kind about a plan."""
    return [fact for fact in facts if fact.kind == kind and fact.body.get("plan") == plan.digest]


def steps_done(facts: list[Fact], plan: Plan) -> set[str]:
    """Return the ids of the steps of a plan that are done."""
    return {fact.body["step"] for fact in of(facts, "step", plan)}


def traces(workspace: Workspace, items: frozenset[str]) -> list[str]:
    """Return the files of a workspace, private ones too, that hold or name one of these item digests."""
    needles = [digest.encode() for digest in items]
    found = []
    for path in sorted(workspace.root.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if any(needle in data for needle in needles) or holds(path, items):
                found.append(path.relative_to(workspace.root).as_posix())
    return found


def workers(program: int | None = None) -> list[int]:
    """Return the ids of the worker processes of a program, or of all those whose program is gone: they name its id."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"disgorge.training.runners.worker" in words:
            named = int(words[-2])
            if named == program or (program is None and not Path("/proc", str(named)).exists()):
                found.append(int(folder.name))
    return found


def orphans(seconds: float = 10.0) -> list[int]:
    """Return the worker processes that outlive their program by so many seconds; none is what is hoped for."""
    until = time.monotonic() + seconds
    while (found := workers()) and time.monotonic() < until:
        time.sleep(0.02)
    return found
