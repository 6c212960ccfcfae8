"""Releases that are served, or out of service, against what holds say.

A hold may say that models which learned from its items are not served. What the audit can see is what the ledger
records: it does not see an alias that was set again by hand in MLflow.
"""

from collections.abc import Iterator

from disgorge.audit.findings import ON_HOLD, SERVICE_AGAINST_HOLD, Finding, Level
from disgorge.audit.rules.holds import Sight
from disgorge.audit.snapshot import Snapshot
from disgorge.request.holds.out_of_service import KeptOut, Key, kept_out, learned_from, stopped_words, stopping_holds


def service(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error per release served against a hold, a warning where a hold is over, and a note per stopped one."""
    recorded = kept_out(snapshot.workspace.ledger.facts("release", "release-contained"))
    wanted = _Wanted(snapshot)
    if not wanted.any and not any(kept.holds for kept in recorded.values()):
        return
    for key, entry in snapshot.state.releases.items():
        if not entry.live:
            continue
        label, kept = "@".join(key), recorded.get(key, KeptOut())
        by = wanted.by(key, kept)
        if by and not entry.record.contained:
            yield Finding(
                SERVICE_AGAINST_HOLD,
                label,
                f"is served, and the hold of {' and of '.join(by)} says that what learned from its items is not",
                "stop it with `disgorge release serve-again`, or answer the hold with --serving keep",
                fact=entry.seq,
            )
        elif by:
            yield Finding(
                ON_HOLD,
                label,
                f"is out of service, {stopped_words(by)}",
                "it is served again when that hold is lifted, or answered with --serving keep",
                fact=entry.seq,
            )
        elif kept.holds and not any(_is_open(snapshot, request) for request in kept.removals):
            yield Finding(
                SERVICE_AGAINST_HOLD,
                label,
                f"is out of service for a hold of {' and of '.join(sorted(kept.holds))} that is over",
                "serve it again with `disgorge release serve-again`",
                Level.WARNING,
                fact=entry.seq,
            )


class _Wanted:
    """Which releases open holds want out of service, by the manifests there are."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._shards: dict[str, set[str]] = {}
        self._unknown: set[str] = set()
        sight = Sight(snapshot)
        for hold in stopping_holds(snapshot.cases):
            shards = self._shards.setdefault(hold.request, set())
            if (items := sight.covered(hold)) is None:
                self._unknown.add(hold.request)
            else:
                shards.update(shard.digest for shard, rows in sight.tables if any(row.digest in items for row in rows))
                shards.update(digest for _, digest in snapshot.state.artifacts if digest in items)

    @property
    def any(self) -> bool:
        """Whether an open hold says so of any release."""
        return bool(self._shards)

    def by(self, key: Key, kept: KeptOut) -> list[str]:
        """Return the requests whose holds want a release out of service; what is not known stays as it is."""
        composition = self._snapshot.state.compositions.get(self._snapshot.state.releases[key].record.composition)
        requests = self._unknown & kept.holds
        if composition is not None:
            state = self._snapshot.state
            requests |= {request for request, held in self._shards.items() if learned_from(composition, state, held)}
        return sorted(requests)


def _is_open(snapshot: Snapshot, request: str) -> bool:
    case = snapshot.cases.get(request)
    return case is not None and not case.closed
