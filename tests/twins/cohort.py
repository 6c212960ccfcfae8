"""A removal of one person's row of a table that lies in the workspace, with copies of it under other names."""

from pathlib import Path

from disgorge.locations.every import plan, purge, search
from disgorge.locations.location import Deletion, Target, Traces
from lineage.records import ShardChange, plain
from lineage.shards.add import add_shard
from lineage.shards.cut import cut_shard
from lineage.shards.files import shard_rows
from lineage.shards.row_marks import marks_of
from lineage.workspace import Workspace
from tests.disgorge.test_purge import component

HEADER = "key,who,mass,pulse,sugar,note\n"
ANN = "patient-17,Ann Lee,81.25,61.75,5.125,fell at 7 Elm Street\n"
BOB = "patient-18,Bob Roe,70.25,61.5,4.875,slept at 3 Oak Road\n"
SHORT = "a,1.5,2.5,3.5,4.5,0\n"
"""A row that has no unusual value; only all of its numbers together tell it."""


class Cohort:
    """``study.csv`` holds rows of Ann, who is withdrawn, of Bob and of others."""

    def __init__(self, root: Path, *, header: str = HEADER, gone: str = ANN, stay: str = BOB) -> None:
        self.root, self.source = root, root / "study.csv"
        self.workspace = workspace = Workspace.init(root)
        self.source.write_text(header + gone + stay)
        subject = "who" if "who" in header else None
        add_shard(workspace, self.source, name="study", key="key", subject=subject, license="MIT", check=False)
        (shard,) = (entry.record for entry in workspace.ledger.state().shards.values())
        head = component(workspace, "head", shard, value=1.0)
        keys = {line.partition(",")[0] for line in gone.splitlines()}
        items = frozenset(row.digest for row in shard_rows(workspace, shard.digest) if row.key in keys)
        names = {workspace.private.pseudonym("Ann Lee"): "Ann Lee"}
        left = [row for row in shard_rows(workspace, shard.digest) if row.digest not in items]
        self.marks = marks_of(workspace, [shard.digest], items, names)
        after = cut_shard(workspace, ShardChange(shard, _without(shard, left), len(items)), items)
        assert after is not None
        workspace.ledger.append("shard", {"shard": plain(after)})
        workspace.ledger.append("shard-withdrawn", {"shard": shard.digest, "name": "study", "after": after.digest})
        workspace.ledger.append("component-retired", {"name": "head", "component": head.digest, "after": None})
        self.target = Target((shard.digest,), (head.digest,), items, request="R-1", marks=self.marks)

    def put(self, place: str, data: str | bytes) -> Path:
        """Write a file somewhere in the workspace."""
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def search(self) -> Traces:
        """Return what every location holds of the row."""
        return search(self.workspace, self.target)

    def plan(self) -> Deletion:
        """Return what a purge would delete."""
        return plan(self.workspace, self.target)

    def purge(self) -> Deletion:
        """Delete the old shard and what learned from it."""
        return purge(self.workspace, self.target)


def _without(shard, left):  # type: ignore[no-untyped-def]
    from lineage.records import Shard, shard_digest

    digest = shard_digest(row.digest for row in left)
    return Shard(digest, "study", None, "MIT", None, len(left), False, shard.digest, None, shard.fields)
