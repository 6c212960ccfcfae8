"""The facts of a request: plain values of the types that packs declare, and whether the packs understand them.

A fact that is misspelt or of the wrong type must not look like an absent one. When a request is filed it is refused,
with the nearest names; in a request that was recorded before, or that other packs judge, it leads to a review.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policies.errors import BadRequest
from policies.packs.rules import RESERVED_FACTS, FactSpec, Pack
from policies.packs.words import regimes_named
from policies.request import OWN_DECISION, RemovalRequest
from policies.taxonomy import Defect
from policies.vocabulary.nearest import nearest, or_nearest

_YES_OR_NO = {"true": True, "yes": True, "false": False, "no": False}
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})")  # fewer digits than 2**53 has: JSON carries it exactly


def known_facts(packs: Iterable[Pack]) -> dict[str, FactSpec]:
    """Return what the facts that rules may ask for mean, by name."""
    facts = dict(RESERVED_FACTS)
    for pack in packs:
        facts.update(pack.facts)
    return facts


def known_regimes(packs: Iterable[Pack]) -> tuple[str, ...]:
    """Return the regimes that packs cover: those their conditions ask for, and the name of one that asks for none."""
    covered: set[str] = set()
    for pack in packs:
        covered.update(regimes_named([pack.applies]) or [pack.pack])
        covered.update(regimes_named(rule.when for rule in pack.rules))
    return tuple(sorted(covered))


def regime_named(text: str, packs: Iterable[Pack]) -> str:
    """Return the regime that packs cover under this name in any case; the text as it is if none is."""
    return {name.casefold(): name for name in known_regimes(packs)}.get(text.strip().casefold(), text)


def typed_facts(facts: Mapping[str, Any], packs: Sequence[Pack]) -> dict[str, Any]:
    """Return facts as values of their declared types: ``yes`` is true, text that is a number a number.

    Raises :class:`BadRequest` that names every fact no pack declares, with the nearest ones and what they mean, and
    every value of another type.
    """
    declared = known_facts(packs)
    typed: dict[str, Any] = {}
    problems = []
    for name, value in facts.items():
        if name not in declared:
            problems.append(f"unknown fact {name!r}{_or_near(name, declared)}")
        elif value is None:
            continue
        elif (found := _typed(value, declared[name])) is None:
            problems.append(f"the fact {name} must be {declared[name].wanted}, not {value!r} ({declared[name].words})")
        else:
            typed[name] = found
    if problems:
        raise BadRequest(f"{'; '.join(problems)}: `disgorge policy facts` lists them all")
    return typed


def require_regimes(regimes: Iterable[str], packs: Sequence[Pack], *, ground: Defect) -> None:
    """Raise :class:`BadRequest` for a regime that no pack covers, with the nearest and the list.

    An operator's own decision needs no pack, so its own regime is none.
    """
    known = known_regimes(packs)
    for regime in regimes:
        if regime not in known and not (ground is Defect.OWN_DECISION and regime == OWN_DECISION):
            raise BadRequest(
                f"unknown regime {regime!r}{or_nearest(regime, known)}; the packs cover {', '.join(known)}; a regime "
                "of your own needs its pack (--packs)"
            )


def plain_facts(request: RemovalRequest) -> dict[str, Any]:
    """Return the facts that are not null, dates as ISO text; :class:`BadRequest` for a value of another type."""
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
    declared = known_facts(packs)
    for name, value in sorted(facts.items()):
        if name not in declared:
            yield f"no rule asks for the fact {name}{_or_near(name, declared)}; correct its name, or take it out"
        elif not _fits(value, declared[name]):
            yield f"the fact {name} must be {declared[name].wanted}, not {value!r}; correct it"
    covered = known_regimes(packs)
    for regime in regimes[1:]:
        if regime not in covered:
            yield f"the request is also under {regime}, and no pack given covers it; give its pack too (--packs)"


def _or_near(name: str, known: Mapping[str, FactSpec]) -> str:
    """Return the nearest facts and what each means, as the end of a sentence."""
    near = [f"{each} ({known[each].words})" for each in nearest(name, known)]
    return f"; nearest: {', '.join(near)}" if near else ""


def _typed(value: Any, spec: FactSpec) -> Any:
    """Return a value as one of the declared type, None if it is none."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = value.isoformat()
    if isinstance(value, str) and spec.type == "bool":
        value = _YES_OR_NO.get(value.strip().casefold())
    elif isinstance(value, str) and spec.type == "int" and _WHOLE_NUMBER.fullmatch(value.strip()):
        value = int(value)
    elif isinstance(value, str) and spec.one_of:
        value = {word.casefold(): word for word in spec.one_of}.get(value.strip().casefold())
    return value if value is not None and _fits(value, spec) else None


def _fits(value: Any, spec: FactSpec) -> bool:
    if spec.type == "bool":
        return isinstance(value, bool)
    if spec.type == "int":
        return isinstance(value, int) and not isinstance(value, bool) and -(2**53) < value < 2**53
    if spec.type == "text":
        return isinstance(value, str) and value.isprintable() and (not spec.one_of or value in spec.one_of)
    try:
        return isinstance(value, str) and dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
