"""Done: values of a withdrawn row stand in code that a model was made with, beside it, or in an installed package.
Must: each is named, and what was looked into is said with every purge; they are the user's and stop nothing.
Follows: omicsNLP/Auto-CORPus#79
"""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from disgorge.locations.code import Code
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.locations.references import spare_of
from disgorge.training.sandbox.namespace import package_folders
from lineage.records import Component, plain
from lineage.storage.tree import Tree
from tests.twins.cohort import ANN, Cohort

TEXT = "OUTLIERS = {'patient-17': 0}\n"


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """Return a removal beside a model whose code lies in a folder of its own, with a value of the row in it."""
    cohort = Cohort(tmp_path / "workspace")
    folder = tmp_path / "code"
    (folder / "tumors" / "data").mkdir(parents=True)
    (folder / "tumors" / "fit.py").write_text(TEXT)
    (folder / "tumors" / "data" / "rows").write_text(ANN)
    monkeypatch.syspath_prepend(str(folder))
    digest = Tree.of({"tumors/fit.py": TEXT.encode()}).keep(cohort.workspace.objects)
    made = Component(cohort.workspace.objects.put(b"weights"), "other", "toy", (), {"code": digest, "entry": "t:m"})
    cohort.workspace.ledger.append("component", {"component": plain(made)})
    return cohort


def test_code_as_stored_and_as_it_lies_is_named(cohort: Cohort) -> None:
    cohort.purge()
    found = cohort.search()
    assert found.left == ()
    named = [words for words in found.unsupported if words.startswith("code ")]
    assert len(named) == 3
    assert all(words.endswith(" holds removed rows") for words in named)
    assert "tumors/fit.py as it was stored" in named[0]
    assert [Path(words.split()[1]).name for words in named[1:]] == ["fit.py", "rows"]


def test_packages_from_files_are_looked_into_and_others_are_counted(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    packages = tmp_path / "venv" / "site-packages"
    for name, said in (("mine", {"url": "file:///srv/mine"}), ("theirs", None)):
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (packages / name).mkdir()
        (packages / name / "rows.txt").write_text(ANN)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/rows.txt,,\n")
        if said:
            (info / "direct_url.json").write_text(json.dumps(said))
    monkeypatch.setattr(sys, "path", [str(packages)])
    package_folders.cache_clear()
    request.addfinalizer(package_folders.cache_clear)
    found = search(cohort.workspace, cohort.target)
    assert "package mine: rows.txt holds removed rows" in found.unsupported
    assert not any("theirs" in words for words in found.unsupported)
    (words,) = Code(cohort.workspace).plan(cohort.target, spare_of(cohort.workspace)).left
    assert re.search(r"1 file of 1 package were looked into for rows; [0-9]+ packages from an index were not", words)
    unmarked = replace(cohort.target, marks={})
    assert "0 files of 1 package" in Code(cohort.workspace).plan(unmarked, spare_of(cohort.workspace)).left[0]
    assert Code(cohort.workspace).search(Target(), spare_of(cohort.workspace)).unsupported == ()
