"""Conditions of rules: generated CEL, from sensible to absurd, and the ones that are known to be expensive."""

import datetime as dt
import random

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

_ATOMS = (
    "true", "false", "null", "0", "1", "-1", "9223372036854775807", "1.5", "'x'", "'gdpr'", "[]", "{}", "today",
    "request.id", "request.standing", "request.regime", "request.received", "request.identity_verified",
    "request.selectors", "request.facts", "impact.items", "impact.shards", "impact.hits_core", "impact.licenses",
    "request.regimes", "duration('1h')", "timestamp('2026-01-01T00:00:00Z')", "b'x'", "1u",
)  # fmt: skip
_BETWEEN = ("&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in")
_MACROS = ("all", "exists", "exists_one", "map", "filter")


def condition(rng: random.Random) -> str:
    """Return a condition."""
    if rng.random() < 0.3:
        return rng.choice(EXPENSIVE)
    return _expression(rng, depth=rng.randrange(1, 6))[:2_100]


def _expression(rng: random.Random, *, depth: int) -> str:
    if not depth:
        return rng.choice(_ATOMS)
    match rng.randrange(7):
        case 0 | 1 | 2:
            sign = rng.choice(_BETWEEN)
            return f"({_expression(rng, depth=depth - 1)} {sign} {_expression(rng, depth=depth - 1)})"
        case 3:
            return f"{rng.choice('!-')}{_expression(rng, depth=depth - 1)}"
        case 4:
            inner = [_expression(rng, depth=depth - 1) for _ in range(3)]
            return f"({inner[0]} ? {inner[1]} : {inner[2]})"
        case 5:
            name = f"v{depth}"
            return f"{rng.choice(_ATOMS)}.{rng.choice(_MACROS)}({name}, {_expression(rng, depth=depth - 1)})"
        case _:
            call = rng.choice(("size", "int", "double", "string", "min", "max", "has", "type", "dyn"))
            return f"{call}({_expression(rng, depth=depth - 1)})"


def case(place: Place, number: int) -> str:
    """Check a condition as a pack is checked, then evaluate it as a decision does."""
    from lineage.records import Impact, Selector
    from policies.errors import BadPack
    from policies.packs.conditions import CannotEvaluate, context_of, holds, parse
    from policies.request import RemovalRequest, Standing
    from policies.taxonomy import Defect

    rng = random.Random(f"condition-{number}")
    text = EXPENSIVE[number] if number < len(EXPENSIVE) else _expression(rng, depth=rng.randrange(1, 6))
    asked = RemovalRequest(
        "R-1", Standing.CUSTOMER, Defect.PRIVACY, "gdpr",
        tuple(Selector("key", f"{'a' * 30}{row}") for row in range(20)), dt.date(2026, 11, 2),
    )  # fmt: skip
    impact = Impact("", (), (), (), (), 3, 1, 0)
    context = context_of(asked, impact, facts={"x": "a" * 900}, regimes=("gdpr",), today="2026-11-02")
    try:
        parse(text, facts=("x",))
        holds(text, context)
    except BadPack as problem:
        place.refusal(f"mine.yaml: {problem}")
        return "refused"
    except CannotEvaluate as problem:
        place.refusal(f"mine.yaml: {problem}")
        return "unclear"
    return "taken"
