"""The items that models are asked about: samples with a most of each, stratified, and the same every time.

What a sample is for are the numbers of a report, and a proof must stay a small share of the training it spares: with
256 items, an accuracy lies within six hundredths of that on all of them, nineteen times in twenty.

Items are ordered by shard, by label where they have one, and by digest, which says nothing of their content; of N items
in that order those at (i + 1/2) N / n are taken, so that every shard and every label has its share to within one item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from disgorge.method import Items, ModelSpec
from disgorge.training.items import join, rows_of
from disgorge.training.stored import read_items
from lineage.activity import activity
from lineage.records import Shard
from lineage.workspace import Workspace

RETAINED, HELD_OUT, REMOVED = 256, 256, 2_000
"""Items asked about at the most, of each kind."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Items without their digests, and of how many they were taken."""

    items: Items
    of: int

    @property
    def words(self) -> str:
        """The size in words: ``12``, or ``512 of 1,400``."""
        return f"{len(self.items):,}" if len(self.items) == self.of else f"{len(self.items):,} of {self.of:,}"


@dataclass(frozen=True, slots=True)
class Samples:
    """What the models before and after are asked about."""

    removed: Sample
    retained: Sample
    held_out: Sample

    @property
    def sets(self) -> tuple[Items, Items, Items]:
        """The items, in the order in which they are asked about."""
        return self.removed.items, self.retained.items, self.held_out.items

    @property
    def words(self) -> str:
        """The sizes in words."""
        return f"{self.removed.words} removed, {self.retained.words} retained and {self.held_out.words} held-out items"


@activity("choosing the items that models are asked about")
def samples_of(workspace: Workspace, spec: ModelSpec, shards: Mapping[str, Shard], removed: Sequence[Items]) -> Samples:
    """Return samples of what is removed, given by shard, and of a model's retained and held-out shards."""
    retained, held_out = (
        [read_items(workspace, shards[name].digest, as_paths=True) for name in names if name in shards]
        for names in (spec.shards, spec.evaluate)
    )
    return Samples(sample(removed, REMOVED), sample(retained, RETAINED), sample(held_out, HELD_OUT))


def sample(parts: Sequence[Items], most: int) -> Sample:
    """Return at most so many items of shards, each in digest order.

    >>> import numpy as np
    >>> shard = Items(("0" * 64,) * 4, {"label": np.array([1, 0, 1, 0]), "x": np.arange(4)})
    >>> found = sample([shard, shard], 4)
    >>> found.items.arrays["x"].tolist(), found.items.arrays["label"].tolist(), found.words
    ([2, 3, 2, 3], [1, 0, 1, 0], '4 of 8')
    """
    items = join(list(parts))
    count = len(items)
    if count <= most:
        return Sample(items.unnamed(), count)
    places = [place for place, part in enumerate(parts) for _ in range(len(part))]
    labels = _labels(items)
    order = sorted(range(count), key=lambda row: (places[row], labels[row]))  # stable: then by digest
    chosen = sorted(order[(2 * place + 1) * count // (2 * most)] for place in range(most))
    return Sample(rows_of(items, chosen).unnamed(), count)


def _labels(items: Items) -> list[int]:
    """Return each item's label as a number, all the same where labels are no classes."""
    labels = items.arrays.get("label")
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "biuUT":
        return [0] * len(items)
    values = labels.tolist()
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [ranks[value] for value in values]
