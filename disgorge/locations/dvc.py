"""DVC's cache, remotes and run-cache, and the files that name a hash: what of a target they keep, and deleting it.

DVC has no command for this: ``gc`` drops whatever the workspace does not name, and keeps what we want gone. So each
hash is deleted from every store by itself, and so is what stages made of it (:mod:`lineage.dvc.derived_outputs`): ``dvc
checkout`` would bring an old model back by the hash in ``dvc.lock``, and ``dvc repro`` by the run-cache, without
training. A folder object that lists an erased file among others is written again without it; files that named it name
the new one.

What stages made of the files that shards were read from is made of the data as well, and so is what they made of any
of that in an earlier commit (:mod:`lineage.dvc.history`): all of it goes. The version of such a file that DVC tracks
now is the user's and stays (:mod:`disgorge.locations.source_files`); one that only an old commit names goes, so that no
``git checkout`` and ``dvc checkout`` brings it back. What git has committed itself is not rewritten.

The search does not stop at hashes. It opens every Parquet file in stores on this machine, or tracked by DVC here, and
looks for the items themselves, because the same item may lie there under an unrecorded hash.

DVC names bytes by MD5, the ledger by SHA-256. The MD5 of weights can only be computed while they are there, and what
DVC's stages made of a shard can only be found while DVC remembers it. So a purge keeps both in ``private/dvc.json``
before it deletes: MD5s of weights, of old shards and of stages' outputs, no item's. Negative consequence: without that
file a later search finds old weights in DVC only if an entry of a stage still names them.

A DVC that was killed leaves its half of a copy in the store, under a name of its own: such files go too, whatever is in
them, once they no longer change.

The order matters where a purge is killed half-way: files and objects go first, and last the entries and the runs, from
which the next call works out the same again.

Not reached: git history, clones and backups, versions that a cloud store keeps of its own accord, queued experiments.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from disgorge.locations.dvc_plan import DvcPlan, named_at
from disgorge.locations.location import Copy, Deletion, Location, Seen, Spare, Target, Traces
from lineage.dvc.history import past_files
from lineage.dvc.repo import opened, root_of
from lineage.dvc.storage import (
    Stores,
    experiments,
    files_of,
    md5_of,
    relative,
)
from lineage.errors import LineageError
from lineage.ledger.state import State
from lineage.private_files import DVC_KEPT
from lineage.shards.source_versions import live_sources, versions_of
from lineage.storage.file_types import is_text
from lineage.workspace import Workspace

_MD5 = re.compile(r"[0-9a-f]{32}")
"""The form of a DVC hash: nothing is deleted under any other name that a fact gives."""
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"
"""The hash of a file without bytes, which anything makes."""
_MADE = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Dvc(Location):
    """The location of DVC's cache, remotes and run-cache, and of the files it tracks."""

    name = "DVC"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look for hashes and what was made of them in every store, and into every file on this machine."""
        root, unreachable, seen = root_of(self.workspace.root), list[str](), Seen()
        if root is None:
            return Traces()
        with opened(root) as repo:
            stores = Stores(repo, unreachable)
            planned = self._plan_of(repo, stores, target, spare, unreachable)
            tracked = (path for out in repo.index.outs for path in files_of(out))
            every = (*stores.local_files(), *tracked, *experiments(repo))
            traces, unread = target.look(every, stored=True, seen=seen)
            texts = {Path(run.path) for run in stores.runs}
            words = (f"{relative(path, repo)} {words}" for path, words in traces.items())
            return seen.traces() + Traces(
                (*planned.traces(), *words),
                unreadable=tuple(path for path in unread if path.suffix != ".dir" and path not in texts),
                unreachable=tuple(unreachable),
                unsupported=tuple(planned.unknown()),
            )

    def present(self, target: Target) -> Iterator[Path]:
        """Yield what is in the cache under hashes that a purge noted."""
        root = root_of(self.workspace.root)
        with suppress(LineageError):  # a damaged private file is a finding of its own
            noted = DVC_KEPT.read(self.workspace) if root else None
            for digest in (*target.shards, *target.weights):
                for md5 in (noted or {}).get(digest, {}).get("erased", ()):
                    path = Path(str(root), ".dvc", "cache", "files", "md5", md5[:2], md5[2:])
                    yield from [path] if path.is_file() else ()

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List every path that goes, or in a store elsewhere the place and hash."""
        with self._planned(target, spare) as planned:
            return Deletion() if planned is None else planned.deletion()

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what the target's hashes find now, under DVC's lock, having noted the hashes."""
        done, unreachable = Deletion(), list[str]()
        with self._planned(planned.target, planned.spare, unreachable, locked=True) as plan:
            if plan is not None:
                self._remember(planned.target, plan.made)
                done = plan.carry_out()
        left = [*Copy.NOT_ENUMERATED.words(unreachable), *done.left]
        if root_of(self.workspace.root) is not None:
            left.append("DVC's own index outside the workspace may keep hashes, not bytes, of what it tracked")
        return replace(done, left=tuple(left))

    def made(self, target: Target, spare: Spare) -> frozenset[str]:
        """Return the hashes of what stages made of the target, which goes too; reads only."""
        with self._planned(target, spare) as planned:
            return frozenset() if planned is None else planned.made

    @contextmanager
    def _planned(
        self, target: Target, spare: Spare, unreachable: list[str] | None = None, *, locked: bool = False
    ) -> Iterator[DvcPlan | None]:
        """Open DVC and work out what goes; None where there is no DVC, or nothing that it could keep."""
        root, unreachable = root_of(self.workspace.root), [] if unreachable is None else unreachable
        if root is None or not (target.shards or target.weights):
            yield None
            return
        with opened(root) as repo, _lock_of(repo) if locked else nullcontext():
            yield self._plan_of(repo, Stores(repo, unreachable), target, spare, unreachable)

    def _plan_of(self, repo: Any, stores: Stores, target: Target, spare: Spare, out_of_reach: list[str]) -> DvcPlan:
        """Work out what goes, with the hashes that history and the shards' sources add."""
        hashes, made = self._hashes(target, spare)
        if not (target.shards or target.weights):
            return DvcPlan.of(repo, stores, hashes, made)
        past = list(past_files(Path(repo.root_dir), out_of_reach))
        read_from = (*target.shards, *target.weights)
        sources = versions_of(self.workspace, read_from, target.items, named=named_at(repo, past), stores=stores)
        sources.holding.difference_update(_live_shards(spare.state))
        return DvcPlan.of(repo, stores, hashes, made, live=lambda: self._live(spare), past=past, sources=sources)

    def _hashes(self, target: Target, spare: Spare) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return the MD5s of shards and weights, and of what an earlier purge found that stages had made of them.

        Those of shards and weights are as recorded, as they lie there, and as an earlier purge kept; one that a live
        shard has as well is left out.
        """
        asked = (*target.shards, *self._known(target))
        if root_of(self.workspace.root) is None:
            return (), frozenset()
        entries = spare.state.shards.values()
        recorded = [e.record.dvc for e in entries if e.record.digest in target.shards and e.record.dvc]
        notes = [note for digest, note in (DVC_KEPT.read(self.workspace) or {}).items() if digest in asked]
        here = [md5 for digest in asked for md5 in _md5s(self.workspace, digest)]
        gone = [md5 for each in notes for md5 in each.get("erased", [])]
        needed = _live_shards(spare.state)  # equal bytes that something live rests on
        hashes = (md5 for md5 in dict.fromkeys([*recorded, *here, *gone]) if _MD5.fullmatch(md5) and md5 not in needed)
        return tuple(hashes), frozenset(md5 for each in notes for md5 in each.get("made", []) if _MADE.fullmatch(md5))

    def _known(self, target: Target) -> list[str]:
        """Return the weights that DVC's stores are rid of; text of a folder may be others' as well, and is only named.

        One that is gone already was noted when it was there.
        """
        paths = {digest: self.workspace.objects.path(digest) for digest in target.known}
        texts = {each for each in target.files if each in paths and paths[each].is_file() and is_text(paths[each])}
        return [each for each in paths if each not in texts]

    def _live(self, spare: Spare) -> frozenset[str]:
        """Return the MD5s of every live shard's content and of every object that something live needs."""
        needed = (*spare.shards, *spare.served, *spare.objects)
        known = _live_shards(spare.state) | live_sources(self.workspace) | {_EMPTY}
        return known.union(*(_md5s(self.workspace, digest) for digest in needed))

    def _remember(self, target: Target, made: Collection[str]) -> None:
        """Keep these hashes until the same digests are asked for again: they cannot be computed afterwards."""
        notes = DVC_KEPT.read(self.workspace) or {}
        for digest in (*target.shards, *self._known(target)):
            note = notes.setdefault(digest, {})
            note["made"] = sorted({*note.get("made", []), *made})
            note["erased"] = sorted({*note.get("erased", []), *_md5s(self.workspace, digest)})
        DVC_KEPT.write(self.workspace, notes)


def _md5s(workspace: Workspace, digest: str) -> list[str]:
    paths = (workspace.objects.path(digest), workspace.content_path(digest))
    return [md5_of(path) for path in paths if path.is_file()]


def _live_shards(state: State) -> frozenset[str]:
    return frozenset(entry.record.dvc for entry in state.shards.values() if entry.live and entry.record.dvc)


def _lock_of(repo: Any) -> Any:
    from dvc.repo import lock_repo

    return lock_repo(repo)  # no stage runs meanwhile
