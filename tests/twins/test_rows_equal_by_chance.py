"""Done: two persons have equal rows in a small table; one is removed, then the other and a third come again.
Must: impact and plan say that another person loses a row; rows come in by a named person's word alone, each for itself.
Follows: none found
"""

from pathlib import Path

import pytest

from disgorge.api.lineage import impact
from disgorge.api.shards import add_shards
from disgorge.errors import WrongUse
from disgorge.plan.shown import plan_shown
from disgorge.removal.execute import Executed
from disgorge.request.workflow.decide import grant_request
from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput
from lineage.records import Selector
from lineage.shards.add import shard_rows
from lineage.workspace import Workspace
from policies.taxonomy import Outcome
from tests.toys import NOW, approved, audited, carry, decide, filed_and_decided

WHO, WHY = "Evelyn Good", "rows of another person"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with a small table: Ann's row and Bob's are equal, Cy's is not."""
    workspace = Workspace.init(tmp_path / "work", clock=lambda: NOW)
    add(workspace, "first", "a1,Ann Lee,39,1\na2,Ann Lee,40,0\nb1,Bob Ray,39,1\nc1,Cy Fox,22,0\n")
    return workspace


def add(workspace: Workspace, name: str, rows: str, **how: str) -> None:
    """Record a table of these rows."""
    path = workspace.root.parent / f"{name}.csv"
    path.write_text("key,subject,age,smokes\n" + rows, encoding="utf-8")
    add_shards(workspace, path, basis="consent", license="MIT", dvc=False, **how)  # type: ignore[arg-type]


def ann(workspace: Workspace, who: str = "Ann Lee") -> list[Selector]:
    """Return what selects a person."""
    return [Selector("subject", workspace.subject(who))]


def remove(workspace: Workspace, who: str, request: str) -> Executed:
    """Remove a person's rows, which a person grants where others' rows go as well."""
    filed_and_decided(workspace, ann(workspace, who), request_id=request)
    grant_if_asked(workspace, request)
    approved(workspace, request)
    return carry(workspace, request)


def grant_if_asked(workspace: Workspace, request: str) -> None:
    """Grant a request of which others lose rows, as a person has to."""
    if decide(workspace, request) is Outcome.NEEDS_REVIEW:
        grant_request(workspace, request, by="ann", reason="seen what others lose")


def keys(workspace: Workspace) -> set[str]:
    """Return the keys of all live rows."""
    with Catalog.of(workspace) as catalog:
        return {item.key for shard in catalog.shards() for item in shard_rows(workspace, shard.digest)}


def test_impact_and_plan_say_what_others_lose(workspace: Workspace) -> None:
    filed_and_decided(workspace, ann(workspace))
    found = impact(workspace, "R-1")
    assert (found.impact.others, found.impact.other_rows) == (1, 1)
    says = "1 row of 1 other person, under keys of their own, hold the same values"
    assert any(says in str(line) for line in found.shown)
    grant_if_asked(workspace, "R-1")
    assert any(says in str(line) for line in plan_shown(approved(workspace)))


def test_a_copy_of_a_row_is_no_other_persons(workspace: Workspace) -> None:
    add(workspace, "copies", "a1,Ann L.,39,1\nx,Ann Lee,40,0\n")
    filed_and_decided(workspace, ann(workspace, "Cy Fox"))
    assert (impact(workspace, "R-1").impact.others, impact(workspace, "R-1").impact.duplicates) == (0, 0)
    filed_and_decided(workspace, ann(workspace), request_id="R-2")
    found = impact(workspace, "R-2").impact
    assert (found.others, found.duplicates) == (1, 2), "Bob, and not Ann under a shorter name with the same key"


def test_what_was_withdrawn_comes_in_by_a_named_persons_word_alone(workspace: Workspace) -> None:
    assert remove(workspace, "Ann Lee", "R-1").verdict == "certified"
    assert keys(workspace) == {"c1"}
    bob = "b1,Bob Ray,39,1\n"
    with pytest.raises(BadInput, match=r"1 item was withdrawn by request; remove them: line 2; if .* \(--let-in NAME"):
        add(workspace, "again", bob)
    with pytest.raises(WrongUse, match="say why"):
        add(workspace, "again", bob, let_in=WHO)
    assert keys(workspace) == {"c1"}
    add(workspace, "again", bob, let_in=WHO, reason=WHY)
    assert keys(workspace) == {"c1", "b1"}
    (fact,) = workspace.ledger.facts("items-let-in")
    assert (fact.body["items"], fact.body["because"], fact.body["by"]) == (1, WHY, workspace.pseudonym(WHO))
    ledger = (workspace.home / "ledger.jsonl").read_text(encoding="utf-8")
    assert not [word for word in (WHO, "Bob", "b1", "Ann") if f'"{word}"' in ledger or WHO in ledger]
    assert not [found for found in audited(workspace) if "again" in found], "an audit knows that it may be here"


def test_the_word_holds_for_these_rows_alone(workspace: Workspace) -> None:
    remove(workspace, "Ann Lee", "R-1")
    add(workspace, "again", "b1,Bob Ray,39,1\n", let_in=WHO, reason=WHY)
    for row in ("a1,Ann Lee,39,1\n", "d1,Dee May,39,1\n", "b2,Bob Ray,39,1\n", "b1,Bob Ray,40,0\n"):
        with pytest.raises(BadInput, match="1 item was withdrawn by request"):
            add(workspace, "third", row)
    add(workspace, "fourth", "d2,Dee May,50,1\n")  # other values are no matter of the list


def test_it_ends_when_the_row_is_withdrawn(workspace: Workspace) -> None:
    remove(workspace, "Ann Lee", "R-1")
    add(workspace, "again", "b1,Bob Ray,39,1\n", let_in=WHO, reason=WHY)
    assert remove(workspace, "Bob Ray", "R-2").verdict == "certified", "an honest removal goes through"
    with pytest.raises(BadInput, match="1 item was withdrawn by request"):
        add(workspace, "back", "b1,Bob Ray,39,1\n")


def test_nothing_is_let_in_under_a_removal_that_would_find_it(workspace: Workspace) -> None:
    filed_and_decided(workspace, ann(workspace))
    grant_if_asked(workspace, "R-1")
    approved(workspace)

    def stop(step: object) -> None:
        if "purge" in str(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry(workspace, on_step=stop)
    with pytest.raises(WrongUse, match="R-1 is being carried out"):
        add(workspace, "again", "b1,Bob Ray,39,1\n", let_in=WHO, reason=WHY)
    assert carry(workspace).verdict == "certified"


def test_an_edited_list_of_what_was_let_in_lets_nothing_in(workspace: Workspace) -> None:
    remove(workspace, "Ann Lee", "R-1")
    add(workspace, "again", "b1,Bob Ray,39,1\n", let_in=WHO, reason=WHY)
    path = workspace.private.folder / "let-in.json"
    path.write_text(path.read_text().replace("a", "b", 1))
    assert any("private" in where or "workspace" in where for _, _, where in audited(workspace))
