"""Done: a table holds one number in two writings, or whole numbers that no float holds beside fractions.
Must: said, by the two writings; what a float would make equal stays text, and the items differ.
Follows: none found
"""

from pathlib import Path

import pytest

from lineage.formats.read import read_file
from lineage.storage.content import item_digests


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("1.1", "1.10", "1.1 and 1.10 are one number"),
        ("+491511", "491511", "+491511 and 491511 are one number"),
        ("1e10", "10e9", "10e9 and 1e10 are one number"),
    ],
)
def test_two_writings_of_a_number_are_said(tmp_path: Path, one: str, other: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(f"key,x\na,{one}\nb,{other}\nc,2\n")
    taken = read_file(tmp_path / "a.csv")
    assert any(said in note for note in taken.notes)
    digests = item_digests(taken.content)
    assert digests[0] == digests[1]
    (tmp_path / "b.csv").write_text(f"key,x\na,{one}\nb,{one}\nc,2\n")
    assert not any("are one number" in note for note in read_file(tmp_path / "b.csv").notes)


def test_what_no_float_holds_stays_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"key,x\na,{2**53}\nb,{2**53 + 1}\nc,0.5\n")
    taken = read_file(tmp_path / "a.csv")
    assert taken.content["x"].tolist() == [str(2**53), str(2**53 + 1), "0.5"]
    assert len({*item_digests(taken.content)}) == 3
