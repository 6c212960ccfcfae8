"""What DVC made of an erased hash: the outputs of every run that read it, and of those that read these. Pure.

A run is known from a ``dvc.lock`` or from the run-cache; it says by hash what it read and what it made. Spared is what
something live equals, what a run made that read nothing erased (the same bytes without the erased data), and what a
run only passed on from what it read.

Negative consequences: a stage that does not declare what it reads is not seen; and a stage that declares a folder whose
listing DVC did not keep counts as having read every erased file that lies in it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.dvc.storage import Stores


@dataclass(frozen=True, slots=True)
class Run:
    """What a stage read and made once, by hash; folders as themselves and as what they list.

    ``known`` is whether everything it read is known by hash, so that it can be said that nothing erased was among it.
    """

    read: frozenset[str]
    made: frozenset[str]
    known: bool


def made_of(
    runs: Collection[Run],
    erased: Collection[str],
    *,
    before: Collection[str] = (),
    live: Callable[[], Collection[str]] = tuple,
) -> frozenset[str]:
    """Return the hashes that were made of erased ones, which are not among them.

    ``before`` are those found earlier, when more runs were known. ``live`` is asked only if something may be spared.
    """
    roots = frozenset(erased)
    gone = _closure(runs, roots | frozenset(before), frozenset())
    if gone == roots:
        return frozenset()
    spared = frozenset(live())
    while True:
        gone = _closure(runs, roots | (frozenset(before) - spared), spared)
        clean = (run.made for run in runs if run.known and run.read and run.read.isdisjoint(gone))
        more = spared.union(*clean)
        if more == spared:
            return gone - roots
        spared = more  # which leaves less gone, so that more runs may be clean


def _closure(runs: Iterable[Run], start: frozenset[str], spared: frozenset[str]) -> frozenset[str]:
    gone = start
    while True:
        read_it = (run.made - (run.read - gone) for run in runs if not run.read.isdisjoint(gone))
        more = gone.union(*read_it) - (spared - start)
        if more == gone:
            return gone
        gone = more


def run_of(
    entry: Mapping[str, Any], stores: Stores, *, erased_at: Mapping[Path, str], folders: Collection[Path]
) -> Run:
    """Return what one entry of a ``dvc.lock`` or of the run-cache says.

    ``erased_at`` says where erased files lie; ``folders`` are those from which its paths may count.
    """
    read, made, known = set[str](), set[str](), True
    for path, md5 in named(entry.get("deps")):
        read |= {md5, *stores.listing(md5)}
        if not md5:
            known = False
        elif md5.endswith(".dir") and md5 not in stores.folders:
            below = {
                erased for at, erased in erased_at.items() for folder in folders if at.is_relative_to(folder / path)
            }
            read |= below
            known = known and not below
    for _, md5 in named(entry.get("outs")):
        made |= {md5, *stores.listing(md5)}
    return Run(frozenset(read - {""}), frozenset(made - {""}), known)


def named(listed: Any) -> Iterable[tuple[str, str]]:
    """Yield path and MD5 of what an entry lists; the MD5 is empty where DVC kept none.

    Of a folder whose files are listed beside it, as once it was pushed to a version-aware remote, each file too.
    """
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            files = files_listed(item)
            if item.get("md5") or not files:
                yield str(item.get("path", "")), str(item.get("md5") or "")
            yield from ((f"{item.get('path', '')}/{file.get('relpath', '')}", str(file["md5"])) for file in files)


def files_listed(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the files that an entry's dependency or output lists beside itself, those that have an MD5."""
    files = item.get("files")
    return [file for file in files if isinstance(file, dict) and file.get("md5")] if isinstance(files, list) else []
