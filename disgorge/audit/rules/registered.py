"""Registered MLflow models that no record in the ledger explains.

Only a store in an SQLite file is read, with the standard library: an audit loads no MLflow and opens no connection.
Where there is no such store it says that none was read.
"""

from collections import defaultdict
from collections.abc import Iterator

from disgorge.audit.findings import UNRECORDED_MODEL, Finding, Level
from disgorge.audit.snapshot import Snapshot
from disgorge.errors import TrackingFailed
from disgorge.tracking.client import (
    databases_beside,
    databases_in_use,
    has_records,
    named_uri,
    own_database,
    without_secrets,
)
from disgorge.tracking.registered import Registered, Touched, from_databases, touched, unexplained
from lineage.ledger.fact_kinds import ComponentRetiredFact, said
from lineage.workspace import Workspace

_DELETE = "stop what serves it and delete the version, or register it again from a run and a path that do not name that"
_EXPLAIN = "find out what it learned from; record and release it with Disgorge, or delete it"


def unrecorded_models(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error per version that names what was removed, and a warning per model with unrecorded others.

    A store that is named and cannot be read here is a finding as well, a milder one.
    """
    root = snapshot.workspace.root
    if not has_records(root):
        return  # said by not_looked_at
    names, own, in_use = _touched(snapshot), own_database(root), databases_in_use(root)
    stores = [in_use] if in_use[0] != own or own.is_file() else []  # the workspace's own may not be made yet
    stores += [(beside, beside) for beside in databases_beside(root)]
    for database, tracking in stores:
        if database is None:
            registry = without_secrets(named_uri("MLFLOW_REGISTRY_URI") or named_uri("MLFLOW_TRACKING_URI"))
            yield Finding(
                UNRECORDED_MODEL,
                "MLflow",
                f"the models registered at {registry} were not looked at: an audit reads a store in a file only",
                "every removal looks into that store when it is carried out; its report names what it finds",
                Level.NOTE,
            )
            continue
        try:
            models = from_databases(database, tracking)
        except TrackingFailed as problem:
            matter, _, remedy = str(problem).rpartition("; ")
            yield Finding(UNRECORDED_MODEL, "MLflow", f"{matter}, so they were not looked at", remedy)
            continue
        yield from _findings(unexplained(models, snapshot.state.compositions), names)


def not_looked_at(workspace: Workspace) -> tuple[str, ...]:
    """Return in words what an audit of this workspace does not look at, because it is not there."""
    if has_records(workspace.root):
        return ()
    return (
        "models registered in MLflow: there is no store at hand; name the one you serve from by MLFLOW_TRACKING_URI",
    )


def _findings(models: list[Registered], names: Touched) -> Iterator[Finding]:
    others: defaultdict[str, list[Registered]] = defaultdict(list)
    for model in models:
        if (what := names.named_by(model)) is None:
            others[model.name].append(model)
            continue
        yield Finding(
            UNRECORDED_MODEL,
            str(model),
            f"is registered in MLflow, no recorded composition explains it, and it names {what}, which a request "
            f"removed or is removing",
            _DELETE,
            Level.ERROR,
        )
    for name, versions in others.items():
        yield Finding(
            UNRECORDED_MODEL,
            name,
            f"is registered in MLflow and no recorded composition explains {', '.join(map(str, versions))}",
            _EXPLAIN,
        )


def _touched(snapshot: Snapshot) -> Touched:
    """Return what requests removed, and what those under way are going to: components that are live again are none."""
    facts = list(snapshot.workspace.ledger.facts())
    live = {entry.record.digest for entry in snapshot.components()}
    gone = {retired.component for _, retired in said(facts, ComponentRetiredFact)} - live
    for case in snapshot.cases.values():
        if not case.closed and case.plan and case.steps.get(case.plan):
            gone |= snapshot.planned(case.plan)
    shards = snapshot.withdrawals.keys() - {shard.digest for shard in snapshot.shards()}
    return touched(snapshot.state, facts, components=gone, shards=shards)
