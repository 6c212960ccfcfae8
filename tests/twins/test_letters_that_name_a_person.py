"""Done: a letter, a list of authors and a note in the workspace name the person whose rows are removed.
Must: named in the report as what a person has to look at; they are no copies, and stop no certificate.
Follows: none found
"""

from pathlib import Path

from tests.twins.cohort import Cohort

LETTER = "Dear Sir or Madam,\n\nplease delete what you hold about me.\n\nAnn Lee\n"


def test_a_letter_is_named_and_is_no_copy(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "work")
    cohort.put("letters/2026-11.txt", LETTER)
    cohort.put("AUTHORS", "Bob Roe\nAnn Lee\n")
    cohort.put("others.txt", LETTER.replace("Ann Lee", "Cy Fox"))
    cohort.purge()
    found = cohort.search()
    assert found.left == ()
    named = [words for words in found.unsupported if "names a removed person" in words]
    assert not any("names a removed person" in words for words in cohort.plan().left), "which the ledger keeps for good"
    assert sum("letters/2026-11.txt names a removed person" in words for words in named) == 1
    assert sum("AUTHORS names a removed person" in words for words in named) == 1
    assert not any("others.txt" in words for words in named)


def test_a_copy_that_names_her_is_one(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "work")
    cohort.put("notes.txt", "Ann Lee: fell at 7 Elm Street\n")
    cohort.purge()
    assert any("notes.txt holds removed rows" in words for words in cohort.search().left)
