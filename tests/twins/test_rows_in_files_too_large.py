"""Done: a copy of a withdrawn row lies in a text larger than what a search reads.
Must: each such file is named, one by one, as not looked at; with the limit raised it is found.
Follows: trailofbits/skills#298
"""

import zipfile
from pathlib import Path

import pytest

from lineage.errors import BadInput
from lineage.workspace import Workspace
from tests.twins.cohort import ANN, Cohort


def test_what_is_too_large_is_named_one_by_one(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "workspace")
    places = [f"large-{number}.log" for number in range(30)]
    for place in places:
        cohort.put(place, "nothing\n" * 2_000 + ANN)
    cohort.put("large.bin", b"\0" * 16_000)
    with zipfile.ZipFile(cohort.root / "large.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("large.log", "nothing\n" * 2_000 + ANN)
    config = cohort.workspace.home / "config.toml"
    config.write_text("largest_searched_gb = 0.00001\n")
    cohort.workspace = Workspace.open(cohort.root)
    words = [each for each in cohort.purge().left if "rows were not looked for" in each]
    assert [each.split()[8] for each in words] == sorted(places)
    assert words[0] == (
        "not enumerated: rows were not looked for in large-0.log (1.61e-05 GB): look yourself, or raise "
        "largest_searched_gb in .disgorge/config.toml"
    )
    found = cohort.search()
    assert found.left == ()
    assert {cohort.root / place for place in (*places, "large.zip")} <= set(found.unreadable)
    config.write_text("")
    cohort.workspace = Workspace.open(cohort.root)
    assert len(cohort.search().left) == 31
    assert not any("rows were not looked for" in each for each in cohort.plan().left)


@pytest.mark.parametrize("value", ["0", "-1", '"1"', "true", "inf", "nan"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    workspace = Workspace.init(tmp_path)
    (workspace.home / "config.toml").write_text(f"largest_searched_gb = {value}\n")
    with pytest.raises(BadInput, match="largest_searched_gb must be a number of GB above 0"):
        Workspace.open(tmp_path)
