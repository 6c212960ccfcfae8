"""Making DVC forget, and looking whether it did: cache, remotes, run-cache, and the files that name a hash.

DVC has no command for this: ``gc`` drops whatever the workspace does not name, and keeps what we want gone. So each
hash is deleted from every store by itself, and so is what stages made of it (:mod:`lineage.dvc.derived_outputs`): ``dvc
checkout`` would bring an old model back by the hash in ``dvc.lock``, and ``dvc repro`` by the run-cache, without
training. A folder object that lists an erased file among others is written again without it; files that named it name
the new one.

What was found to go is told to ``remember`` before anything is deleted, because afterwards nobody can find it.

The search does not stop at hashes. It opens every Parquet file in stores on this machine, or tracked by DVC here, and
looks for the items themselves, because the same item may lie there under a hash that nobody recorded; what else is to
be found in a file is the caller's to say. Files that cannot be read as data are returned, to be named.

Not reached: git history, clones and backups, versions that a cloud store keeps of its own accord, queued experiments.

DVC names bytes by MD5, the ledger by SHA-256. The MD5 of weights can only be computed while they are there, and what
DVC's stages made of a shard can only be found while DVC remembers it. So a purge keeps both in ``private/dvc.json``
before it deletes: MD5s of weights, of old shards and of stages' outputs, no item's. Negative consequence: without that
file a later search finds old weights in DVC only if an entry of a stage still names them.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.errors import DisgorgeError
from disgorge.locations.dvc_deletion import Forgetting
from disgorge.locations.location import Deletion, Spare, Target, Traces
from lineage.dvc.repo import opened, root_of
from lineage.dvc.storage import Stores, experiments, files_of, md5_of, relative
from lineage.errors import LineageError
from lineage.private_files import DVC_KEPT
from lineage.storage.file_types import Reading
from lineage.workspace import Workspace

_MD5 = re.compile(r"[0-9a-f]{32}")
"""A hash as DVC has it: anything else that a fact names is no place to delete at."""
_MADE = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True, slots=True)
class Dvc:
    """The location of DVC's cache, remotes and run-cache, and of the files it tracks."""

    workspace: Workspace
    name: str = "DVC"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look for hashes and what was made of them in every store, and into every file on this machine."""
        root, blind = root_of(self.workspace.root), list[str]()
        if root is None:
            return Traces()
        try:
            with opened(root) as repo:
                stores = Stores(repo, blind)
                forgetting = self.hashes(target, spare).forgetting(repo, stores)
                found, unread, places = _files(repo, stores, target)
                return Traces(
                    (*forgetting.traces(), *found),
                    unreadable=tuple(unread),
                    unreachable=tuple(blind),
                    places=places + len(forgetting.gone) * len(stores.places) + 1,
                )
        except LineageError as error:
            return Traces(unreachable=(*blind, str(error)))

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List every path that goes, or in a store elsewhere the place and hash."""
        with self._planned(target, spare) as forgetting:
            if forgetting is None:
                return Deletion(target, spare)
            paths, records, rewritten = forgetting.paths(), forgetting.records(), forgetting.rewritten()
        return Deletion(target, spare, tuple(paths), tuple(records), tuple(rewritten))

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what the target's hashes find now, under DVC's lock, having noted the hashes.

        Raises :class:`DisgorgeError`, having deleted nothing, where DVC cannot be opened or is locked.
        """
        deleted, left, hashes = list[str](), list[str](), self.hashes(planned.target, planned.spare)
        hashes.remember(hashes.made)
        with self._planned(planned.target, planned.spare, left=left, locked=True) as forgetting:
            if forgetting is not None:
                hashes.remember(forgetting.made)
                forgetting.carry_out(deleted, left)
        if root_of(self.workspace.root) is not None:
            left.append("DVC's own index outside the workspace may keep hashes, not bytes, of what it tracked")
        return Deletion(records=tuple(deleted), left=tuple(left))

    def made(self, target: Target, spare: Spare) -> frozenset[str]:
        """Return the hashes of what stages made of the target, which goes too; reads only."""
        with self._planned(target, spare) as forgetting:
            return frozenset() if forgetting is None else forgetting.made

    def hashes(self, target: Target, spare: Spare) -> "DvcHashes":
        """Return the hashes of shards and weights: as recorded, as they lie there, and as an earlier purge kept.

        A hash that a live shard has as well is left out.
        """
        workspace, asked = self.workspace, (*target.shards, *target.weights)
        if root_of(workspace.root) is None:
            return DvcHashes(workspace, spare, asked)
        entries = workspace.ledger.state().shards.values()
        recorded = [e.record.dvc for e in entries if e.record.digest in target.shards and e.record.dvc]
        paths = [*map(workspace.content_path, target.shards), *map(workspace.objects.path, target.weights)]
        known = [told for digest, told in (DVC_KEPT.read(workspace) or {}).items() if digest in asked]
        kept = [md5 for told in known for md5 in told.get("erased", [])]
        needed = _live_shards(workspace)  # equal bytes that something live rests on
        hashes = dict.fromkeys([*recorded, *(md5_of(path) for path in paths if path.is_file()), *kept])
        erased = tuple(md5 for md5 in hashes if _MD5.fullmatch(md5) and md5 not in needed)
        made = frozenset(md5 for told in known for md5 in told.get("made", []) if _MADE.fullmatch(md5))
        return DvcHashes(workspace, spare, asked, erased, made)

    @contextmanager
    def _planned(
        self, target: Target, spare: Spare, *, left: list[str] | None = None, locked: bool = False
    ) -> Iterator[Forgetting | None]:
        """Open DVC and work out what goes; None where there is no DVC, or nothing that it could keep."""
        root, hashes = root_of(self.workspace.root), self.hashes(target, spare)
        if root is None or not (hashes.erased or hashes.made):
            yield None
            return
        try:
            with opened(root) as repo, _lock_of(repo) if locked else nullcontext():
                yield hashes.forgetting(repo, Stores(repo, [] if left is None else left))
        except LineageError as error:
            raise DisgorgeError(
                f"{error}; no old weights or items were deleted, let what runs in DVC end or mend what it names, and "
                f"resume"
            ) from error


@dataclass(frozen=True, slots=True)
class DvcHashes:
    """The MD5s of shards and weights that go, and of what an earlier purge found that stages had made of them."""

    workspace: Workspace
    spare: Spare
    of: tuple[str, ...]
    """The digests of the shards and objects."""
    erased: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()

    def forgetting(self, repo: Any, stores: Stores) -> Forgetting:
        """Work out what goes with these hashes; reads only."""
        return Forgetting.of(repo, stores, self.erased, before=self.made, live=self.live)

    def live(self) -> frozenset[str]:
        """Return the MD5s of every live shard's content and of every object that something live needs."""
        paths = [self.workspace.content_path(digest) for digest in self.spare.shards]
        paths += [self.workspace.objects.path(digest) for digest in self.spare.served | self.spare.objects]
        return _live_shards(self.workspace) | {md5_of(path) for path in paths if path.is_file()}

    def remember(self, made: Collection[str]) -> None:
        """Keep these hashes until the same digests are asked for again: afterwards nobody can compute them."""
        if not self.erased and not made:
            return
        known = DVC_KEPT.read(self.workspace) or {}
        for digest in self.of:
            told = known.setdefault(digest, {})
            told["made"] = sorted({*told.get("made", []), *made})
            told["erased"] = sorted({*told.get("erased", []), *self._own(digest)})
        DVC_KEPT.write(self.workspace, known)

    def _own(self, digest: str) -> list[str]:
        paths = (self.workspace.objects.path(digest), self.workspace.content_path(digest))
        return [md5_of(path) for path in paths if path.is_file()]


def _lock_of(repo: Any) -> Any:
    from dvc.repo import lock_repo

    return lock_repo(repo)  # no stage runs meanwhile


def _files(repo: Any, stores: Stores, target: Target) -> tuple[list[str], list[Path], int]:
    """Return which files on this machine hold some of the target, which cannot be read, and how many there are."""
    found, unread, places = list[str](), list[Path](), 0
    runs = {Path(run.path) for run in stores.runs}
    tracked = (path for out in repo.index.outs for path in files_of(out))
    for path in (*stores.local_files(), *tracked, *experiments(repo)):
        places += 1
        try:
            reading = Reading.of(path, stored=True)
            words = target.trace_in(path, reading)
        except OSError:
            unread.append(path)
            continue
        if words is not None:
            found.append(f"{relative(path, repo)} {words}")
        elif reading is Reading.UNREAD and path.suffix != ".dir" and path not in runs:
            unread.append(path)
    return found, unread, places


def _live_shards(workspace: Workspace) -> frozenset[str]:
    entries = workspace.ledger.state().shards.values()
    return frozenset(entry.record.dvc for entry in entries if entry.live and entry.record.dvc)
