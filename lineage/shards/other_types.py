"""Items as live shards would hold them: the same numbers in another type, and so with another digest.

An empty cell makes floats of a column of whole numbers, and, where it is kept, of booleans. So an item that was
withdrawn may come back from a file in which no cell is empty, with the same numbers and other bytes; or the other way
round. A shard whose content is missing or damaged is left out: it may be what is added to mend it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lineage.errors import DigestMismatch, UnknownRecord
from lineage.shards.files import live_shards, references_of
from lineage.storage.content import content_layout, dtype_name, item_digests
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lineage.storage.content import Arrays


def digests_in_other_types(workspace: Workspace, content: "Arrays") -> Iterator[dict[int, str]]:
    """Yield, for each way in which live shards hold these fields, digests by row of items that it holds exactly."""
    mine = {name: dtype_name(array) for name, array in content.items()}
    seen = [mine]
    for shard in live_shards(workspace):
        if {*shard.fields} != mine.keys():
            continue
        try:
            lying = references_of(workspace, shard.digest)
            kinds = lying[1].reading.kinds if lying else _kinds(workspace, shard.digest)
        except (DigestMismatch, UnknownRecord):
            continue
        if kinds in seen or kinds.keys() != mine.keys():
            continue
        changed = [name for name, kind in kinds.items() if mine[name] != kind]
        if any(each[1] not in "biuf" for name in changed for each in (mine[name], kinds[name])):
            continue
        seen.append(kinds)
        with np.errstate(invalid="ignore"):  # NaN is no whole number, and then not the same
            cast = content | {name: content[name].astype(kinds[name]) for name in changed}
            same = np.all([_is_same(cast[name].astype(mine[name]), content[name]) for name in changed], axis=0)
        yield {row: digest for row, digest in enumerate(item_digests(cast)) if same[row]}


def _kinds(workspace: Workspace, shard: str) -> dict[str, str]:
    return {name: kind for name, (kind, _) in content_layout(workspace.content_path(shard)).items()}


def _is_same(one: "NDArray[Any]", other: "NDArray[Any]") -> "NDArray[np.bool_]":
    """Return which items have the same numbers, shape (items,)."""
    equal = (one == other) | ((one != one) & (other != other))
    return np.asarray(equal.reshape(len(equal), -1).all(axis=1))
