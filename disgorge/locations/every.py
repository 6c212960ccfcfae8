"""Every location of a workspace, in the order of deletion, and the loops over them: search, dry run, purge.

The search is run before a purge too: a search that finds nothing then could not have found anything. What a live
component or shard still needs is not looked for and not deleted: an object is named by its bytes, so a retained
component elsewhere may rest on the very same one.

Not reached, and said each time: git history, backups, clones and third parties. The ledger keeps digests of shards,
which are over many items, and never of items; but a request that *selects* by an item's digest has written that down.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from disgorge.errors import DisgorgeError, ExecutionFailed
from disgorge.locations.code import Code
from disgorge.locations.dvc import Dvc
from disgorge.locations.exports import Exports
from disgorge.locations.folder import Folder
from disgorge.locations.location import Deletion, Location, Spare, Target, Traces
from disgorge.locations.mlflow import Mlflow
from disgorge.locations.objects import Objects
from disgorge.locations.references import retained_files, spare_of
from disgorge.locations.report_images import ReportImages
from disgorge.locations.source_files import SourceFiles
from lineage.activity import activity
from lineage.errors import DigestMismatch, LedgerBroken
from lineage.ledger.chain import Fact
from lineage.shards.files import adding_alone
from lineage.storage.other_forms import OtherForms
from lineage.workspace import Workspace

GROUP = "disgorge.locations"
"""Entry points of third parties' locations: callables that take the workspace."""
_DVC_NAME = re.compile(r"[0-9a-f]{30}")
"""The last of an MD5, of which DVC makes a folder and a file."""
BUILT_IN: tuple[Callable[[Workspace], Location], ...] = (
    Dvc,
    Mlflow,
    Objects,
    Folder,
    SourceFiles,
    Code,
    Exports,
    ReportImages,
)
"""Built-in locations, in the order of deletion."""


def locations(workspace: Workspace) -> tuple[Location, ...]:
    """Return every location, in the order of deletion; raises :class:`DisgorgeError` if a plugin cannot be loaded."""
    found, broken = those_that_load(workspace)
    if broken:
        raise broken[0]
    return found


def those_that_load(workspace: Workspace) -> tuple[tuple[Location, ...], tuple[DisgorgeError, ...]]:
    """Return the locations that can be loaded, in the order of deletion, and why others cannot."""
    found: list[Location] = [each(workspace) for each in BUILT_IN]
    broken = []
    for point in entry_points(group=GROUP):
        try:
            found.append(_plugin(point, workspace))
        except DisgorgeError as problem:
            broken.append(problem)
    return tuple(found), tuple(broken)


@activity("searching for what is left of the removed data")
def search(workspace: Workspace, target: Target) -> Traces:
    """Search every location; reads only. A retired component that a release still serves is a trace.

    Raises :class:`~lineage.errors.DigestMismatch` where a file of the workspace itself is damaged.
    """
    spare, traces = spare_of(workspace), Traces()
    target = _completed(workspace, target.without(spare.shards, spare.objects), spare)
    for location in locations(workspace):
        try:
            traces += location.search(target, spare)
        except (DigestMismatch, LedgerBroken):
            raise
        except Exception as problem:  # each kind of store has errors of its own
            traces += Traces(unreachable=(f"{location.name} could not be searched ({problem})",))
    unread = {path.absolute() for path in traces.unreadable if not _is_of_a_report(path)}
    ordered = sorted(unread, key=lambda path: (_is_hash(path), len(path.parts), path.parts))
    return replace(traces, unreadable=tuple(ordered))


def plan(workspace: Workspace, target: Target, coming: Sequence[Fact] = ()) -> Deletion:
    """Return what :func:`purge` would delete in every location once these facts have come; reads only."""
    kept, planned = _planned(workspace, target, spare_of(workspace, coming))
    return sum((deletion for _, deletion in planned), kept)


@activity("deleting old weights and withdrawn items")
def purge(workspace: Workspace, target: Target) -> Deletion:
    """Delete the target in every location and return what went and what is left; twice does no harm.

    No shard is added meanwhile, so what lies written aside was left by a writer that was killed. Raises
    :class:`DisgorgeError`, and deletes nothing, while a location cannot say what would go.
    """
    with adding_alone(workspace):
        done, planned = _planned(workspace, target, spare_of(workspace))
        for location, deletion in planned:
            with _explaining(location, partial(_untouched, done, deletion)):
                done += location.delete(deletion)
    return done


def _planned(workspace: Workspace, target: Target, spare: Spare) -> tuple[Deletion, list[tuple[Location, Deletion]]]:
    """Return what of the target is kept, and what every location would delete of the rest."""
    needed, planned = spare.served | spare.objects, []
    rest = _completed(workspace, target.without(spare.shards, needed), spare)
    for location in locations(workspace):
        with _explaining(location, lambda: True):
            planned.append((location, replace(location.plan(rest, spare), target=rest, spare=spare)))
    reasons = [f"shard {digest} is kept: {spare.shards[digest]}" for digest in target.shards if digest in spare.shards]
    reasons += [f"object {digest} is kept: {needed[digest]}" for digest in target.weights if digest in needed]
    return Deletion(target, spare, kept=tuple(dict.fromkeys(reasons))), planned


@contextmanager
def _explaining(location: Location, untouched: Callable[[], bool]) -> Iterator[None]:
    """Turn what a location raises into a :class:`DisgorgeError` that says how far the purge came."""
    try:
        yield
    except Exception as problem:  # each kind of store has errors of its own
        half = "it may be half done, and what comes after it was not deleted"
        so_far = "no old weights or items were deleted" if untouched() else half
        words = f"{location.name}: {problem}; {so_far}; correct that, or let what uses it end, and resume"
        kind = type(problem) if isinstance(problem, DisgorgeError) else DisgorgeError
        raise (ExecutionFailed if isinstance(problem, OSError) else kind)(words) from problem


def _untouched(done: Deletion, deletion: Deletion) -> bool:
    """Whether nothing was deleted before, and every file is still there that was to go now."""
    return not done.entries and all(os.path.lexists(path) for path in deletion.paths)


def _completed(workspace: Workspace, target: Target, spare: Spare) -> Target:
    """Add each composition that had one of the weights, and the comparison with those and with what is retained."""
    compositions = spare.state.compositions.values()
    composed = (each for each in compositions if any(member.component in target.weights for member in each.members))
    return replace(
        target,
        compositions=target.compositions | {each.digest for each in composed},
        other_forms=OtherForms(target.samples, retained_files(workspace, spare, target) if target.samples else ()),
    )


def _is_of_a_report(path: Path) -> bool:
    """Whether a file is one of a report that was logged or copied somewhere."""
    return path.suffix in (".json", ".jsonl", ".pdf", ".sig") and (path.parent / "statement.json").is_file()


def _is_hash(path: Path) -> bool:
    """Whether a file is called as DVC calls what it stores, which tells a reader less than a chosen name."""
    return _DVC_NAME.fullmatch(path.name) is not None


def _plugin(point: EntryPoint, workspace: Workspace) -> Location:
    try:
        location = point.load()(workspace)
    except Exception as problem:  # any error of a plugin: leaving a location out would make a false certificate
        raise DisgorgeError(
            f"location '{point.name}' ({point.value}) cannot be loaded: {problem}; fix or uninstall its package"
        ) from problem
    if not isinstance(location, Location):
        raise DisgorgeError(f"location '{point.name}' ({point.value}) is not a subclass of Location; fix its package")
    return location
