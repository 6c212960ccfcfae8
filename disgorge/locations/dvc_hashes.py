"""Under which hashes DVC may keep what a purge takes away, and which hashes it must leave alone.

DVC names bytes by MD5, the ledger by SHA-256. The MD5 of weights can only be computed while they are there, and what
DVC's stages made of a shard can only be found while DVC remembers it. So a purge keeps both in ``private/dvc.json``
before it deletes: MD5s of weights, of old shards and of stages' outputs, no item's. Negative consequence: without that
file a later search finds old weights in DVC only if an entry of a stage still names them.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from disgorge.locations.references import needs_of
from lineage.dvc.repo import root_of
from lineage.dvc.storage import md5_of
from lineage.private_files import DvcKept, read_private
from lineage.storage.objects import write_atomically
from lineage.workspace import Workspace

_MD5 = re.compile(r"[0-9a-f]{32}")
"""A hash as DVC has it: anything else that a fact names is no place to delete at."""
_MADE = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True, slots=True)
class DvcHashes:
    """The MD5s of shards and weights that go, and of what an earlier purge found that stages had made of them."""

    workspace: Workspace
    of: tuple[str, ...]
    """The digests of the shards and objects."""
    erased: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()

    def live(self) -> frozenset[str]:
        """Return the MD5s of every live shard's content and of every object that something live needs."""
        needs = needs_of(self.workspace)
        paths = [self.workspace.content_path(digest) for digest in needs.shards]
        paths += [self.workspace.objects.path(digest) for digest in needs.served | needs.objects]
        return _live_shards(self.workspace) | {md5_of(path) for path in paths if path.is_file()}

    def remember(self, made: Collection[str]) -> None:
        """Keep these hashes until the same digests are asked for again."""
        if not self.erased and not made:
            return
        path = _file(self.workspace)
        known = _read(path)
        for digest in self.of:
            told = known.setdefault(digest, {})
            told["made"] = sorted({*told.get("made", []), *made})
            told["erased"] = sorted({*told.get("erased", []), *self._own(digest)})
        write_atomically(path, json.dumps(known, sort_keys=True).encode(), mode=0o600)

    def _own(self, digest: str) -> list[str]:
        paths = (self.workspace.objects.path(digest), self.workspace.content_path(digest))
        return [md5_of(path) for path in paths if path.is_file()]


def dvc_hashes(workspace: Workspace, *, shards: Collection[str], objects: Collection[str]) -> DvcHashes:
    """Return the hashes of shards and weights that go: as recorded, as they lie there, and as an earlier purge kept.

    What is live is not among ``shards`` or ``objects``. A hash that a live shard has as well is left out.
    """
    asked = tuple(dict.fromkeys((*shards, *objects)))
    if root_of(workspace.root) is None:
        return DvcHashes(workspace, asked)
    wanted = frozenset(shards)
    entries = workspace.ledger.state().shards.values()
    recorded = [entry.record.dvc for entry in entries if entry.record.digest in wanted and entry.record.dvc]
    paths = [*map(workspace.content_path, shards), *map(workspace.objects.path, objects)]
    known = [told for digest, told in _read(_file(workspace)).items() if digest in asked]
    kept = [md5 for told in known for md5 in told.get("erased", [])]
    needed = _live_shards(workspace)  # equal bytes that something live rests on
    hashes = dict.fromkeys([*recorded, *(md5_of(path) for path in paths if path.is_file()), *kept])
    erased = tuple(md5 for md5 in hashes if _MD5.fullmatch(md5) and md5 not in needed)
    made = frozenset(md5 for told in known for md5 in told.get("made", []) if _MADE.fullmatch(md5))
    return DvcHashes(workspace, asked, erased, made)


def _live_shards(workspace: Workspace) -> frozenset[str]:
    entries = workspace.ledger.state().shards.values()
    return frozenset(entry.record.dvc for entry in entries if entry.live and entry.record.dvc)


def _file(workspace: Workspace) -> Path:
    return workspace.home / "private" / "dvc.json"


def _read(path: Path) -> dict[str, dict[str, list[str]]]:
    return read_private(path, DvcKept) if path.exists() else {}
