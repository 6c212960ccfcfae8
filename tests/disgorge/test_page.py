"""report.html: complete, self-contained, and safe whatever the names in it are."""

import datetime as dt
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from disgorge.evidence.checks import Utility, Verdict
from disgorge.report.page import render
from disgorge.statement.limitations import ALWAYS
from disgorge.statement.predicate import MethodUsed
from disgorge.statement.statement import ReportCase
from lineage.records import Selector
from tests.disgorge.report_cases import COMPOSITIONS, case, decision, evidence, plan, request

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


def test_an_extension_is_said() -> None:
    assert "2 February 2027 (extended)" in read(case(until=dt.date(2027, 2, 2)))[1]


def test_without_pictures_and_measures_it_is_still_a_page() -> None:
    made = case()
    bare = replace(made, samples=None, lineage_svg="", methods=(), evidence=replace(made.evidence, utility=()))
    _, words = read(bare)
    assert "What the generator makes" not in words
    assert "What learned from the data" not in words
