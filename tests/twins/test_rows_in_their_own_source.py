"""Done: the file that a shard was read from lies in the workspace; later its owner edits it, or takes the row out.
Must: it is named and never stops the certificate, edited too, as long as the row is in it; others' copies do.
Follows: none found
"""

from pathlib import Path

from tests.twins.cohort import ANN, BOB, HEADER, Cohort


def test_the_source_is_named_and_stops_nothing(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "workspace")
    cohort.purge()
    found = cohort.search()
    assert (found.left, found.unsupported) == (
        (), ("study was read from study.csv, which still holds what was removed",),
    )  # fmt: skip
    cohort.source.write_text(HEADER + BOB + ANN + "patient-19,Cy,1,2,3,new\n")
    found = cohort.search()
    assert (found.left, found.unsupported) == (
        (), ("study was read from study.csv, which was changed since and still holds rows of what was removed",),
    )  # fmt: skip
    cohort.source.write_text(HEADER + BOB)
    assert (cohort.search().left, cohort.search().unsupported) == ((), ())
    cohort.put("backup/study.csv", HEADER + ANN)
    assert len(cohort.search().left) == 1
