"""Done: a withdrawn row's values stand in the target of a link, or in an extended attribute of a file or folder's link.
Must: both are looked at and named; that names and times of files are not looked at is said with every purge.
Follows: none found
"""

import os
from pathlib import Path

import pytest

from tests.twins.cohort import Cohort


def test_targets_of_links_are_looked_at(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "workspace")
    cohort.purge()
    (cohort.root / "last").symlink_to("rows/patient-18")
    assert cohort.search().left == ()
    (cohort.root / "worst").symlink_to("rows/patient-17")
    assert cohort.search().left == ("worst is a link whose target is named after removed rows; delete it",)


def test_extended_attributes_are_looked_at(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path / "workspace")
    cohort.purge()
    path = cohort.put("picture.png", b"\x89PNG\0")
    try:
        os.setxattr(path, "user.comment", b"Bob Roe")
    except (AttributeError, OSError):
        pytest.skip("no extended attributes here")
    assert cohort.search().left == ()
    os.setxattr(path, "user.comment", b"of Ann  Lee, twice")
    assert cohort.search().left == ("picture.png has an extended attribute that holds removed rows; delete it",)


def test_what_is_not_looked_at_is_said(tmp_path: Path) -> None:
    left = Cohort(tmp_path / "workspace").purge().left
    assert any(words.startswith("not enumerated: names and times of files were not compared") for words in left)
