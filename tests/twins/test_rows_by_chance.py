"""Done: files hold values that withdrawn rows have as well: dates, small numbers, yes and no, names of categories.
Must: an honest removal is certified all the same; a value counts only if it is unusual and nothing live has it.
Follows: mvanhorn/cli-printing-press#1477
"""

from pathlib import Path

import pytest

from tests.twins.cohort import Cohort

HEADER = "key,day,smoker,group,stage,x,y,z\n"
GONE = "".join(f"{row},2024-03-0{row},yes,control group,stage {row % 2} of 4,1,0,{row}\n" for row in range(1, 9))
STAY = "".join(f"{row},2023-01-01,no,second arm of it,stage 3 of 4,0,0,{row}\n" for row in range(10, 14))


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-03-01 and 2024-03-02 we met, 1 of 3 said yes\n",
        "smoker: yes\nx: 1\ny: 0\nz: 3\n",
        "the control group was at stage 1 of 4\n",
        "1,0,1\n1,0,2\n1,0,3\n1 2 3 4 5 6 7 8 9\n",
        '{"seed": 1, "rows": [1, 0, 4], "version": "1.0.2"}\n',
    ],
)
def test_common_values_refuse_nothing(tmp_path: Path, text: str) -> None:
    cohort = Cohort(tmp_path / "workspace", header=HEADER, gone=GONE, stay=STAY)
    for name in ("notes.md", "settings.json", "table.csv", "code.py", "plain"):
        cohort.put(name, text * 50)
    cohort.purge()
    assert cohort.search().left == ()


def test_what_a_live_row_has_too_is_no_mark(tmp_path: Path) -> None:
    header = "key,who,a,b,c\n"
    gone, stay = "gone-001,Ann Lee,1.125,2.375,3.625\n", "live-001,Ann Lee,1.125,2.375,3.5\n"
    cohort = Cohort(tmp_path / "workspace", header=header, gone=gone, stay=stay)
    cohort.purge()
    cohort.put("notes.txt", "Ann Lee has 1.125 and 2.375\n" + stay)
    assert cohort.search().left == ()
    cohort.put("notes.txt", gone)
    assert len(cohort.search().left) == 1
