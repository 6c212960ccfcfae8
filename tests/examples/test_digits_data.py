"""The digits' split: whole, disjoint, the same every time, and shaped as its docstring says."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from examples.digits.data import CONTRIBUTED, digits, main, write_digits

Shards = dict[str, dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files written once."""
    return write_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def shards(files: dict[str, Path]) -> Shards:
    """Return every shard's columns as a reader without pickle sees them."""
    return {name: dict(np.load(path, allow_pickle=False)) for name, path in files.items()}


def test_every_image_is_in_exactly_one_shard(shards: Shards) -> None:
    """Every image is in exactly one shard, and no two items have the same content."""
    keys = [key for columns in shards.values() for key in columns["key"]]
    assert len(keys) == len(set(keys)) == 1797
    content = [
        (image.tobytes(), label)
        for columns in shards.values()
        for image, label in zip(columns["image"], columns["label"].tolist(), strict=True)
    ]
    assert len(set(content)) == 1797, "no two items have the same content"


def test_sizes_and_types(shards: Shards) -> None:
    """Sizes, types and ranges are as documented."""
    assert {name: len(columns["key"]) for name, columns in shards.items()} == {
        "core": 500,
        **dict.fromkeys(CONTRIBUTED, 130),
        "held-out": 257,
    }
    for columns in shards.values():
        assert columns["image"].dtype == np.uint8
        assert columns["image"].shape[1:] == (8, 8)
        assert columns["image"].max() <= 16
        assert columns["label"].dtype == np.int64
        assert all(columns[name].dtype.kind == "U" for name in ("key", "subject", "source", "license"))


def test_contributors_alone_bring_seven_eight_and_nine(shards: Shards) -> None:
    """The core lacks 7, 8 and 9; contributors bring what their table says."""
    assert set(shards["core"]["label"].tolist()) == set(range(7))
    assert set(shards["held-out"]["label"].tolist()) == set(range(10))
    for name, contributor in CONTRIBUTED.items():
        assert np.bincount(shards[name]["label"], minlength=10).tolist() == list(contributor.images)


def test_a_person_has_seven_images_in_one_shard(shards: Shards) -> None:
    """A person has seven images, but for the last of a shard, and all in one shard."""
    seen: set[str] = set()
    for columns in shards.values():
        images = Counter(columns["subject"].tolist())
        assert seen.isdisjoint(images)
        seen.update(images)
        assert sorted(images.values(), reverse=True)[:-1] == [7] * (len(images) - 1)
    assert 7 in Counter(shards["contributor-5"]["subject"].tolist()).values()


def test_each_contributor_has_its_own_source(shards: Shards) -> None:
    """A source names one shard; contributor-8 is the one a regulator orders away."""
    sources = {name: set(columns["source"].tolist()) for name, columns in shards.items()}
    assert sources["contributor-8"] == {"scraped-forum"}
    assert len(set.union(*sources.values())) == len(shards)
    assert all(len(found) == 1 for found in sources.values())


def test_written_twice_is_the_same_to_the_byte(files: dict[str, Path], tmp_path: Path) -> None:
    """Files carry no clock and no chance."""
    again = write_digits(tmp_path)
    assert {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items()} == {
        n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in again.items()
    }


def test_the_same_split_on_every_machine() -> None:
    """The split is pinned: a change of it changes every digest downstream."""
    known = hashlib.sha256(" ".join(digits()["contributor-5"]["key"].tolist()).encode()).hexdigest()
    assert known == "3211729564b46e53dc61498dbc1f69dcbdbf9580b94f3795475fa828e3862af0"


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes ten files and says how it is used."""
    assert main([str(tmp_path / "made")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
