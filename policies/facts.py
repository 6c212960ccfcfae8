"""The facts of a request: plain values, and whether the packs understand them.

A fact that is misspelt or of the wrong type must not look like an absent one: it is reported and leads to a review.
"""

import datetime as dt
import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from policies.errors import BadRequest
from policies.request import RemovalRequest
from policies.rules import RESERVED_FACTS, FactType, Pack

_WANTED: dict[FactType, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "text": "text",
    "date": "a date (YYYY-MM-DD)",
}


def plain_facts(request: RemovalRequest) -> dict[str, Any]:
    """Return the facts that are not null, dates as ISO text; :class:`BadRequest` for one that is no plain value."""
    facts: dict[str, Any] = {}
    for name, value in request.facts.items():
        where = f"request {request.id}: the fact {name!r}"
        if not isinstance(name, str) or not name.isidentifier():
            raise BadRequest(f"{where} has no usable name; use letters, digits and underscores")
        if isinstance(value, dt.date):
            value = value.isoformat()
        if not isinstance(value, bool | int | float | str | None):
            raise BadRequest(f"{where} is a {type(value).__name__}; give text, a number, true or false")
        if isinstance(value, int) and not -(2**53) < value < 2**53:
            raise BadRequest(f"{where} is a number too large to record exactly")
        if isinstance(value, float) and value - value != 0:
            raise BadRequest(f"{where} is not a finite number")
        if isinstance(value, str) and not value.isprintable():
            raise BadRequest(f"{where} holds characters that cannot be printed; write it in one line of text")
        if value is not None:
            facts[name] = value
    return facts


def regimes_of(request: RemovalRequest, facts: dict[str, Any]) -> tuple[str, ...]:
    """Return the request's regime and those its fact ``also_under`` names, without repeats."""
    also = facts.get("also_under")
    named = also.split(",") if isinstance(also, str) else []
    return tuple(dict.fromkeys([request.regime, *(name.strip() for name in named if name.strip())]))


def misfits(facts: dict[str, Any], regimes: tuple[str, ...], packs: Sequence[Pack]) -> Iterable[str]:
    """Return in words what about the facts a person must look at."""
    known = dict(RESERVED_FACTS)
    for pack in packs:
        known.update(pack.facts)
    for name, value in sorted(facts.items()):
        if name in known:
            if not _fits(value, known[name].type):
                yield f"the fact {name} must be {_WANTED[known[name].type]}, not {value!r}; correct it"
        elif near := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
            yield f"no rule asks for the fact {name}; if {near[0]} is meant, correct its name"
    names = {pack.pack for pack in packs}
    for regime in regimes[1:]:
        if regime not in names:
            yield f"the request is also under {regime}, and there is no pack of that name"


def _fits(value: Any, wanted: FactType) -> bool:
    if wanted == "bool":
        return isinstance(value, bool)
    if wanted == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted == "text":
        return isinstance(value, str)
    try:
        dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True
