"""Near-duplicates of what a request removes: found in every live shard by likeness, and judged by a person.

A copy that was recompressed or reworded has another digest, so no selector and no search by digest finds it.
Where likenesses were recorded (``disgorge shard add --likeness``) it is found by them. But different items may look
alike, so nothing is taken away for its looks alone: a request with unjudged near-duplicates is not
planned, no item is withdrawn for it and no certificate issued, until a person says of each whether it is the same
(:mod:`disgorge.request.near.review`).

Not found: copies in shards without likenesses, and what the likeness itself does not survive
(:mod:`lineage.perceptual_hash`); evidence says how much was looked for, and where that was impossible.
"""

from collections.abc import Collection, Mapping, Sequence

from disgorge.errors import DisgorgeError
from disgorge.evidence.checks import Near, NearItem
from disgorge.request.case import Case
from disgorge.request.holds.held_items import removable
from disgorge.request.included import mark_of
from disgorge.request.withdrawn.forget_list import forgotten_likenesses, likenesses_taken
from lineage.activity import activity
from lineage.catalog.catalog import Catalog
from lineage.perceptual_hash import distance, near_any
from lineage.records import Shard
from lineage.shards.files import check_manifests, likenesses_of, recorded_likenesses
from lineage.workspace import Workspace


def near_now(workspace: Workspace, case: Case, shards: Collection[Shard], *, besides: Collection[str] = ()) -> Near:
    """Look for near-duplicates of what a request selects in the live ``shards``, and of what went of that before.

    ``besides`` are items, by digest, that are removed together with these.
    """
    likenesses = forgotten_likenesses(workspace, case) | likenesses_taken(workspace, case)
    if any(likenesses_of(workspace, shard.digest) is not None for shard in shards):
        likenesses |= recorded_likenesses(workspace, removable(workspace, case))
    return look(workspace, case, likenesses, besides=besides)


def require_judged(near: Near, case: Case) -> None:
    """Raise :class:`DisgorgeError` if there are unjudged near-duplicates."""
    if near.unjudged:
        raise DisgorgeError(
            f"near-duplicates of request {case.request.id}: {near.words}; see them with `disgorge request near "
            f"{case.request.id}`, then remove them too with --same or say with --distinct that they are other items"
        )


@activity("looking for near-duplicates")
def look(workspace: Workspace, case: Case, likenesses: Mapping[str, str], *, besides: Collection[str] = ()) -> Near:
    """Look in every live shard for items near those of ``likenesses``, by item digest, and not among them.

    Nor among ``besides``, which are removed together with them.
    """
    if not likenesses:
        return Near(0)
    with Catalog.anew(workspace) as catalog:
        shards = catalog.shards()
    check_manifests(workspace, shards)
    alike: list[NearItem] = []
    unseen: list[str] = []
    for shard in shards:
        rows = likenesses_of(workspace, shard.digest)
        if rows is None or any(likeness is None for _, likeness in rows):
            unseen.append(shard.name)
        others = [
            (digest, likeness)
            for digest, likeness in rows or ()
            if likeness and digest not in likenesses and digest not in besides
        ]
        hit = near_any(list(likenesses.values()), [likeness for _, likeness in others])
        alike += [_near(shard.name, *other, likenesses) for other, is_near in zip(others, hit, strict=True) if is_near]
    judged = [item for item in alike if mark_of(workspace, case, item.digest, item.near) in case.distinct]
    return Near(
        sought=len(likenesses),
        unjudged=tuple(item for item in alike if item not in judged),
        distinct=tuple(judged),
        unseen=tuple(unseen),
    )


def look_for_all(workspace: Workspace, cases: Sequence[Case]) -> Near:
    """Look for near-duplicates of what was withdrawn for requests, each judged as its own request says."""
    searches = [look(workspace, case, forgotten_likenesses(workspace, case)) for case in cases]
    if len(searches) == 1:
        return searches[0]
    sought = {item for case in cases for item in forgotten_likenesses(workspace, case)}
    return Near(
        sought=len(sought),
        unjudged=tuple(dict.fromkeys(item for each in searches for item in each.unjudged)),
        distinct=tuple(dict.fromkeys(item for each in searches for item in each.distinct)),
        unseen=tuple(dict.fromkeys(name for each in searches for name in each.unseen)),
    )


def recognized(workspace: Workspace, shards: Collection[str], likenesses: Mapping[str, str]) -> frozenset[str]:
    """Return which removed items the same search finds in the shards they were in: it could have found them."""
    there = [row for shard in shards for row in likenesses_of(workspace, shard) or ()]
    matches = near_any(list(likenesses.values()), [likeness for _, likeness in there])
    return frozenset(digest for (digest, _), hit in zip(there, matches, strict=True) if hit and digest in likenesses)


def _near(shard: str, digest: str, likeness: str, wanted: Mapping[str, str]) -> NearItem:
    removed = sorted(wanted)
    near = near_any([likeness], [wanted[other] for other in removed])
    bits = {other: distance(likeness, wanted[other]) or 0 for other, hit in zip(removed, near, strict=True) if hit}
    to = tuple(sorted(bits, key=lambda other: (bits[other], other)))
    return NearItem(shard, digest, to, bits[to[0]])
