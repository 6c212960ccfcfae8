"""Conditions end, reach nothing, and never count an error as false."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.errors import BadPack
from policies.packs.conditions import CannotEvaluate, holds, parse
from policies.packs.words import require_words

CONTEXT = {
    "request": {"facts": {"word": "yes", "number": 3}, "regime": "gdpr"},
    "impact": {"items": 1},
    "today": "2026-03-02",
}


def test_an_error_behind_a_decided_and_is_no_error():
    assert not holds("has(request.facts.missing) && request.facts.missing", CONTEXT)
    assert holds("request.facts.missing || true", CONTEXT)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("request.facts.missing", "nothing is recorded under 'missing'"),
        ("request.facts.word && true", "No such overload"),
        ("request.facts.number > 'a'", "No such overload"),
        ("request.facts.number", "gives 3 where yes or no is needed"),
        ("1 / (impact.items - 1) > 0", "division by zero"),
    ],
)
def test_no_answer_is_said(text, says):
    with pytest.raises(CannotEvaluate, match=says):
        holds(text, CONTEXT)


def test_names_bound_by_a_macro_and_words_in_quotes_are_no_unknown_names():
    parse("impact.licenses.exists(license, license in ['request.nonsense', \"impact.nonsense\"])", facts=())


PULLED = "prompt_toolkit", "typer", "rich", "pygments"
"""What the command line of the package imports."""
ENGINE = """
import sys
from policies.packs.conditions import holds
assert holds("impact.items > 0", {"impact": {"items": 1}})
print(*sorted({name.partition(".")[0] for name in sys.modules}))
import cel
assert cel.compile("1 == 1").execute({}) and holds("impact.items > 0", {"impact": {"items": 1}})
"""


def test_the_engine_is_loaded_without_its_command_line_and_the_package_after_it():
    loaded = subprocess.run([sys.executable, "-c", ENGINE], capture_output=True, text=True, check=True).stdout.split()
    assert "cel" in loaded
    assert not set(PULLED) & set(loaded)


FLAT = (
    "import policies.packs.conditions as c; c.PathFinder = type('', (), {'find_spec': staticmethod(lambda *_: None)})"
)
"""The engine lies elsewhere in the package, as far as can be found."""


@pytest.mark.parametrize("first", ["import cel", FLAT], ids=["loaded already", "lies elsewhere"])
def test_the_whole_package_serves_as_well(first):
    code = f"{first}; from policies.packs.conditions import _cel, holds; import sys; assert holds('1 == 1', {{}});"
    code += "assert _cel() is sys.modules['cel']"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_dates_compare_as_text():
    assert holds("today < '2026-05-25' && today > '2018-05-25'", CONTEXT)


PIECES = st.sampled_from(
    ["request", "impact", ".facts", ".x", "(", ")", "[", "]", "&&", "||", "!", "-", "+", "1", "'a'", "has", "size",
     "true", " ", "{", "}", ":", ",", "?", ".all(x,", "in", "\\", '"', "r'", "b'", "0x", "1e9", "\x00", "\u2028", "é"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_text_parses_or_is_refused_in_one_line(text):
    try:
        parse(text, facts=())
    except BadPack as refused:
        assert "\n" not in str(refused)  # noqa: PT017 (most texts are refused, some parse)
        return
    try:
        holds(text, CONTEXT)
    except CannotEvaluate:
        pass


def test_lists_are_gone_through_at_most_two_deep() -> None:
    parse("impact.shards.all(a, impact.shards.exists(b, a == b))", facts=())
    parse("impact.shards.all(a, true) && impact.shards.all(b, true) && impact.shards.all(c, true)", facts=())
    with pytest.raises(BadPack, match="goes through lists 3 deep, at most 2"):
        parse("impact.shards.all(a, impact.shards.all(b, impact.shards.all(c, true)))", facts=())
    with pytest.raises(BadPack, match="3 deep"):
        parse("[1].map(a, [1].// )\n map (b, [1] . filter(c, true)))", facts=())


@pytest.mark.parametrize("text", ["r'\\'", "R'\\'", "br'\\'", "r'''\\'''"])
def test_raw_text_hides_nothing(text: str) -> None:
    with pytest.raises(BadPack, match="reads the fact undeclared"):
        parse(f"{text} == '' || request.facts.undeclared == ''", facts=())


def test_a_comment_is_no_code() -> None:
    parse("true // request.facts.undeclared", facts=())
    for text in ("true // it's\n|| request.facts.undeclared == 'x'", "'//' == '' || request.facts.undeclared == ''"):
        with pytest.raises(BadPack, match="reads the fact undeclared"):
            parse(text, facts=())


@pytest.mark.parametrize(
    "text",
    [
        "impact.licenses[0] == 'MITT'",
        "(impact.items > 0 ? impact.licenses[0] : 'MIT') == 'MITT'",
        "{'l': impact.licenses}.l.exists(x, x == 'MITT')",
        "impact.licenses.map(l, l).exists(x, x == 'MITT')",
        "impact.licenses.filter(l, true).exists(x, 'MITT' == x)",
        "impact.items > 0 ? 'MITT' in impact.licenses : false",
    ],
)
def test_a_word_is_found_however_it_is_compared(text: str) -> None:
    parse(text, facts=())
    with pytest.raises(BadPack, match=r"'MITT?'"):
        require_words(text)


def test_a_fact_may_be_called_as_a_word_of_python() -> None:
    parse("has(request.facts.is) && request.facts.is == 'x' ? request.facts.not : false", facts=("is", "not"))
