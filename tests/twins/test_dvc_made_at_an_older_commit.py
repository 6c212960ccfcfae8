"""Done: an older commit's stage made a model of a version of the file that held the row, or of one from before it came.
Must: what was made of the one that held it goes, with that version, so that no checkout brings it back; the rest stays.
Follows: treeverse/dvc#4903
"""

import shutil
from pathlib import Path

import pytest

from tests.twins.removals import ROWS, Repository


@pytest.mark.parametrize("held", [True, False], ids=["with the row", "before the row"])
def test_what_an_older_version_made_goes_if_it_held_the_row(tmp_path: Path, *, held: bool) -> None:
    before = "key,x\na,1.5\nz,9.5\n" if held else "key,x\nz,9.5\n"
    made = Repository(tmp_path / "repository", before=before)
    shutil.rmtree(made.root / ".dvc" / "cache" / "runs")
    assert any(made.old in words for words in made.search().left) is held
    made.purge()
    assert made.search().left == ()
    assert made.holds(made.old) is not held
    made.checkout("v1")
    assert ((made.root / "model.bin").exists(), made.alice_file.exists()) == (not held, not held)
    assert made.search().left == ()


def test_a_version_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    made = Repository(tmp_path / "repository", before="key,x\nz,9.5\n", track=False)
    (words,) = [words for words in made.search().unsupported if "whether it held" in words]
    assert "of alice.csv that no store on this machine has" in words
    assert made.alice_file.read_text() == ROWS


def test_a_version_that_is_not_read_as_the_shard_was_is_named(tmp_path: Path) -> None:
    made = Repository(tmp_path / "repository", before="key;x\na;1.5\nz;9.5\n")
    (words,) = [words for words in made.search().unsupported if "whether it held" in words]
    assert "of alice.csv that cannot be read as the shard was" in words
