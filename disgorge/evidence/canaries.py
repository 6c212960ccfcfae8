"""Canaries: items with a wrong label, a coin deciding which are trained on, to count what a model remembers.

Nothing but having been trained on it makes a model believe a wrong label. Candidates are drawn from a file and given
a wrong label each; then a fair coin, one per candidate, says which are *planted* and which *withheld*. The planted
ones go into a file that is added to the data, as a shard of its own or as part of one. The withheld ones become a
recorded shard that no model may name.  When the planted ones are removed, :mod:`disgorge.evidence.probes.canaries`
compares the two.

What holds them together is a fact: the digests of both sets and a commitment, the SHA-256 of the seed of every draw.
The seed stays in ``private/canaries``; shown later, it lets anybody draw the very same canaries from the same file. A
planted item is known again by its key, ``canary-<commitment>-<number>``, in whatever shard it ended up.

Decided here, with what it costs: labels that are wrong make a model a little worse, so plant few; and a canary shows
its source's pictures under another label, so the source must be data that is yours and in no other shard, or a search
for residue will find its likeness there.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from disgorge.evidence.checks import Canaries
from disgorge.method import Items
from disgorge.training.items import read_items
from lineage.errors import BadInput
from lineage.formats.read import from_arrays, read_file
from lineage.records import Json, shard_digest
from lineage.shards.add import add_items
from lineage.shards.files import live_shards, shard_rows
from lineage.storage.content import item_digests
from lineage.storage.manifest import read_digests
from lineage.storage.objects import write_atomically
from lineage.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

FEWEST = 16
"""Candidates: with fewer, not even a model that knows every planted one can be told from luck in most draws."""
_SHOWN = 12
"""Characters of the commitment in a key."""
_SOURCE = "canaries"


@dataclass(frozen=True, slots=True)
class Planted:
    """What was drawn: where the planted ones are, the shard of the withheld ones, and how many there are of each."""

    file: str
    withheld_shard: str
    planted: int
    withheld: int
    commitment: str


def plant(
    workspace: Workspace,
    source: Path,
    *,
    name: str,
    to: Path,
    count: int | None = None,
    label: str = "label",
    seed: str | None = None,
    encoding: str = "utf-8",
) -> Planted:
    """Draw canaries from a file: write the planted ones to ``to`` (NPZ), record the withheld ones as a shard.

    ``count`` is how many candidates, all rows by default; about half are planted. ``seed`` is a secret text, drawn if
    not given. Raises ``BadInput``: nothing is written then.
    """
    import numpy as np

    if to.exists() or to.suffix != ".npz":
        raise BadInput(f"{to}: " + ("exists already; give a new file" if to.exists() else "must end in .npz"))
    if not os.access(to.parent, os.W_OK):
        raise BadInput(f"{to}: cannot be written; give a file in a folder that is there")
    intake = read_file(source, encoding=encoding)
    _refuse_known(workspace, item_digests(intake.content), str(source))
    seed = secrets.token_hex(32) if seed is None else seed
    commitment = hashlib.sha256(seed.encode()).hexdigest()
    chance = np.random.default_rng(int(hashlib.sha256(b"canaries" + seed.encode()).hexdigest(), 16))
    content = _mislabeled(intake.content, chance, str(source), count=count, label=label)
    coin = chance.random(len(content[label])) < 0.5  # (candidates,)
    if coin.all() or not coin.any():
        raise BadInput(f"{source}: the coin put all {len(coin)} candidates on one side; give more of them")
    keys = np.array([f"{_prefix(commitment)}{number}" for number in range(len(coin))])
    planted = {field: array[coin] for field, array in content.items()}
    withheld = {field: array[~coin] for field, array in content.items()}
    kept = json.dumps({"seed": seed, "source": source.name, "label": label, "candidates": len(coin)})
    private = workspace.home / "private" / "canaries"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = private / f"{commitment}.json"
    columns: dict[str, Any] = planted | {"key": keys[coin], "source": np.full(int(coin.sum()), _SOURCE)}
    try:
        write_atomically(secret, kept.encode(), mode=0o600)
        np.savez(to, **columns)
        recorded = add_items(
            workspace,
            from_arrays(withheld, keys=keys[~coin].tolist(), origin=str(source)),
            name=f"{name}-withheld",
            source=_SOURCE,
            legal_basis="owned",
            check=False,
            dvc=False,
        )
    except BaseException:
        for path in (secret, to):
            path.unlink(missing_ok=True)
        raise
    fact = {
        "planted": shard_digest(item_digests(planted)),
        "withheld": recorded.shard.digest,
        "candidates": len(coin),
        "commitment": commitment,
    }
    if fact not in [known.body for known in workspace.ledger.facts("canaries")]:
        workspace.ledger.append("canaries", fact)
    return Planted(str(to), recorded.shard.name, int(coin.sum()), int((~coin).sum()), commitment)


def _refuse_known(workspace: Workspace, digests: Iterable[str], source: str) -> None:
    """Raise ``BadInput`` for items that were withdrawn, which must not come back, or that a shard holds."""
    candidates = frozenset(digests)
    workspace.require_marks()
    if gone := sum(map(workspace.is_withdrawn, candidates)):
        raise BadInput(f"{source}: {gone} of its items were withdrawn by request; give data that is yours to plant")
    for shard in live_shards(workspace):
        if held := len(candidates.intersection(read_digests(workspace.manifest_path(shard.digest)).to_pylist())):
            raise BadInput(f"{source}: {held} of its items are in shard '{shard.name}'; give data that is in no shard")


def _mislabeled(
    content: "dict[str, np.ndarray[Any, Any]] | Any",
    chance: "np.random.Generator",
    source: str,
    *,
    count: int | None,
    label: str,
) -> "dict[str, np.ndarray[Any, Any]]":
    """Return the candidates' fields, each label replaced by another one of those in the file."""
    import numpy as np

    labels = content.get(label)
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise BadInput(f"{source}: canaries need a column of whole numbers to be wrong about; name it with --label")
    classes = np.unique(labels)
    first = np.unique(np.array(item_digests(content)), return_index=True)[1]  # a repeat would be on both sides
    wanted = len(first) if count is None else count
    if len(classes) < 2 or not FEWEST <= wanted <= len(first):
        raise BadInput(
            f"{source}: has {len(first)} distinct items of {len(classes)} labels; canaries need at least {FEWEST} "
            f"items and two labels, and no more candidates than there are items"
        )
    rows = chance.permutation(np.sort(first))[:wanted]
    chosen = {field: array[rows] for field, array in content.items()}
    place = np.searchsorted(classes, chosen[label])  # (candidates,)
    other = (place + chance.integers(1, len(classes), size=wanted)) % len(classes)
    return chosen | {label: classes[other].astype(labels.dtype)}


def canaries_among(workspace: Workspace, withdrawn: Iterable[str], removed: Items) -> Canaries | None:
    """Return the canaries of which planted ones are among ``removed``; None if there are none.

    ``withdrawn`` are the digests of the shards the items were in. Of several plantings the one with the most is taken.
    """
    plantings = {fact.body["commitment"]: fact.body for fact in workspace.ledger.facts("canaries")}
    if not plantings:
        return None
    rows = [
        row for digest in withdrawn if workspace.manifest_path(digest).exists() for row in shard_rows(workspace, digest)
    ]
    best: tuple[int, str, frozenset[str]] | None = None
    for commitment in sorted(plantings):
        ours = {row.digest for row in rows if row.key.startswith(_prefix(commitment))}
        found = frozenset(ours.intersection(removed.digests))
        if found and (best is None or len(found) > best[0]):
            best = (len(found), commitment, found)
    if best is None or not workspace.content_path(plantings[best[1]]["withheld"]).exists():
        return None
    withheld = read_items(workspace, plantings[best[1]]["withheld"])
    return Canaries(_rows(removed, best[2]).unnamed(), withheld.unnamed(), best[1])


def _rows(items: Items, digests: frozenset[str]) -> Items:
    import numpy as np

    index = np.array([row for row, digest in enumerate(items.digests) if digest in digests], dtype=np.int64)
    arrays: dict[str, Json] = {field: array[index] for field, array in items.arrays.items()}
    return Items(tuple(items.digests[row] for row in index), arrays)


def _prefix(commitment: str) -> str:
    return f"canary-{commitment[:_SHOWN]}-"
