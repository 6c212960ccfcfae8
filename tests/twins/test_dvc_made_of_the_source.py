"""Done: a stage of DVC made a model of a shard's own source file; ``dvc.lock`` says so, the run-cache is gone.
Must: the model is named as made of the data and purged from cache and folder; the source and others' models stay.
Follows: treeverse/dvc#1266
"""

import shutil
from pathlib import Path

import pytest

from lineage.dvc.storage import md5_of
from tests.twins.removals import ROWS, Repository


@pytest.mark.parametrize("track", [True, False], ids=["tracked", "only read"])
def test_what_a_stage_made_of_the_source_goes(tmp_path: Path, *, track: bool) -> None:
    made = Repository(tmp_path / "repository", track=track)
    model, bob = md5_of(made.root / "model.bin"), md5_of(made.root / "bob.bin")
    shutil.rmtree(made.root / ".dvc" / "cache" / "runs")
    assert f"DVC cache: {model}, which a stage made of it" in made.search().left
    made.purge()
    assert made.search().left == ()
    assert (made.holds(model), made.holds(bob)) == (False, True)
    assert made.alice_file.read_text() == ROWS, "the source is its owner's"
    assert any("alice.csv, which still holds what was removed" in words for words in made.search().unsupported)
    lock = (made.root / "dvc.lock").read_text()
    assert ("  fit:" in lock, "  other:" in lock) == (False, True)
    made.checkout("v2")
    assert not (made.root / "model.bin").exists()


def test_what_the_cleaned_source_makes_is_found_clean(tmp_path: Path) -> None:
    made = Repository(tmp_path / "repository")
    made.purge()
    made.make("key,x\nb,2.5\nc,3.5\n", "clean")
    assert made.search().left == (f"DVC cache: {md5_of_text(ROWS)}",), (
        "the version before, which no commit of now names"
    )
    made.purge()
    assert made.search().left == ()
    assert (made.root / "model.bin").is_file()
    assert not made.holds(md5_of_text(ROWS))


def md5_of_text(text: str) -> str:
    """Return the hash that DVC gives a file with this text."""
    import hashlib

    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
