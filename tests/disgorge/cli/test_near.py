"""Near-duplicates on the command line: from ``shard add --likeness`` to a person's word about each."""

from pathlib import Path

import pytest

from disgorge.locations.exports import pages_with
from lineage.workspace import Workspace
from tests import lookalikes
from tests.disgorge.cli.conftest import filed, fine, refused, run, untouched
from tests.toys import write_rows

PERSON = ("--subject", "shard-3-person-1")


@pytest.fixture
def asked(empty: Path) -> Path:
    """A workspace whose shards were added by command, with one person's items asked for."""
    for name, items in lookalikes.toy().items.items():
        write_rows(Path(f"{name}.npz"), name, items, range(len(items)))
        fine(
            f"shard add {name}.npz --name {name} --key key --subject subject --license MIT --basis consent",
            "--likeness", "image:picture", "--no-check", "--no-dvc",
        )  # fmt: skip
    filed("R-1", *PERSON)
    fine("request decide R-1")
    return empty


def test_a_person_sees_it_and_judges_it(asked: Path) -> None:
    warned = run("request impact R-1")
    assert "1 item of shard-2 looks like what it removes; see them with `disgorge request near R-1`" in warned.err
    assert "--distinct" in refused("request plan R-1")
    digest = lookalikes.digest_at(Workspace.open(), "shard-2", lookalikes.ROW)
    shown = fine("request near R-1 --pictures near.html").out
    assert f"shard-2  {digest[:12]}" in shown
    assert Path("near.html").read_text().count("data:image/png") == 2
    assert "still there" in pages_with(Workspace.open(), [digest])[0], "a removal of what it shows will name the page"
    said = fine(f"request near R-1 --same --item {digest[:12]} --by Ann --reason 'the same picture'")
    assert "next: disgorge request decide R-1" in said.out
    fine("request decide R-1")
    assert fine("request near R-1 --json").json["near"]["unjudged"] == []
    assert fine("request impact R-1 --json").json["items"] == 4
    fine("request plan R-1")


def test_other_items_are_said_to_be_so(asked: Path) -> None:
    told = fine("request near R-1 --distinct --by Ann --reason 'another place' --json").json
    assert (told["judged"], len(told["items"])) == ("distinct", 1)
    assert "no unjudged near-duplicate" in fine("request near R-1").out
    fine("request plan R-1")


def test_a_wrong_use_is_refused_in_one_line(asked: Path) -> None:
    for options, words in {
        "--same --distinct --by Ann --reason x": "contradict",
        "--same --reason x": "--by must be a name",
        "--same --by Ann": "--reason must be one line",
        f"--same --by Ann --reason x --item {'f' * 64}": "names no unjudged near-duplicate",
        "--distinct --by Ann --reason x --item ''": "names more than one, or may; give",
    }.items():
        with untouched(asked):
            assert words in refused(f"request near R-1 {options}")
