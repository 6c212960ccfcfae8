"""A page that shows near-duplicates beside the removed items they look like, for the person who judges them.

It shows content that is to be removed, so the operator deletes it afterwards; no purge does, and
:mod:`disgorge.locations.exports` remembers that it was written. It refers to nothing outside itself.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from disgorge.evidence.checks import NearItem
from disgorge.report.images import sample_grid
from disgorge.report.page import rendered
from disgorge.training.items import read_items
from lineage.catalog.catalog import Catalog
from lineage.storage.manifest import read_digests
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.method import Array

SHOWN = 200
"""Pairs on a page; how many more there are is said."""


def near_page(workspace: Workspace, request: str, items: Sequence[NearItem]) -> tuple[str, frozenset[str]]:
    """Return the page, each item with the removed one nearest to it, as pictures where a field is one.

    And the digests of the items that it shows.
    """
    shown = items[:SHOWN]
    content = _content(workspace, {digest for item in shown for digest in (item.digest, item.near[0])})
    pairs = [
        {"item": item, "live": _views(content, item.digest), "removed": _views(content, item.near[0])} for item in shown
    ]
    page = rendered("near.html.j2", {"request": request, "pairs": pairs, "left_out": len(items) - len(shown)})
    return page, frozenset(content)


def _content(workspace: Workspace, shown: set[str]) -> "dict[str, dict[str, Array]]":
    """Return the fields of live items by digest; what was withdrawn already is not shown."""
    import numpy as np

    with Catalog.of(workspace) as catalog:
        shards = [shard.digest for shard in catalog.shards()]
    found: dict[str, dict[str, Array]] = {}
    for shard in shards:
        if shown.isdisjoint(read_digests(workspace.manifest_path(shard)).to_pylist()):
            continue
        items = read_items(workspace, shard)
        for row, digest in enumerate(items.digests):
            if digest in shown:
                found[digest] = {name: np.asarray(array[row]) for name, array in items.arrays.items()}
    return found


def _views(content: "dict[str, dict[str, Array]]", digest: str) -> list[tuple[str, str, str]]:
    """Return each field as its name, the data URI of a picture or "", and words."""
    if digest not in content:
        return [("", "", "withdrawn already, so it cannot be shown")]
    return [_view(name, value) for name, value in sorted(content[digest].items())]


def _view(name: str, value: "Array") -> tuple[str, str, str]:
    import numpy as np

    if value.dtype.kind in "biuf" and value.ndim in (2, 3) and min(value.shape[-2:]) > 1:
        low, high = float(np.nanmin(value)), float(np.nanmax(value))
        if picture := sample_grid((value.astype(np.float64)[None] - low) / ((high - low) or 1.0)):
            return name, picture, ""
    words = ", ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value.ravel().tolist())
    return name, "", words if len(words) <= 2000 else f"{words[:2000]} ..."
