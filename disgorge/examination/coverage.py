"""What is left after a purge and what could not be looked into: said in reports by name, kept out of the ledger.

A path may name a person, and the ledger is for good. So the fact of a purge names the check by its digest; the check
is an object, from where the evidence takes it. Negative consequence: without that object no report can be written.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from disgorge.errors import CertificateRefused
from disgorge.evidence.checks import Check, Near, ResidueCase, Verdict
from disgorge.evidence.probes.residue import residue
from disgorge.locations.every import locations, search
from disgorge.locations.fingerprints import LEAST_BYTES
from disgorge.locations.location import Target, shown
from lineage.catalog.catalog import Catalog
from lineage.perceptual_hash import THRESHOLDS
from lineage.records import canonical, restore
from lineage.storage.other_forms import FREEDOM
from lineage.workspace import Workspace
from policies.request import RemovalRequest

_NAMED = 10
"""Shards told by name in one sentence."""


CALIBRATED = (
    f"near-duplicates: images within {THRESHOLDS['image']} of 256 bits, texts within {THRESHOLDS['text']} of 128, by "
    "how often different items and changed copies lie within them, in benchmarks/calibrate_likeness.json; tensors of "
    f"removed weights from {LEAST_BYTES} bytes on, a floor that was chosen and not measured: equal bytes of fewer may "
    "be chance; rounded, transposed, cut, joined or summed tensors where they fit to within rounding and a hundred "
    f"times better than without the removed ones, over {FREEDOM} degrees of freedom, by chance rarer than 1e-16; "
    "everything else by equal digests, where one trace is too many"
)
"""What the thresholds of the searches after a purge rest on."""


def residue_check(
    workspace: Workspace,
    target: Target,
    *,
    found_before: int,
    erased: int = 0,
    near: Callable[[], Near] = lambda: Near(0),
    recognized: int = 0,
    live: int | None = None,
) -> Check:
    """Search again after a purge that ``erased`` so much, and judge what is left.

    ``found_before`` is how much the search found before the purge, ``live`` what it finds now of a live item. ``near``
    looks for near-duplicates, ``recognized`` is how many removed items that found before.
    """
    start = time.perf_counter()
    traces = search(workspace, target)
    alike = near()
    case = ResidueCase(
        request=target.request,
        before=found_before,
        left=traces.left,
        erased=erased,
        places=len(locations(workspace)),
        blind=traces.unreachable,
        seconds=time.perf_counter() - start,
        items=len(target.items),
        near=alike,
        recognized=recognized,
        unread=tuple(shown(path, workspace.root) for path in traces.unreadable),
        sources=traces.unsupported,
        registered=traces.unexplained,
        live=live,
        compared=len(traces.compared),
        opened=len(traces.opened),
        undecided=tuple(shown(path, workspace.root) for path in traces.undecided),
    )
    check = residue(case)
    return replace(check, detail=check.detail | {"calibrated": CALIBRATED})


def require_gone(check: Check, requests: Iterable[str], *, then: str) -> None:
    """Raise :class:`CertificateRefused` unless a residue check passed.

    Says where the first trace is, which command shows near-duplicates that were not judged, or why a place could not be
    looked into.
    """
    if check.verdict is Verdict.PASS:
        return
    unjudged = check.detail["near-duplicates"]["not judged"]
    shows = [f"{' or '.join(f'`disgorge request near {each}`' for each in requests)} shows them"] if unjudged else []
    first = next(iter([*check.detail["residual"], *shows, *check.detail["not enumerated"]["places"]]), "no place named")
    raise CertificateRefused(
        f"check residue is {check.verdict.value} for {check.subject}: {check.answer} ({first}); put that right and "
        f"{then}"
    )


def nobody_named(workspace: Workspace, request: RemovalRequest) -> Iterator[str]:
    """Yield in words which items a request that selects by person could not match: those recorded without a person."""
    if not any(selector.field == "subject" for selector in request.selectors):
        return
    with Catalog.of(workspace) as catalog:
        unnamed = catalog.without_subject()
    if unnamed:
        first = ", ".join(f"{count:,} of {name}" for name, count in list(unnamed.items())[:_NAMED])
        more = f" and of {len(unnamed) - _NAMED:,} more shards" if len(unnamed) > _NAMED else ""
        yield f"items that name no person were not searched for the person asked for: {first}{more}"


def nameless(workspace: Workspace, check: Check) -> Check:
    """Keep a check in the object store, and return it for the ledger: instead of its details their digest."""
    return replace(check, detail={"kept": workspace.objects.put(canonical(check))})


def with_names(workspace: Workspace, check: Check) -> Check:
    """Return the check that :func:`nameless` kept."""
    return restore(Check, json.loads(workspace.objects.get(check.detail["kept"])))
