"""The averages toy with a picture to each item, likenesses recorded, and one near-duplicate in another shard.

The near-duplicate is row 7 of the second shard: the picture of row 4 of the third, which is one of the items of
``shard-3-person-1``, with two percent of noise. All else about it is another item's: its point, its label, its person.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.evidence.checks import Near
from disgorge.method import Toy
from disgorge.request.case import case_of
from disgorge.request.near.find import near_now
from disgorge.request.near.review import judge_distinct, judge_same
from disgorge.request.workflow.impact import impact_of
from lineage.records import Shard
from lineage.shards.add import add_shard, shard_rows
from lineage.workspace import Workspace
from tests.toys import live_shards, toy_of, train, write_rows

SHARD, ROW = "shard-2", 7
ORIGINAL = ("shard-3", 4)
SIDE = 24


def toy() -> Toy:
    """The toy, pictures included."""
    made = toy_of("averages", 3)
    pictures = {name: picture_set(name, len(items)) for name, items in made.items.items()}
    pictures[SHARD][ROW] = noisy(pictures[ORIGINAL[0]][ORIGINAL[1]])
    for name, items in made.items.items():
        assert isinstance(items.arrays, dict)
        items.arrays["picture"] = pictures[name]
    return made


def picture_set(name: str, count: int) -> Any:
    """Pictures that are nothing like each other, shape (count, side, side), in [0, 1]."""
    return np.random.default_rng(sorted(name.encode())).random((count, SIDE, SIDE), np.float32)


def noisy(picture: Any, seed: int = 1) -> Any:
    """The picture with two percent of noise."""
    return (picture + np.random.default_rng(seed).normal(scale=0.02, size=picture.shape)).astype(np.float32)


def populate(workspace: Workspace, folder: Path, *, likeness: str | None = "image:picture") -> Toy:
    """Register the shards; likenesses are recorded unless ``likeness`` is None."""
    made = toy()
    folder.mkdir(parents=True, exist_ok=True)
    for name, items in made.items.items():
        write_rows(folder / f"{name}.npz", name, items, range(len(items)))
        _add(workspace, folder / f"{name}.npz", name, core=name in made.spec.core, likeness=likeness)
    return made


def trained(folder: Path, *, likeness: str | None = "image:picture") -> Workspace:
    """A workspace with the toy trained."""
    workspace = Workspace.init(folder / "workspace")
    train(workspace, populate(workspace, folder / "sources", likeness=likeness))
    return workspace


def near(workspace: Workspace, request_id: str = "R-1") -> Near:
    """What a request's near-duplicates are now."""
    case = case_of(workspace, request_id)
    return near_now(workspace, case, [change.before for change in impact_of(workspace, case.request).shards])


def judge(workspace: Workspace, *, same: bool = False, request_id: str = "R-1") -> None:
    """Judge every unjudged near-duplicate as the same, or as distinct."""
    case, found = case_of(workspace, request_id), near(workspace, request_id).unjudged
    assert found
    if same:
        judge_same(workspace, case, [item.digest for item in found], by="ann", because="compared side by side")
    else:
        pairs = [(item.digest, item.near) for item in found]
        judge_distinct(workspace, case, pairs, by="ann", because="another place, another day")


def add_copies(workspace: Workspace, folder: Path, name: str, pictures: Sequence[Any], *, seed: int = 5) -> Shard:
    """Add a shard of somebody else's with these pictures in it, likenesses recorded."""
    folder.mkdir(parents=True, exist_ok=True)
    count = len(pictures)
    arrays: Mapping[str, Any] = {
        "key": np.array([f"{name}-{row}" for row in range(count)]),
        "subject": np.array(["somebody else"] * count),
        "x": np.random.default_rng(seed).normal(size=(count, 4)),
        "label": np.zeros(count, np.int64),
        "picture": np.stack(pictures),
    }
    np.savez(folder / f"{name}.npz", **arrays)
    _add(workspace, folder / f"{name}.npz", name)
    return live_shards(workspace)[name]


def digest_at(workspace: Workspace, shard: str, row: int) -> str:
    """The digest of an item of a live shard by its place in the file it came from."""
    rows = shard_rows(workspace, live_shards(workspace)[shard].digest)
    (found,) = [item.digest for item in rows if item.key == f"{shard}-{row}"]
    return str(found)


def _add(
    workspace: Workspace, path: Path, name: str, *, core: bool = False, likeness: str | None = "image:picture"
) -> None:
    add_shard(
        workspace, path, name=name, key="key", subject="subject", source=f"source-of-{name}", license="MIT",
        legal_basis="public domain" if core else "consent", core=core, check=False, dvc=False, likeness=likeness,
    )  # fmt: skip
