"""Bytes that live shards, artifacts, components and open requests need: whether they are there, as recorded."""

from collections.abc import Collection, Iterator

from disgorge.audit.findings import DIGEST_MISMATCH, Finding, Level
from disgorge.audit.snapshot import Snapshot
from disgorge.facts import FulfilledFact, PlanFact
from disgorge.request.case import Case
from lineage.artifacts.files import objects_of, problem_with
from lineage.errors import DigestMismatch, LineageError, UnknownRecord
from lineage.ledger.fact_kinds import FACT_KINDS, FactBody, said
from lineage.records import Json, Shard, shard_digest
from lineage.shards.files import check_items, check_manifests, references_of
from lineage.storage.components import files_of
from lineage.storage.content import item_digests, read_content

_RESTORE = "restore the file from a copy"


def mismatched(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding per damaged or missing object, manifest or content of something live."""
    yield from _objects(snapshot)
    yield from _artifacts(snapshot)
    for shard in {shard.digest: shard for shard in snapshot.shards()}.values():
        yield from _manifest(snapshot, shard)
        yield from _content(snapshot, shard)


def _objects(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield damaged objects, and those missing that live components and open plans need."""
    objects = snapshot.workspace.objects
    needed = {entry.record.digest: entry.record.name for entry in snapshot.components()}
    plans = {case.plan: case.request.id for case in snapshot.cases.values() if case.plan and not case.closed}
    needed |= plans
    places = {entry.record.digest: entry.seq for entry in snapshot.components()}
    for entry in snapshot.components():
        files = files_of(objects, entry.record.digest)
        needed |= {file.sha256: f"{entry.record.name}: {file.path}" for file in files}
        places |= {file.sha256: entry.seq for file in files}
        if entry.record.files and not files and objects.exists(entry.record.digest):
            yield Finding(
                DIGEST_MISMATCH,
                entry.record.name,
                f"the bytes of {entry.record.digest} do not list the files of a component",
                _restore(entry.record.digest, plans),
                fact=entry.seq,
            )
    places |= {case.plan: _planned(case) for case in snapshot.cases.values() if case.plan and not case.closed}
    of_artifacts = {each for a in snapshot.artifacts() for each in objects_of(snapshot.workspace, a.record)}
    for digest in objects.check():
        if digest in of_artifacts - needed.keys():
            continue  # told with the artifact
        yield Finding(
            DIGEST_MISMATCH,
            needed.get(digest, f"object {digest[:12]}"),
            f"the bytes stored under {digest} changed on disk",
            _restore(digest, plans),
            fact=places.get(digest),
        )
    located = {entry.record.digest: entry.record.locations for entry in snapshot.components()}
    elsewhere = {digest for digest, places in located.items() if places and "objects" not in places}
    for digest, name in needed.items():
        if not objects.exists(digest):
            yield Finding(
                DIGEST_MISMATCH,
                name,
                f"the bytes of {digest} are kept elsewhere and were not checked"
                if digest in elsewhere
                else f"the bytes of {digest} are missing",
                "check them where they are" if digest in elsewhere else _restore(digest, plans),
                Level.NOTE if digest in elsewhere else None,
                fact=places.get(digest),
            )
    yield from _records(snapshot)


def _artifacts(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield artifacts whose files, stored or in place, changed or are missing."""
    for entry in snapshot.artifacts():
        if wrong := problem_with(snapshot.workspace, entry.record):
            remedy = f"{_RESTORE}, or add what it is now under another name and train again"
            yield Finding(DIGEST_MISMATCH, entry.record.name, wrong, remedy, fact=entry.seq)


def _planned(case: Case) -> int:
    return max(fact.seq for fact, planned in said(case.facts, PlanFact) if planned.plan == case.plan)


def _restore(digest: str, plans: Collection[str]) -> str:
    return (
        f"{_RESTORE}, or plan the request again if nothing was done yet"
        if digest in plans
        else f"{_RESTORE}, or train it again"
    )


def _records(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield records of open requests that are missing: without them a request cannot be resumed or reported again."""
    owners: dict[str, str] = {}
    for fact in snapshot.workspace.ledger.facts("plan", "examination", "fulfilled", "report", "step"):
        named = FACT_KINDS[fact.kind].read(fact)
        plan = str(getattr(named, "plan", ""))
        if isinstance(named, PlanFact | FulfilledFact):
            owners[plan] = named.request
        case = snapshot.cases.get(owners.get(plan, ""))
        if case is None or plan not in (case.plan, *case.steps, *case.confirmed):
            continue
        kept = {kind: getattr(named, kind, None) for kind in ("plan", "impact", "examination", "evidence")}
        for kind, digest in (*kept.items(), ("residue check", _residue_check(named))):
            confirmed = kind == "plan" and (
                not isinstance(named, PlanFact | FulfilledFact) or (plan == case.plan and not case.closed)
            )
            if confirmed or not isinstance(digest, str) or snapshot.workspace.objects.exists(digest):
                continue
            yield Finding(
                DIGEST_MISMATCH,
                case.request.id,
                f"the {kind} {digest} is missing, so "
                + ("its report cannot be written again" if case.closed else "it cannot be resumed"),
                f"{_RESTORE}; no training makes it again",
                Level.WARNING if case.closed else None,
                fact=fact.seq,
            )


def _residue_check(fact: FactBody) -> Json:
    """Return the digest of the residue check that a step kept, None for other facts."""
    result = getattr(fact, "result", None)
    residue = result.get("residue") if isinstance(result, dict) else None
    return residue["detail"].get("kept") if isinstance(residue, dict) else None


def _manifest(snapshot: Snapshot, shard: Shard) -> Iterator[Finding]:
    items, place = snapshot.items(shard.digest), snapshot.recorded(shard)
    if isinstance(items, LineageError):
        yield Finding(DIGEST_MISMATCH, shard.name, f"its manifest cannot be read ({items})", _RESTORE, fact=place)
    elif shard_digest(item.digest for item in items) != shard.digest:
        words = "its manifest lists other items than its digest covers"
        yield Finding(DIGEST_MISMATCH, shard.name, words, _RESTORE, fact=place)
    else:
        try:
            check_manifests(snapshot.workspace, (shard,))
        except DigestMismatch:
            words = "keys, subjects or sources in its manifest changed"
            yield Finding(DIGEST_MISMATCH, shard.name, words, _RESTORE, fact=place)


def _content(snapshot: Snapshot, shard: Shard) -> Iterator[Finding]:
    place = snapshot.recorded(shard)
    try:
        if references_of(snapshot.workspace, shard.digest):
            check_items(snapshot.workspace, shard.digest)
            return
        digests, arrays = read_content(snapshot.workspace.content_path(shard.digest))
        if item_digests(arrays) != digests or shard_digest(digests) != shard.digest:
            yield Finding(DIGEST_MISMATCH, shard.name, "its content is not what its digest says", _RESTORE, fact=place)
    except UnknownRecord:
        tracked = shard.dvc is not None
        yield Finding(
            DIGEST_MISMATCH,
            shard.name,
            "its content is tracked by DVC and not on this machine, so it was not checked"
            if tracked
            else "its content is missing",
            "fetch it with `dvc pull`" if tracked else _RESTORE,
            Level.WARNING if tracked else None,
            fact=place,
        )
    except LineageError as error:
        yield Finding(DIGEST_MISMATCH, shard.name, f"its content cannot be read ({error})", _RESTORE, fact=place)
