"""Conditions of rules: generated CEL, from sensible to absurd, and the ones that are known to be expensive."""

import datetime as dt

from hypothesis import strategies as st

from lineage.records import Impact, Selector
from policies.errors import BadPack
from policies.packs.conditions import CannotEvaluate, context_of, holds, parse
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect
from tests.fuzz.kind import BOTH, Kind
from tests.fuzz.place import Place

EXPENSIVE = (
    "".join(f"request.selectors.all(v{n}, " for n in range(40)) + "true" + ")" * 40,
    "".join(f"[1,2,3,4,5,6,7,8,9,10].all(v{n}, " for n in range(20)) + "true" + ")" * 20,
    "[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, [1,2,3].map(d, [1,2,3].map(e, [1,2,3].map(f, a)))))).size() > 0",
    "[" + "1," * 950 + "1].all(a, [" + "1" + "].all(b, [1].all(c, true)))",
    "[" + "0," * 300 + "0].all(a, [" + "0," * 300 + "0].all(b, [" + "0," * 300 + "0].all(c, a == b)))",
    "request.id.matches('(a+)+$')",
    "('a' + 'a' + 'a').matches('(a|aa)+$')",
    "'" + "a" * 900 + "'.matches('(.*)*(.*)*(.*)*b')",
    "'x'.matches('" + "(" * 500 + ")" * 500 + "')",
    "'x'.matches('a{1000}{1000}')",
    "request.id.matches('[')",
    "'x'.matches('(?i)\\\\pL{500}{500}')",
    "(" * 900 + "true" + ")" * 900,
    "!" * 1_900 + "true",
    "-" * 1_900 + "1 > 0",
    "true" + " && true" * 240,
    "true ? " * 200 + "true" + " : false" * 200,
    "[" * 900 + "]" * 900 + " == []",
    "{'a': " * 300 + "1" + "}" * 300 + ".size() > 0",
    "9223372036854775807 + 1 > 0",
    "-9223372036854775808 / -1 > 0",
    "1 / 0 > 0",
    "1 % 0 > 0",
    "9223372036854775807 * 2 > 0",
    "1e308 * 10.0 > 0.0",
    "int('99999999999999999999') > 0",
    "int(1e300) > 0",
    "timestamp('9999-12-31T23:59:59Z') + duration('999999999h') > timestamp(today)",
    "duration('1e999s') > duration('0s')",
    "duration('9223372036854775807h') > duration('0s')",
    "timestamp('0000-00-00T00:00:00Z') == timestamp('x')",
    "string(b'\\xff') == ''",
    "b'\\xff' == b'\\377'",
    "'\\ud800' == ''",
    "'\\U00110000' == ''",
    "request.facts.x.y.z",
    "size(request) > 0",
    "max() > 0",
    "min([]) > 0",
    "max([]) > 0",
    "min(1, 'a') > 0",
    "today.contains('')",
    "''.startsWith('')",
    "'\u0301'.size() > 0",
    "__import__('os').system('touch CANARY') == 0",
    "request.selectors[0].field == ''",
    "",
    " ",
    "\x00",
    "true // comment",
    "true\n&&\nfalse",
)
"""Known to try an engine's patience or its arithmetic. None may take longer than a case may."""

_ATOMS = st.sampled_from((
    "true", "false", "null", "0", "1", "-1", "9223372036854775807", "1.5", "'x'", "'gdpr'", "[]", "{}", "today",
    "request.id", "request.standing", "request.regime", "request.received", "request.identity_verified",
    "request.selectors", "request.facts", "impact.items", "impact.shards", "impact.hits_core", "impact.licenses",
    "request.regimes", "duration('1h')", "timestamp('2026-01-01T00:00:00Z')", "b'x'", "1u",
))  # fmt: skip
_BETWEEN = ("&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in")
_MACROS = ("all", "exists", "exists_one", "map", "filter")
_CALLS = ("size", "int", "double", "string", "min", "max", "has", "type", "dyn")
CONDITION = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(_BETWEEN), inner),
        st.builds("{}{}".format, st.sampled_from("!-"), inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("{}.{}(v, {})".format, _ATOMS, st.sampled_from(_MACROS), inner),
        st.builds("{}({})".format, st.sampled_from(_CALLS), inner),
    ),
    max_leaves=12,
).map(lambda text: text[:2_100])

ASKED = RemovalRequest(
    "R-1", Standing.CUSTOMER, Defect.PRIVACY, "gdpr",
    tuple(Selector("key", f"{'a' * 30}{row}") for row in range(20)), dt.date(2026, 11, 2),
)  # fmt: skip


def attempt(place: Place, text: str) -> str:
    """Check a condition as a pack is checked, then evaluate it as a decision does."""
    impact = Impact("", (), (), (), (), 3, 1, 0)
    context = context_of(ASKED, impact, facts={"x": "a" * 900}, regimes=("gdpr",), today="2026-11-02")
    try:
        parse(text, facts=("x",))
        holds(text, context)
    except (BadPack, CannotEvaluate) as problem:
        place.refusal(f"mine.yaml: {problem}")
        return "refused" if isinstance(problem, BadPack) else "unclear"
    return "taken"


KINDS = (
    Kind("condition", attempt, CONDITION, lambda: EXPENSIVE, full=1_500, outcomes=BOTH | {"unclear"}, isolated=True),
)
