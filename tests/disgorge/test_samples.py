"""Samples that models are asked about: their sizes, their shares, and that they are the same every time."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from disgorge.examination.samples import Sample, sample
from disgorge.method import UNRECORDED, Items


def shard(count: int, *, of: int = 0, labels: Any = None) -> Items:
    """A shard of items numbered from ``of``; of each, its label is the number's remainder by ten."""
    numbers = np.arange(of, of + count)
    arrays = {"number": numbers} | ({} if labels is False else {"label": numbers % 10 if labels is None else labels})
    return Items(tuple(f"{number:064x}" for number in numbers), arrays)


def numbers(found: Sample) -> list[int]:
    """Which items were chosen."""
    chosen: list[int] = found.items.arrays["number"].tolist()
    return chosen


def test_few_items_are_all_asked_about_and_none_is_named() -> None:
    found = sample([shard(3), shard(2, of=3)], 5)
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert set(found.items.digests) == {UNRECORDED}
    assert found.words == "5"
    assert len(sample([], 5).items) == 0


def test_every_shard_and_label_has_its_share() -> None:
    found = sample([shard(4_000), shard(2_000, of=4_000)], 512)
    assert found.words == "512 of 6,000"
    places = Counter(number >= 4_000 for number in numbers(found))
    assert abs(places[True] - 512 / 3) <= 1
    labels = Counter(found.items.arrays["label"].tolist())
    assert set(labels) == set(range(10))
    assert max(abs(count - 51.2) for count in labels.values()) <= 2
    assert numbers(found) == sorted(set(numbers(found)))


@pytest.mark.parametrize("labels", [False, np.linspace(0, 1, 600), np.zeros((600, 2), np.int64)])
def test_without_classes_shards_alone_have_their_share(labels: Any) -> None:
    first = numbers(sample([shard(600, labels=labels)], 256))
    assert len(first) == 256
    assert first == numbers(sample([shard(600, labels=labels)], 256))
    assert max(np.diff(first)) <= 3


def test_labels_may_be_words() -> None:
    words = np.array(["cat", "dog", "dog", "dog"] * 100, dtype=np.dtypes.StringDType())
    found = sample([shard(400, labels=words)], 40)
    assert Counter(found.items.arrays["label"].tolist()) == {"cat": 10, "dog": 30}
