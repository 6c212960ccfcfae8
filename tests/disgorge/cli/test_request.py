"""A request on the command line, from filing to approval, and what is and is not told about it."""

import re
from pathlib import Path

from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import (
    CLAIM,
    PERSON,
    RELEASE,
    WITHDRAWAL,
    filed,
    fine,
    plan_of,
    planned,
    refused,
    run,
    untouched,
)

WRITTEN = f"""
id: R-7
standing: data-subject
ground: privacy
regime: gdpr
received: 2026-11-02
verified: true
selectors: {{subject: {PERSON}}}
facts: {{made_public: true, gdpr_ground: b}}
particulars: {{name: Ada Example, contact: ada@example.org}}
"""


def everything_public(workspace_folder: Path) -> str:
    """The text of every file of a workspace outside its private folder."""
    files = [path for path in workspace_folder.rglob("*") if path.is_file() and "private" not in path.parts]
    return "".join(path.read_bytes().decode("latin-1") for path in files)


def test_who_asks_stays_private(workspace_folder: Path) -> None:
    fine(f"{CLAIM} --regime gdpr --name 'Ada Example' --contact ada@example.org --note 'by letter' --id R-1")
    assert "Ada" not in (text := everything_public(workspace_folder))
    assert "ada@example.org" not in text
    assert PERSON not in text
    kept = "".join(path.read_text() for path in (workspace_folder / ".disgorge" / "private" / "requests").iterdir())
    assert "ada@example.org" in kept
    for typed in ("request show R-1", "request show R-1 --json", "ledger export"):
        shown = fine(typed).out
        assert "Ada" not in shown
        assert PERSON not in shown


def test_a_request_is_read_from_a_file(workspace_folder: Path) -> None:
    Path("request.yaml").write_text(WRITTEN)
    told = fine("request file --from request.yaml --json").json
    assert told["warnings"] == []
    assert (told["request"]["id"], told["request"]["received"]) == ("R-7", "2026-11-02")
    assert told["request"]["facts"] == {"made_public": True, "gdpr_ground": "b"}
    assert told["request"]["selectors"] == [{"field": "subject", "value": Workspace.open().subject(PERSON)}]
    assert fine("request impact R-7 --json").json["items"] == 3


def test_repeated_selectors_are_alternatives(workspace_folder: Path) -> None:
    filed("R-1", "--shard", "shard-1", "--shard", "shard-2")
    assert fine("request impact R-1 --json").json["items"] == 24


def test_the_impact_names_shards_components_ways_and_releases(workspace_folder: Path) -> None:
    filed("R-1", "--key", "shard-2-0")
    shown = fine("request impact R-1").out
    assert "1 item of 1 person" in shown
    assert "1 of 12" in shown
    assert f"{RELEASE}/mean/shard-2" in shown
    assert "shard-2 -train->" in shown
    assert f"{RELEASE}@live" in shown
    assert "kept as they are: 4 components" in shown
    fine("request impact R-1 --svg impact.svg")
    assert Path("impact.svg").read_text().startswith("<svg")


def test_the_plan_says_what_it_costs_and_what_was_rejected(workspace_folder: Path) -> None:
    filed("R-1", "--key", "shard-2-0")
    fine("request decide R-1")
    shown = fine("request plan R-1").out
    for words in ("retrain", f"{RELEASE}/mean/shard-2", "would also remove items that are to be retained",
                  "expected cost: 1 step,", "never-trained", "request approve R-1"):  # fmt: skip
        assert words in shown
    assert re.search(r"^component +rejected +guarantee +would take", shown, re.MULTILINE)


def test_every_state_is_listed_and_says_the_next_step(workspace_folder: Path) -> None:
    def state() -> str:
        return str(fine("request list --json").json[0]["state"])

    filed("R-1")
    assert state() == "filed"
    assert "is not decided" in refused("policy explain R-1")
    assert fine("request show R-1").out.endswith("next: disgorge request decide R-1\n")
    assert fine("request decide R-1").out.endswith("next: disgorge request plan R-1\n")
    assert "Decided by:\n  - contract/withdrawal: " in fine("policy explain R-1").out
    assert "contract/withdrawal" in fine("policy explain R-1 --json").json["words"]
    assert state() == "granted"
    digest = plan_of()
    assert fine("request show R-1").out.endswith(f"next: disgorge request approve R-1 {digest[:12]} --by NAME\n")
    assert state() == "planned"
    fine("request hold R-1 --reason litigation")
    assert state() == "on-hold"
    assert "on hold (litigation)" in refused("request plan R-1")
    fine("request hold R-1 --lift --reason settled")
    told = fine(f"request approve R-1 {digest[:12]} --by ann --json").json
    assert (told["approvals"], told["needed"]) == (1, 1)
    assert state() == "approved"
    assert fine("request show R-1").out.endswith("next: disgorge request execute R-1\n")
    fine("request deny R-1 --reason suspected-fraud")
    assert fine("request list").out == "no open request\n"
    assert "denied" in fine("request list --all").out
    assert "next:" not in fine("request show R-1").out
    assert "is closed" in refused("request plan R-1")


def test_everything_about_a_request_is_shown(workspace_folder: Path) -> None:
    planned()
    shown = fine("request show R-1").out
    for words in ("R-1: planned", "contributor, recorded as identified", "GRANTED", "contract/withdrawal", "subtract",
                  "approvals: 0 of 1"):  # fmt: skip
        assert words in shown
    told = fine("request show R-1 --json").json
    assert told["plan"]["request"] == told["decision"]["request"] == told["id"] == "R-1"


def test_a_deadline_is_extended_as_far_as_the_rules_allow(workspace_folder: Path) -> None:
    Path("request.yaml").write_text(WRITTEN)
    fine("request file --from request.yaml")
    due = fine("request decide R-7 --json").json["owed"]["deadline"]
    until = fine("request extend R-7 --reason 'many requests' --json").json["due"]
    assert until > due
    assert fine("request list --json").json[0]["due"] == until
    with untouched(workspace_folder):
        again = refused("request extend R-7 --reason 'more requests'")
    assert f"R-7 is extended already, until {until}" in again
    assert "one line of words" in refused("request extend R-7 --reason ' '")


def test_cases_are_run_against_packs(workspace_folder: Path) -> None:
    own_pack()
    Path("cases").mkdir()
    Path("cases/one.yaml").write_text(
        "cases:\n  - name: bias goes\n    today: 2026-11-24\n    request: {standing: internal, ground: bias,"
        " regime: mine-2026, received: 2026-11-24, identity_verified: true, selectors: {shard: a}}\n"
        "    expect: {outcome: granted}\n"
    )
    assert fine("policy test cases --packs packs").out == "1 case, 0 failed\n"
    failed = run("policy test cases --json")
    assert (failed.code, failed.json["failed"]) == (1, 1)
    assert "wanted granted" in failed.json["cases"][0]["problems"][0]


def test_a_person_grants_what_needs_review(workspace_folder: Path) -> None:
    fine(f"{WITHDRAWAL} --fact all_theirs=true --shard shard-2 --id R-1")  # by somebody nobody identified
    fine("request decide R-1")
    with untouched(workspace_folder):
        assert "`disgorge request grant R-1 --by NAME --reason TEXT`" in refused("request plan R-1")
        assert "say who grants it" in refused("request grant R-1 --by ' ' --reason x")
        assert "one line of words" in refused("request grant R-1 --by Evelyn --reason", "a\nb")
    said = fine("request grant R-1 --by Evelyn --reason 'seen in person, passport'").out
    assert said == ("R-1 is granted: seen in person, passport\nnext: disgorge request plan R-1\n")
    explained = fine("policy explain R-1").out
    assert "  - review/person: seen in person, passport [a person's decision, pseudonym " in explained
    assert "granted (review/person) beats needs-review (contract/identity)" in explained
    assert b"Evelyn" not in Path(".disgorge/ledger.jsonl").read_bytes()
    assert "is granted; a person grants only" in refused("request grant R-1 --by Evelyn --reason again")
    fine("request plan R-1")


MINE = """
pack: mine
title: A contract of our own
version: "1"
applies: request.regime == "mine-2026"
facts:
  notice_served: {type: bool, words: the notice of the contract was served}
  plan: {type: text, one_of: [gold, silver], words: which plan the customer had}
rules:
  - {id: a, when: "true", words: It goes., citation: us, dated: 2026-01-01, then: {outcome: granted, guarantee: exact}}
"""


def own_pack() -> tuple[str, str]:
    """Write a pack of the user's own into a folder, and return the option that names it."""
    Path("packs").mkdir(exist_ok=True)
    Path("packs/mine.yaml").write_text(MINE)
    return "--packs", "packs"


def test_what_the_packs_that_judge_do_not_cover_cannot_be_granted(workspace_folder: Path) -> None:
    asked = "request file --standing contributor --ground contract --regime mine-2026 --id R-1 --shard shard-2"
    fine(asked, "--verified", *own_pack())
    Path("packs/mine.yaml").write_text(MINE.replace('when: "true"', 'when: "false"'))  # a rule that says nothing of it
    decided = fine("request decide R-1 --packs packs").out
    assert decided.endswith("next: disgorge request amend R-1, or disgorge request deny R-1 --reason REASON\n")
    with untouched(workspace_folder):
        said = refused("request grant R-1 --by Evelyn --reason fine")
    assert "no rule says what would be owed" in said


def test_a_legal_hold_from_the_start_is_lifted_and_the_request_decided_again(workspace_folder: Path) -> None:
    filed("R-1", "--shard", "shard-2", "--hold")
    told = fine("request decide R-1").out
    assert "ON HOLD" in told
    assert told.endswith(
        "next: when the hold ends, disgorge request hold R-1 --lift --reason TEXT; were it a mistake, disgorge request "
        "amend R-1\n"
    )
    with untouched(workspace_folder):
        assert "is on-hold; only a granted one is planned" in refused("request plan R-1")
    lifted = fine("request hold R-1 --lift --reason settled").out
    assert lifted == "the hold on R-1 is lifted\nnext: disgorge request decide R-1\n"
    assert "GRANTED" in fine("request decide R-1").out
    fine("request plan R-1")


def test_a_denied_request_is_closed_with_its_reason(workspace_folder: Path) -> None:
    fine(f"{WITHDRAWAL} --verified --id R-1 --key nobody --unmatched")
    told = fine("request decide R-1").out
    assert told.endswith("next: close it with disgorge request deny R-1 --reason no-match\n")
    assert "R-1 is denied; only a granted one is planned" in refused("request plan R-1")


def test_particulars_are_erased_and_the_chain_still_holds(workspace_folder: Path) -> None:
    filed("R-1", "--shard", "shard-2", "--name", "Ada Example", "--contact", "ada@example.org")
    private = Path(".disgorge/private/requests")
    assert "Ada Example" in next(private.iterdir()).read_text()
    with untouched(workspace_folder):
        assert fine("request erase-particulars R-1").out == "R-1: the particulars are erased\n"
        assert not list(private.iterdir())
        assert fine("request erase-particulars R-1 --json").json == {"request": "R-1", "erased": False}
    fine("ledger verify")
    fine("request decide R-1")
    assert "unknown request 'R-9'" in refused("request erase-particulars R-9")


def test_what_a_running_request_needs_is_not_erased(workspace_folder: Path) -> None:
    fine(f"{WITHDRAWAL} --id R-1 --key nobody --unmatched")
    assert "close it first, then erase" in refused("request erase-particulars R-1")
    fine("request deny R-1 --reason no-match")
    assert fine("request erase-particulars R-1 --json").json["erased"] is True
