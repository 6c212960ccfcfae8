"""report.html and what it says: complete, self-contained, safe whatever the names in it are, true to every ending."""

import base64
import datetime as dt
import io
import re
from dataclasses import astuple, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import Utility, Verdict
from disgorge.plan.details import ConfirmationDetail
from disgorge.plan.plan import Action, LeftOut, Share
from disgorge.report.images import GAP, TILE, png, sample_grid
from disgorge.report.page import render, render_certificate
from disgorge.report.sentences import asked
from disgorge.report.summary import opening
from disgorge.statement.limitations import ALWAYS, CLOCKS_AND_NAMES
from disgorge.statement.predicate import MethodUsed
from disgorge.statement.statement import ReportCase, statement_of
from lineage.records import Impact, Selector
from policies.request import Standing
from policies.taxonomy import Defect
from tests.disgorge.report_cases import COMPOSITIONS, case, check, decision, evidence, hexadecimal, plan, request, step

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"

VOID = {"wbr", "meta", "img", "br", "link", "input", "hr", "line", "rect", "path"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and that it is open."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The tag closed is the last one opened."""
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep text that a reader sees."""
        if self.open and self.open[-1] != "style":
            self.words += data


def read(made: ReportCase) -> tuple[str, str]:
    """The page's source and its words with single spaces."""
    source = render(made)
    return source, " ".join(Page(source).words.split())


def test_it_says_everything_in_order() -> None:
    _, words = read(case())
    order = [
        "Carried out and certified",
        "A contributor asked on 2 November 2026",
        "150 rows were taken out of 1 shard",
        "1 component was dropped",
        "All 8 required checks passed",
        "What was asked",
        "The ground is contract",
        "150 items of 22 people in 1 shard, 3 of them exact copies",
        "What was decided",
        "granted on 3 November 2026",
        "What was done",
        "14 other components of the same models did not learn from the data.",
        "What is not promised",
        "What happened to each part",
        "Trained again",
        "120 training steps",
        "9,600 training steps",
        "1.2% of the steps",
        "What learned from the data",
        "What the generator makes",
        "How good the models are",
        "The evidence",
        "Positive control held.",
        "Why: the rules that applied",
        "Contributor agreement, section 4.2",
        "Deadlines and notices",
        "2 December 2026",
        "12 days before it",
        "customers who received a copy",
        "Technical details",
    ]
    place = 0
    for part in order:
        found = words.find(part, place)
        assert found >= 0, f"{part!r} is missing or out of order"
        place = found


def test_what_is_not_promised_is_always_there() -> None:
    made = case()
    for page in (render(made), render(refusal())):
        for sentence in ALWAYS:
            assert sentence in page
    assert "Exact as long as the mixing weights never used the dropped shard." in render(made)


def test_digests_are_folded_away() -> None:
    source = render(case())
    before, _, after = source.partition("<details>")
    assert not re.search(r"\b[0-9a-f]{64}\b", before)
    assert case().plan.digest in after


def test_it_refers_to_nothing_outside_itself() -> None:
    page = Page(render(case()))
    for name, value in page.attributes:
        assert name not in {"href", "action", "srcset", "onload", "onerror"}
        if name == "src":
            assert str(value).startswith("data:image/")
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)
    assert "@import" not in render(case())
    assert "url(" not in render(case())


def test_hostile_names_are_text() -> None:
    decided = decision(category=HOSTILE)
    decided = replace(decided, reasons=(replace(decided.reasons[0], words=HOSTILE, citation=HOSTILE, rule=HOSTILE),))
    planned = plan(decided)
    steps = tuple(replace(s, words=HOSTILE, caveat=HOSTILE) for s in planned.steps)
    planned = replace(planned, steps=steps)
    found = evidence(planned)
    found = replace(
        found,
        checks=tuple(replace(check, answer=HOSTILE, question=HOSTILE) for check in found.checks),
        utility=(Utility(HOSTILE, HOSTILE, HOSTILE, 3, 0.5, 0.5),),
        environment={HOSTILE: HOSTILE},
    )
    pictures = case().samples
    assert pictures is not None
    made = case(
        decision=decided,
        plan=planned,
        evidence=found,
        request=replace(request(), selectors=(Selector("key", HOSTILE),), regime=HOSTILE),
        methods=(MethodUsed(HOSTILE, HOSTILE, HOSTILE),),
        residuals=(HOSTILE,),
        lineage_svg=f'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script>{HOSTILE}</svg>',
        samples={HOSTILE: pictures["digits-maker"]},
        compositions={HOSTILE: COMPOSITIONS["digits-maker"]},
    )
    source, words = read(made)
    page = Page(source)
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in words
    assert "49" not in re.findall(r"&gt;(\d+)", source)


def refusal() -> ReportCase:
    """A refused execution, stopped early."""
    made = case()
    checks = tuple(replace(check, verdict=Verdict.FAIL) for check in made.evidence.checks[:1])
    facts = tuple(fact for fact in made.facts if fact["kind"] != "step" or fact["body"]["step"].startswith("contain"))
    return replace(
        made,
        evidence=replace(made.evidence, checks=checks, after={}),
        certificate=None,
        refusal="digits-maker is not adopted: never-trained failed",
        facts=facts,
    )


def test_a_refusal_claims_nothing_that_was_not_done() -> None:
    _, words = read(refusal())
    assert "Not certified" in words
    assert "Digits-maker is not adopted: never-trained failed" in words
    assert "Carried out" not in words
    assert "component was dropped" not in words
    assert "rows were taken out" not in words
    assert words.count("planned, not done") == 2
    assert "Guarantee sought" in words
    assert "stay out of service" in words


@pytest.mark.parametrize(
    ("issued", "words"),
    [
        (dt.datetime(2026, 12, 2, 23, tzinfo=dt.UTC), "0 days before it"),
        (dt.datetime(2026, 12, 3, 1, tzinfo=dt.UTC), "1 day late"),
        (dt.datetime(2026, 12, 1, 1, tzinfo=dt.UTC), "1 day before it"),
    ],
)
def test_a_deadline_says_whether_it_was_met(issued: dt.datetime, words: str) -> None:
    assert words in read(case(issued=issued))[1]
    assert "2 February 2027 (extended)" in read(case(issued=issued, until=dt.date(2027, 2, 2)))[1]


def test_without_pictures_and_measures_it_is_still_a_page() -> None:
    made = case()
    bare = replace(made, samples=None, lineage_svg="", methods=(), evidence=replace(made.evidence, utility=()))
    _, words = read(bare)
    assert "What the generator makes" not in words
    assert "What learned from the data" not in words


# The four sentences that a report opens with, and the three groups of its caveats


def fulfilled() -> ReportCase:
    """A request whose items another one's removal had taken."""
    decided = decision()
    detail = ConfirmationDetail("R-1", hexadecimal("p"), hexadecimal("s"), removed=3, of=3)
    planned = plan(
        decided,
        steps=(step(Action.CONFIRM, "R-1", None, detail=detail), step(Action.REPORT, "R-7", None)),
        required=("residue",),
    )
    found = evidence(planned, subjects=(), checks=(check("residue", "R-7"),), utility=(), before={}, after={})
    empty = Impact(hexadecimal("head"), (), (), (), (), items=0, subjects=0, duplicates=0)
    return case(decision=decided, plan=planned, evidence=found, impact=empty, samples=None, compositions={})


def withdrawn() -> ReportCase:
    """A release that was destroyed, since nothing else could be done about it."""
    decided = decision()
    steps = tuple(each for each in plan(decided).steps if each.action in (Action.CONTAIN, Action.WITHDRAW_ITEMS))
    ends = (step(Action.PURGE, "old weights and withdrawn items", None), step(Action.REPORT, "R-7", None))
    planned = plan(decided, steps=(*steps, step(Action.WITHDRAW, "digits-maker", "digits-maker"), *ends))
    name = "digits-maker"
    checks = (check("lineage-closure", name), check("residue", name))
    found = evidence(planned, subjects=(name,), checks=checks, before={name: hexadecimal("x")}, after={}, utility=())
    return case(decision=decided, plan=planned, evidence=found, samples=None)


def emptied() -> ReportCase:
    """A release that serves again with nothing left in it that was trained, as its approver accepted."""
    made = case()
    losses = ["nothing that was trained on removable data is left in the release"]
    checks = tuple(
        replace(each, detail={"losses": losses}) if (each.name, each.subject) == ("utility", "digits-maker") else each
        for each in made.evidence.checks
    )
    return case(evidence=replace(made.evidence, checks=checks))


def in_part() -> ReportCase:
    """A removal that left two items where a hold keeps them."""
    decided = decision()
    left = (LeftOut(2, "H-1", "a claim of Bob's", dt.date(2027, 1, 1)),)
    return case(decision=decided, plan=plan(decided, left_out=left))


def after_an_earlier_plan() -> ReportCase:
    """A plan that went on where another one of the same request had taken items out."""
    made = case()
    cut = {"plan": hexadecimal("earlier"), "request": "R-7", "shard": hexadecimal("b"), "name": "bob", "removed": 9}
    return replace(made, facts=(*made.facts, {"kind": "shard-withdrawn", "body": cut}))


def own_decision() -> ReportCase:
    """A removal that nothing but the operator's own will asks for."""
    return case(request=request(ground=Defect.OWN_DECISION, regime="own-decision", standing=Standing.INTERNAL))


def done_and_refused() -> ReportCase:
    """Every step was done, and one check said no."""
    made = case()
    found = replace(made.evidence, checks=tuple(each for each in made.evidence.checks if each.name != "residue"))
    return case(evidence=found, refusal="check residue is missing")


ENDINGS = [case, refusal, done_and_refused, fulfilled, withdrawn, emptied, in_part, after_an_earlier_plan, own_decision]


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_report_opens_with_four_sentences_before_anything_else(ending: Any) -> None:
    made = ending()
    sentences = astuple(opening(made))
    assert len(sentences) == 4
    for words in sentences:
        assert words.endswith(".")
        assert ". " not in words
        assert words[0] == words[0].upper()
        for page in (render(made), render_certificate(made)):
            assert words in page
            assert page.index(words) < page.index("What was asked")


def test_what_was_done_is_told_as_it_was_done() -> None:
    made = opening(case())
    assert made.asked == (
        "A contributor asked on 2 November 2026 for the removal of data, with what models learned from it: "
        "150 items of 22 people."
    )
    assert made.done == (
        "150 rows were taken out of 1 shard, 1 component was dropped, 1 component was trained again without the data, "
        "digits-maker and digits-reader were released again and the withdrawn items and the old weights were deleted "
        "from the workspace."
    )
    assert made.shown.startswith("All 8 required checks passed: digits-maker and digits-reader are what training")
    assert "nothing of it was found in the places searched" in made.shown
    assert "compliance with any law" in made.not_promised
    assert "until an auditor re-executes the removal" in made.not_promised


def test_what_was_done_for_several_requests_together_says_how_much_is_this_ones() -> None:
    decided = decision()
    shares = (Share("R-7", decided.digest, 11), Share("R-8", decided.digest, 139))
    together = case(decision=decided, plan=replace(plan(decided), together=shares))
    words = "150 rows were taken out of 1 shard, for this request (11 items) and 1 other request together"
    assert opening(together).done.startswith(f"{words}, 1 component was dropped")
    assert any(sentence.startswith("The plan, carried out for R-8 as well, removes") for sentence in asked(together))
    assert "together" not in opening(case()).done


def test_a_report_names_every_law_that_was_claimed_under() -> None:
    one, both = case(), case(request=replace(request(), facts={"also_under": "uk-gdpr"}))
    assert f"under the rules called “{one.request.regime}”. " in next(asked(one))
    assert f"under the rules called “{one.request.regime}” and “uk-gdpr”. " in next(asked(both))


def test_a_refused_removal_shows_and_promises_nothing() -> None:
    early, late = opening(refusal()), opening(done_and_refused())
    assert early.done == "Nothing was removed; the execution stopped before its end, and no certificate was issued."
    assert late.done.endswith("; every step was done, and no certificate was issued.")
    assert late.shown == (
        "That the removal is complete is not shown: 6 of the 6 required checks made passed, not made: residue."
    )
    for made in (early, late):
        assert "is not shown" in made.shown
        assert made.not_promised.startswith("Nothing is certified")


def test_a_request_that_another_removal_fulfilled_claims_no_removal_of_its_own() -> None:
    made = opening(fulfilled())
    assert made.asked.endswith(": 3 items.")
    assert made.done.startswith("Nothing was removed for this request, because the removal for request R-1 had taken")
    assert made.shown.startswith("The report on R-1 shows that removal")
    assert "re-executes" not in made.not_promised


def test_a_destroyed_release_is_not_said_to_be_released_again() -> None:
    made = opening(withdrawn())
    assert "digits-maker was taken down and destroyed" in made.done
    assert "released again" not in made.done
    assert "bit for bit" not in made.shown
    assert "re-executes" not in made.not_promised


def test_a_loss_of_use_that_was_accepted_is_told_at_once() -> None:
    assert (
        "digits-maker (with a loss that was accepted: nothing that was trained on removable data is left in the "
        "release) and digits-reader were released again"
    ) in opening(emptied()).done


def test_what_a_hold_keeps_is_told_at_once() -> None:
    made = opening(in_part())
    assert made.asked.endswith(": 152 items.")
    assert "150 items of 22 people in 1 shard, 3 of them exact copies found elsewhere, beside 2 items under" in render(
        in_part()
    )
    assert made.done.endswith("; 2 items stay under a hold, so the request is fulfilled only in part.")
    assert "anything about the 2 items under a hold" in made.not_promised


def test_after_an_earlier_plan_nothing_is_counted_that_this_one_did_not_do() -> None:
    made = opening(after_an_earlier_plan())
    assert made.asked.endswith("with what models learned from it.")
    assert made.done.startswith("An earlier plan of the request did a part")


def test_an_own_decision_is_nobodys_request() -> None:
    made = own_decision()
    assert opening(made).asked.startswith("The operator decided on 2 November 2026, of its own will and with no claim")
    assert "asked on" not in render(made)


def test_a_source_that_still_holds_the_data_is_told_at_once() -> None:
    made = case()
    checks = tuple(
        replace(each, detail={"unsupported": ["alice was read from a.npz"], "not enumerated": {}})
        if each.name == "residue"
        else each
        for each in made.evidence.checks
    )
    told = opening(replace(made, evidence=replace(made.evidence, checks=checks))).not_promised
    assert "that the data is gone from the file that 1 shard was read from" in told


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_caveat_stands_in_one_group(ending: Any) -> None:
    made = ending()
    groups = made.caveats
    told = [sentence for _, sentences in groups.groups for sentence in sentences]
    assert len(told) == len(set(told))
    assert groups.always == ALWAYS
    assert CLOCKS_AND_NAMES in groups.this_machine
    for page in (render(made), render_certificate(made)):
        places = [page.index(f"<h3>{heading}</h3>") for heading, _ in groups.groups]
        assert places == sorted(places)
        assert "About this machine" in page
        assert "Always" in page


def test_what_was_left_where_it_is_is_about_this_removal() -> None:
    groups = in_part().caveats
    assert any("fulfilled only in part" in sentence for sentence in groups.this_removal)
    assert "Git history keeps the names and MD5 digests of removed DVC outputs." in groups.this_removal


# Words that promise no more than was done


ROOT = Path(__file__).parent.parent.parent


def without_release() -> ReportCase:
    """A removal that hit no release: the certificate asks for residue, the plan for the closure of lineage as well."""
    decided = decision()
    planned = plan(
        decided,
        steps=(step(Action.WITHDRAW_ITEMS, "alice", None), step(Action.REPORT, "R-7", None)),
        required=("lineage-closure", "residue"),
    )
    checks = tuple(check(name, "R-7") for name in planned.required)
    found = evidence(planned, subjects=(), checks=checks, utility=(), before={}, after={})
    return case(decision=decided, plan=planned, evidence=found, samples=None)


def test_the_checks_that_are_counted_are_those_the_page_marks_as_required() -> None:
    made = without_release()
    assert made.certificate is not None
    assert made.certificate.required == ("residue",)
    assert opening(made).shown.startswith("All 2 required checks passed")
    assert render(made).count("required for this guarantee") == 2


def test_a_check_that_failed_or_was_not_made_is_counted_as_such() -> None:
    decided = decision()
    planned = plan(decided)
    found = evidence(planned)
    first, *rest = (each for each in found.checks if each.name != "residue")
    found = replace(found, checks=(replace(first, verdict=Verdict.FAIL), *rest))
    told = opening(case(decision=decided, plan=planned, evidence=found, refusal="a check failed")).shown
    assert told.endswith(": 5 of the 6 required checks made passed, not made: residue.")


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("namespace", "namespace (hermetic): it could read its inputs"),
        ("landlock", "so old weights hidden there are not excluded"),
        ("process", "it was not confined, which excludes nothing"),
        (None, "No process trained anything for this report"),
    ],
)
def test_every_report_says_what_clock_names_and_confinement_do_not_show(level: str | None, words: str) -> None:
    made = case()
    checks = tuple(
        replace(each, detail={**each.detail, "level": level})
        for each in made.evidence.checks
        if each.name != "never-trained" or level is not None
    )
    found = replace(made.evidence, checks=checks)
    refused = case(decision=made.decision, plan=made.plan, evidence=found, refusal="a check is missing")
    signed = statement_of(refused, {})["predicate"]["caveats"]["this_machine"]
    assert CLOCKS_AND_NAMES in signed
    assert any(words in sentence for sentence in signed)
    for page in (render(refused), render_certificate(refused)):
        assert all(sentence.replace("'", "&#39;") in page for sentence in signed)


def test_a_report_says_that_identity_was_recorded_and_not_that_it_was_checked() -> None:
    page = render(case())
    assert "identity was recorded as verified" in page
    assert "signed by its issuer" not in page


def test_nothing_is_signed_where_a_name_is_typed_and_no_domain_is_claimed() -> None:
    readme = (ROOT / "README.md").read_text()
    diagram = readme.partition("```")[2].partition("```")[0]
    assert "a person" not in diagram
    assert "a name is" in diagram
    assert "without trusting you" not in readme
    sources = [*(ROOT / "disgorge").rglob("*.py"), *(ROOT / "disgorge").rglob("*.j2"), ROOT / "README.md"]
    claims = [path.name for path in sources if re.search(r"disgorge\.dev|svr\.json", path.read_text())]
    assert claims == ["predicate.py"]  # that names the formats it does not read any more
    assert not [path.name for path in sources if re.search(r"\bprove it\b|\bproves it\b", path.read_text())]


# Pictures: another decoder reads the same pixels; text in them is escaped


def pixels_of(data: bytes) -> np.ndarray:
    """Decode with Pillow."""
    image = pytest.importorskip("PIL.Image", reason="Pillow decodes what we encode")
    return np.array(image.open(io.BytesIO(data)))


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (3, 4, 3)])
def test_another_decoder_reads_the_same_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(png(pixels)), pixels)


@pytest.mark.parametrize("shape", [(32, 8, 8), (5, 1, 8, 8), (5, 3, 8, 8), (5, 8, 8, 3), (1, 28, 28), (40, 64, 64)])
def test_samples_of_every_shape_make_a_sheet(shape: tuple[int, ...]) -> None:
    uri = sample_grid(np.random.default_rng(0).uniform(size=shape))
    assert uri.startswith("data:image/png;base64,")
    sheet = pixels_of(base64.b64decode(uri.partition(",")[2]))
    side = max(8, shape[2] if shape[1] in (1, 3) else shape[1])
    tile = side * max(1, -(-TILE // side))
    columns, rows = min(16, shape[0]), -(-shape[0] // 16)
    assert sheet.shape[:2] == (rows * (tile + GAP) - GAP, columns * (tile + GAP) - GAP)


@pytest.mark.parametrize("shape", [(6, 8), (6,), (5, 2, 8, 8), (5, 8, 8, 4), (2, 3, 4, 5, 6), (0, 8, 8)])
def test_what_is_no_picture_makes_none(shape: tuple[int, ...]) -> None:
    assert sample_grid(np.zeros(shape)) == ""


def test_values_are_kept_and_what_is_no_number_is_black() -> None:
    sheet = pixels_of(base64.b64decode(sample_grid(np.array([[[0.0, 1.0], [np.nan, 7.0]]])).partition(",")[2]))
    assert [sheet[0, 0], sheet[0, -1], sheet[-1, 0], sheet[-1, -1]] == [0, 255, 0, 255]
