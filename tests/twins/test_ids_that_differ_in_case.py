"""Done: a column of account ids that differ in case only, and one of names in several spellings; one of each goes.
Must: the id takes its own rows alone, and those of ids alike are named; the name takes all its spellings, counted.
Follows: cloud-gov/cg-scripts#324
"""

from pathlib import Path

import pytest

from disgorge.api.filing import Draft, file_request
from disgorge.api.lineage import impact, trace
from disgorge.api.shards import add_shards, show_shard
from disgorge.errors import WrongUse
from disgorge.request.workflow.draft import selectors_from
from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput
from lineage.records import Selector
from lineage.workspace import Workspace
from policies.request import Standing
from policies.taxonomy import Defect

IDS = ["0035e00000AbCdE", "0035e00000AbCde", "0035e00000abcde", "0035e00000AbCdE"]
NAMES = ["Zoë Müller", "Zoe\u0308  M\u00dcLLER", "Ann Lee", "zoë müller"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "work")


def add(workspace: Workspace, people: list[str], name: str = "t", *, subject: str = "subject", **how: object) -> str:
    """Record a table with a row for each of these persons, and return what is said of it."""
    path = workspace.root.parent / f"{name}.csv"
    rows = [f"{name}-{row},{who},{row}{ord(name[0])}.5" for row, who in enumerate(people)]
    path.write_text("\n".join(["key,who,x", *rows]) + "\n", encoding="utf-8")
    (added,) = add_shards(workspace, path, key="key", check=False, **{subject: "who", **how})  # type: ignore[arg-type]
    return "\n".join(map(str, added.shown))


def keys_of(workspace: Workspace, **selected: str) -> list[str]:
    """Return the keys of the rows that a request for this would remove."""
    with Catalog.of(workspace) as catalog:
        found = catalog.selected(selectors_from(workspace, dict(selected)))
        rows = catalog._ask("select key, digest from item order by key")
    return [key for key, digest in rows if any(digest in digests for digests in found.values())]


def draft(who: str, name: str = "R-1") -> Draft:
    """Return a request for one person's rows."""
    return Draft(Standing.DATA_SUBJECT, Defect.PRIVACY, "gdpr", {"subject": who}, id=name)


def test_an_id_selects_its_own_rows_and_those_alike_are_named(workspace: Workspace) -> None:
    said = add(workspace, IDS)
    assert "the values of 'who' are read as ids" in said
    assert keys_of(workspace, subject=IDS[0]) == ["t-0", "t-3"]
    assert keys_of(workspace, subject=IDS[2]) == ["t-2"]
    assert keys_of(workspace, subject=f" {IDS[1]} ") == ["t-1"]
    filed = file_request(workspace, draft(IDS[0]))
    assert "2 items of ids that differ" in "".join(filed.warnings)
    touched = impact(workspace, "R-1")
    assert (touched.impact.items, touched.impact.subjects, touched.impact.spellings) == (2, 1, 0)
    assert show_shard(workspace, "t").people == 3
    (edge,) = [node for node in trace(workspace, IDS[1], subject=True).trace.nodes if node.kind == "subject"]
    assert edge.detail == "1 item"


def test_an_id_typed_in_another_case_is_no_match_and_says_so(workspace: Workspace) -> None:
    add(workspace, IDS)
    with pytest.raises(WrongUse, match=r"no item is selected by subject .*4 items of ids that differ from .* in case"):
        file_request(workspace, draft("0035E00000ABCDE"))


def test_a_name_selects_every_spelling_and_the_impact_counts_them(workspace: Workspace) -> None:
    assert "are read as names" in add(workspace, NAMES)
    assert keys_of(workspace, subject="ZOË MÜLLER") == ["t-0", "t-1", "t-3"]
    file_request(workspace, draft("zoe\u0308 müller"))
    found = impact(workspace, "R-1")
    assert str(found.shown[0]) == "3 items of 1 person, written in 3 ways"


def test_a_person_in_a_column_of_names_and_in_one_of_ids_is_selected_in_both(workspace: Workspace) -> None:
    add(workspace, ["patient-1", "Patient-1"], "a", subject="subject_name")
    add(workspace, ["patient-1", "Patient-1"], "b", subject="subject_id")
    assert keys_of(workspace, subject="Patient-1") == ["a-0", "a-1", "b-1"]
    file_request(workspace, draft("Patient-1"))
    assert impact(workspace, "R-1").impact.subjects == 1, "one person asks about one person"


def test_ids_of_one_file_that_are_divided_stay_apart(workspace: Workspace) -> None:
    path = workspace.root.parent / "d.csv"
    path.write_text("key,who,x\n" + "".join(f"{row},{who},{row}\n" for row, who in enumerate(IDS)), encoding="utf-8")
    each = add_shards(workspace, path, key="key", subject="who", by="subject", check=False)
    assert sorted(added.shard.count for added in each) == [1, 1, 2]
    assert not any(who.casefold() in (workspace.home / "ledger.jsonl").read_text().casefold() for who in IDS)


def test_numbers_written_as_floats_are_one_id_and_said(workspace: Workspace) -> None:
    add(workspace, ["7", "8", "07"], "a")
    assert "each subject is read as a whole number: 7.0 is 7" in add(workspace, ["7.0", "8.0", "", "7.0"], "b")
    assert keys_of(workspace, subject="7") == keys_of(workspace, subject="7.0") == ["a-0", "b-0", "b-3"]
    assert "whole number" not in add(workspace, ["7.0", "8.5"], "c"), "which is no column of whole numbers"
    assert keys_of(workspace, subject="7.0") == ["c-0"]


def test_keys_compare_in_nfc(workspace: Workspace) -> None:
    path = workspace.root.parent / "n.csv"
    path.write_text("key,x\nZoe\u0308.png,1\nb,2\n", encoding="utf-8")
    add_shards(workspace, path, key="key", check=False)
    path.write_text("key,x\nZo\u00eb.png,1\nb,2\n", encoding="utf-8")
    add_shards(workspace, path, key="key", check=False)  # the same shard
    assert keys_of(workspace, key="Zo\u00eb.png") == keys_of(workspace, key="Zoe\u0308.png") == ["Zo\u00eb.png"]


def test_what_was_recorded_before_ids_were_told_apart_stays_valid(workspace: Workspace) -> None:
    add(workspace, [IDS[0], IDS[1]], subject="subject_id")
    selector = Selector("subject", workspace.pseudonym(IDS[0]))  # as a request that was filed then has it
    with Catalog.of(workspace) as catalog:
        assert catalog.impact([selector]).items == 2, "an open request of then goes on selecting all that folds"


def test_a_shard_of_before_is_known_again_and_its_subjects_stay_names(workspace: Workspace) -> None:
    add(workspace, ["ann", "bob1"], subject="subject_name")  # written as compared, so a manifest of before is the same
    assert "recorded as names" in add(workspace, ["ann", "bob1"], subject="subject_id")
    assert keys_of(workspace, subject="Bob1") == ["t-1"]


def test_names_recorded_in_another_reading_are_refused(workspace: Workspace) -> None:
    add(workspace, ["Ann1", "ann1"], subject="subject_id")
    with pytest.raises(BadInput, match="with other keys, subjects"):
        add(workspace, ["Ann1", "ann1"], subject="subject_name")


def test_one_column_says_whose_an_item_is(workspace: Workspace) -> None:
    with pytest.raises(WrongUse, match="give one of --subject, --subject-id and --subject-name"):
        add(workspace, ["ann"], subject_id="who")
