"""``policy explain`` tells what holds now: after a denial, an extension, a person's grant, an amendment, a close."""

import datetime as dt
from pathlib import Path

from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import asked, filed, fine, refused

TODAY = dt.datetime.now(dt.UTC).date()


def explained(request: str) -> tuple[str, str]:
    """What is printed before the decision in full, and all of it."""
    out = fine(f"policy explain {request}").out
    return out.partition("in full:")[0], out


def test_one_decision_that_holds_is_told_as_it_is(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b")
    assert fine("policy explain R-1").out.startswith("Request R-1: GRANTED.")
    told = fine("policy explain R-1 --json").json
    assert told["now"]["by"] == "the packs"
    assert told["now"]["due"] == told["decision"]["owed"]["deadline"]
    assert [each["words"].partition(",")[0] for each in told["course"]] == ["filed", "granted by the packs"]


def test_an_extended_day_is_told_with_its_reason(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b")
    before = fine("policy explain R-1 --json").json["decision"]["owed"]["deadline"]
    until = fine("request extend R-1 --reason 'many requests' --json").json["due"]
    now, _ = explained("R-1")
    assert f"from {before} to {until}, because: many requests (that the requester was told is not recorded)." in now
    assert f"from {before} to {until}, because: many requests" in fine("request show R-1").out
    extension = fine("policy explain R-1 --json").json["now"]["extension"]
    assert (extension["until"], extension["before"], extension["told"]) == (until, before, None)
    fine("request event R-1 extension-told --by Ann")
    fine("request decide R-1")
    assert "the requester was told on" in explained("R-1")[0]


def test_a_person_who_denies_beats_what_the_packs_granted(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b")
    due = fine("policy explain R-1 --json").json["decision"]["owed"]["deadline"]
    fine("request extend R-1 --reason 'many requests'")
    fine("request deny R-1 --reason claim-not-covered")
    now, everything = explained("R-1")
    assert "R-1 was denied by a person on" in now
    assert "reason claim-not-covered, and is closed: nothing is removed." in now
    assert "The packs had granted it on" in now
    assert f"by {due}: the person who asked: that nothing is erased for now" in now
    assert everything.index("Now:") < everything.index("What was decided before it was closed, in full:")
    told = fine("policy explain R-1 --json").json["now"]
    assert (told["state"], told["by"], told["due"]) == ("denied", "a person", due)  # no extension moves a refusal's day
    assert [duty["by"] for duty in told["owed"]] == [due]
    assert "What was decided before a person denied it:" in fine("request show R-1").out


def test_what_the_packs_refused_is_open_until_a_person_denies_it(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b gdpr_exception=a")
    now, everything = explained("R-1")
    assert "was refused by the packs on" in now
    assert "stays open until a person denies it" in now
    assert everything.count("the person who asked: that nothing is erased for now") == 1
    assert "\n  - What is owed with the refusal, and by when, stands below." in now
    fine("request deny R-1 --reason claim-not-covered")
    assert "The packs refused it as well" in explained("R-1")[0]


def test_a_grant_by_a_person_says_who_and_why_and_what_the_packs_had_left(workspace_folder: Path) -> None:
    asked("R-1")
    assert "NEEDS REVIEW" in fine("policy explain R-1").out.splitlines()[0]
    fine("request grant R-1 --by Ann --reason 'ground b, letter seen'")
    now, _ = explained("R-1")
    who = Workspace.open().pseudonym("Ann")[:12]
    assert "R-1 is granted: it was granted on" in now
    assert f"by a person's decision, pseudonym {who}, because: ground b, letter seen." in now
    assert "The packs had left it to a person (gdpr/ground-not-stated" in now
    assert "Ann" not in fine("policy explain R-1 --json").out


def test_a_request_with_several_decisions_tells_what_was_and_what_holds(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b")
    fine("request event R-1 --fact gdpr_exception=a --by Ann")
    now, _ = explained("R-1")
    assert "it has to be decided again" in now
    fine("request decide R-1")
    now, everything = explained("R-1")
    assert "was refused by the packs" in now
    lines = [
        line.partition(": ")[2] for line in now.partition("What happened")[2].splitlines() if line.startswith("  - ")
    ]
    assert [line.partition(" by ")[0].partition(" of ")[0] for line in lines] == [
        "filed", "granted", "noted", "denied (claim-not-covered)"
    ]  # fmt: skip
    assert everything.partition("in full:")[2].split()[:3] == ["Request", "R-1:", "DENIED."]
    assert "GRANTED" in fine("policy explain R-1 --history").out


def test_a_hold_and_its_end_are_told(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b")
    fine("request hold R-1 --reason 'a claim' --by Ann --until", str(TODAY + dt.timedelta(days=40)))
    now, _ = explained("R-1")
    assert "R-1 is on hold (a claim, until" in now
    assert "It is due by" not in now
    fine("request hold R-1 --lift --reason settled")
    now, _ = explained("R-1")
    assert "is on hold" not in now
    assert "hold lifted: settled" in now
    assert "It is due by" in now


def test_an_amended_request_has_no_decision_that_holds(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b")
    fine("request amend R-1 --fact gdpr_ground=d")
    now, everything = explained("R-1")
    assert "nothing holds until it is decided again" in now
    assert "What was decided before it was amended, in full:" in everything
    assert fine("policy explain R-1 --json").json["decision"] is None


def test_a_request_that_was_closed_without_a_decision_is_told_and_not_sent_to_decide(workspace_folder: Path) -> None:
    filed("R-1")
    assert "is not decided" in refused("policy explain R-1")
    fine("request deny R-1 --reason filed-in-error")
    out = fine("policy explain R-1").out
    assert "R-1 was denied by a person on" in out
    assert "No pack was asked about it" in out
    filed("R-2")
    fine("request close R-2 --taken-back --by Ann")
    out = fine("policy explain R-2").out
    assert "R-2 was taken back by the requester, as recorded by pseudonym" in out
    assert "note: R-1 of" in out  # it asked for the same data


def test_a_grant_that_must_name_a_scope_is_told_next(workspace_folder: Path) -> None:
    order = f"order_reference=C-1 order_scope=data-only order_deadline={TODAY + dt.timedelta(days=20)}"
    given = " ".join(f"--fact {fact}" for fact in order.split())
    filing = "request file --standing regulator --ground regulator-order --regime regulator-order --verified"
    fine(f"{filing} --shard shard-1 --id O-1 {given}")
    (told,) = [line for line in fine("request decide O-1").out.splitlines() if line.startswith("next: ")]
    assert "disgorge request grant O-1 --scope influence --by NAME --reason TEXT" in told
    refused("request grant O-1 --by Ann --reason 'letter seen'")
    fine("request grant O-1 --scope influence --by Ann --reason 'letter seen'")
