"""What a search could not look into, by name: said in reports, kept out of the ledger.

A path may name a person, and the ledger is for good. So the fact of a purge has numbers only; the names lie in
``private/unsearched``, one file a plan, from where the evidence takes them: that is an object and part of the report.
Negative consequence: without that file a report written later says how many files there were, and not which.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from disgorge.errors import ExecutionFailed
from disgorge.evidence.checks import Check, Near, ResidueCase
from disgorge.locations.every import search
from disgorge.locations.location import Target, shown
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.private_files import UNSEARCHED, UnsearchedNames
from lineage.workspace import Workspace
from policies.request import RemovalRequest

_NAMED = 10
"""Shards told by name in one sentence."""


def residue_case(
    workspace: Workspace,
    target: Target,
    *,
    found_before: int,
    near: Callable[[], Near] = lambda: Near(0),
    recognized: int = 0,
) -> ResidueCase:
    """Search again after a purge; ``found_before`` is how much the same search found before it.

    ``near`` looks for near-duplicates, ``recognized`` is how many removed items that found before.
    """
    start = time.perf_counter()
    traces = search(workspace, target)
    alike = near()
    return ResidueCase(
        request=target.request,
        before=found_before,
        left=traces.left,
        places=traces.places,
        blind=traces.unreachable,
        seconds=time.perf_counter() - start,
        items=len(target.items),
        near=alike,
        recognized=recognized,
        unread=tuple(shown(path, workspace) for path in traces.unreadable),
        sources=traces.unsupported,
        registered=traces.unexplained,
    )


def nobody_named(workspace: Workspace, request: RemovalRequest) -> Iterator[str]:
    """Yield in words where a request that selects by person could find nobody: items that were recorded without one."""
    if not any(selector.field == "subject" for selector in request.selectors):
        return
    with Catalog.of(workspace) as catalog:
        unnamed = catalog.without_subject()
    if unnamed:
        first = ", ".join(f"{count:,} of {name}" for name, count in list(unnamed.items())[:_NAMED])
        more = f" and of {len(unnamed) - _NAMED:,} more shards" if len(unnamed) > _NAMED else ""
        yield f"items that name no person were not searched for the person asked for: {first}{more}"


def nameless(workspace: Workspace, plan: str, check: Check) -> Check:
    """Keep a check's names in private, and return it without them, for the ledger."""
    named = UnsearchedNames(
        check.detail["not looked into"]["named"],
        check.detail["still there"],
        check.detail["registered models"]["named"],
    )
    UNSEARCHED.write(workspace, named, plan)
    return _told(check, UnsearchedNames([], [], []))


def with_names(workspace: Workspace, plan: str, check: Check) -> Check:
    """Return the check that :func:`nameless` returned with its names again, as far as they are there."""
    try:
        names = UNSEARCHED.read(workspace, plan)
    except LineageError as problem:
        raise ExecutionFailed(str(problem)) from problem
    return check if names is None else _told(check, names)


def _told(check: Check, names: UnsearchedNames) -> Check:
    detail = {
        **check.detail,
        "not looked into": {**check.detail["not looked into"], "named": names.named},
        "still there": names.still_there,
    }
    if "registered models" in detail:  # else it was measured by a version that did not look at them
        detail["registered models"] = {**detail["registered models"], "named": names.registered}
    return replace(check, detail=detail)
