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
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineage.dvc.forgetting import Forgetting
from lineage.dvc.repo import opened, root_of
from lineage.dvc.storage import Stores, experiments, files_of, md5_of, relative
from lineage.errors import LineageError
from lineage.storage.file_types import Reading

__all__ = ["Forgotten", "Live", "Looked", "Trace", "forget", "holds", "listing", "md5_of", "search"]

Live = Callable[[], Collection[str]]
"""Tells the hashes of what is live, which is not deleted though a stage may have made the same of erased data."""


Trace = Callable[[Path, Reading], str | None]
"""Tells in words what of that which is sought a file holds, None for nothing."""


@dataclass(slots=True)
class Looked:
    """What a search came to: what was found, how many places were looked at, and where nobody could look.

    ``unread`` are files that are there and cannot be read as data.
    """

    found: list[str] = field(default_factory=list)
    places: int = 0
    blind: list[str] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class Forgotten:
    """What was deleted, and what was not and why, in words."""

    deleted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def forget(
    workspace: Path,
    hashes: Collection[str],
    *,
    made: Collection[str] = (),
    live: Live = tuple,
    remember: Callable[[Collection[str]], None] = lambda made: None,
) -> Forgotten:
    """Delete these MD5 hashes, and what was made of them, wherever DVC keeps or names them. Twice does no harm.

    ``made`` is what an earlier call found to be made of them, as it told ``remember``. Raises ``LineageError`` where
    DVC cannot be opened, or is locked by a stage that runs.
    """
    done = Forgotten()
    root = root_of(workspace)
    if root is None or not (hashes or made):
        return done
    with opened(root) as repo:
        from dvc.repo import lock_repo

        with lock_repo(repo):  # no stage runs meanwhile
            stores = Stores(repo, done.left)
            planned = Forgetting.of(repo, stores, hashes, before=made, live=live)
            remember(planned.made)
            planned.carry_out(done.deleted, done.left)
    return done


def listing(workspace: Path, hashes: Collection[str], *, made: Collection[str] = (), live: Live = tuple) -> list[str]:
    """Return every path that :func:`forget` would delete, or in a store elsewhere the place and hash. Reads only."""
    root = root_of(workspace)
    if root is None or not (hashes or made):
        return []
    with opened(root) as repo:
        return Forgetting.of(repo, Stores(repo, []), hashes, before=made, live=live).listing()


def made(workspace: Path, hashes: Collection[str], *, made: Collection[str] = (), live: Live = tuple) -> frozenset[str]:
    """Return the hashes of what stages made of these, which :func:`forget` would delete too. Reads only."""
    root = root_of(workspace)
    if root is None or not (hashes or made):
        return frozenset()
    with opened(root) as repo:
        return Forgetting.of(repo, Stores(repo, []), hashes, before=made, live=live).made


def search(
    workspace: Path,
    hashes: Collection[str],
    items: Collection[str],
    *,
    made: Collection[str] = (),
    live: Live = tuple,
    trace: Trace = lambda path, reading: None,
) -> Looked:
    """Look for hashes, and what was made of them, in every store, and for items in every Parquet file. Only reads.

    ``trace`` looks into every file as well, for what is no item.
    """
    looked = Looked()
    root = root_of(workspace)
    if root is None:
        return looked
    try:
        with opened(root) as repo:
            stores = Stores(repo, looked.blind)
            planned = Forgetting.of(repo, stores, hashes, before=made, live=live)
            looked.places += len(planned.gone) * len(stores.places) + 1
            looked.found += planned.traces()
            _search_files(repo, stores, items, trace, looked)
    except LineageError as error:
        looked.blind.append(str(error))
    return looked


def _search_files(repo: Any, stores: Stores, items: Collection[str], trace: Trace, looked: Looked) -> None:
    runs = {Path(run.path) for run in stores.runs}
    tracked = (path for out in repo.index.outs for path in files_of(out))
    for path in (*stores.local_files(), *tracked, *experiments(repo)):
        looked.places += 1
        try:
            reading = Reading.of(path, stored=True)
            words = "holds withdrawn items" if holds(path, items) else trace(path, reading)
        except OSError:
            looked.unread.append(path)
            continue
        if words is not None:
            looked.found.append(f"{relative(path, repo)} {words}")
        elif reading is Reading.UNREAD and path.suffix != ".dir" and path not in runs:
            looked.unread.append(path)


def holds(path: Path, items: Collection[str]) -> bool:
    """Whether a file is Parquet with a ``digest`` column in which one of these item digests stands."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    try:
        with pq.ParquetFile(path) as table:
            if "digest" not in table.schema_arrow.names:
                return False
            wanted = pa.array(sorted(items), pa.string())
            for batch in table.iter_batches(columns=["digest"]):
                if pc.any(pc.is_in(batch.column(0).cast(pa.string()), value_set=wanted)).as_py():
                    return True
    except (pa.ArrowException, OSError):
        return False  # damaged: whoever checks digests reports it
    return False
