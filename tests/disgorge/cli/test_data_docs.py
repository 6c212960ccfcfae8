"""docs/data.md holds: its commands run on its table, and shards come out as it says."""

import gzip
import re
from pathlib import Path

from tests.disgorge.cli.conftest import fine, refused, run

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")
ADD = "shard add reviews.csv --key id --subject author --no-check"


def the_table(folder: Path) -> None:
    """Write the table of the page."""
    (text,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (folder / "reviews.csv").write_text(text, encoding="utf-8")


def test_the_commands_of_the_page(empty: Path) -> None:
    the_table(empty)
    commands = re.findall(r"^\$ disgorge (.*)$", PAGE, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        fine(command)
    items = {shard["name"]: shard["count"] for shard in fine("shard list --json").json}
    assert {name: count for name, count in items.items() if "people" not in name} == {
        "sites-amazon": 2, "sites-imdb": 2, "sites-nyt": 1, "lying": 5,
    }  # fmt: skip
    assert sum(count for name, count in items.items() if "people" in name) == 5


def test_it_is_said_that_a_mixed_shard_is_cut(empty: Path) -> None:
    the_table(empty)
    told = fine(f"{ADD} --source-column site --in-place").out
    assert "mixed: its items are of 3 sources" in told
    assert "in place: its content was not copied" in told


def test_several_shards_are_a_list_in_json(empty: Path) -> None:
    the_table(empty)
    told = fine(f"{ADD} --by split --json").json
    assert [added["shard"]["name"] for added in told] == ["reviews-select", "reviews-test", "reviews-train"]


def test_what_makes_no_sense_is_refused_in_a_line(empty: Path) -> None:
    the_table(empty)
    assert "not by what" in refused(f"{ADD} --into 4")
    assert "from 2 to 1,000" in refused(f"{ADD} --by subject --into 1")
    assert "--files takes the files of a folder whole" in refused(f"{ADD} --files")
    assert "is not there" not in run("shard check").out, "nothing was recorded"


def test_tables_of_other_forms_come_in(empty: Path) -> None:
    lines = ('{"key": "a", "x": 1.5, "note": "seen"}', '{"key": "b", "x": 2, "note": null}')
    (empty / "people.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert "keep what is missing (--missing keep)" in refused("shard add people.jsonl.gz --no-check")
    assert "use keep or refuse" in refused("shard add people.jsonl.gz --no-check --missing maybe")
    assert (
        "note: 'note' has no value in 1 of 2 items" in fine("shard add people.jsonl.gz --missing keep --no-check").out
    )
    (empty / "a.tsv").write_text("key\tx\na\t0,5\nb\t3,5\n")
    fine("shard add a.tsv --decimal , --no-check --in-place")
    assert {shard["name"]: shard["count"] for shard in fine("shard list --json").json} == {"people": 2, "a": 2}
    assert run("shard check").code == 0


def test_a_vanished_file_is_named_by_the_check(empty: Path) -> None:
    the_table(empty)
    fine(f"{ADD} --in-place")
    (empty / "reviews.csv").unlink()
    ran = run("shard check")
    assert ran.code == 1
    assert "is not there" in re.sub(r"\s+", " ", ran.out)
