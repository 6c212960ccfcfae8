"""Conditions of rules: CEL expressions over a request, an impact and today's date.

CEL (the Common Expression Language) always ends, has no side effects and reaches nothing but the values it is given;
no Python is evaluated. It ends *soon* because lists are gone through at most two deep: deeper, a short condition takes
too long. The cost: what needs three has to be said otherwise. A condition sees:

- ``request``: ``id``, ``standing``, ``ground``, ``regime``, ``regimes`` (its regime and those its fact ``also_under``
  names), ``received`` (ISO date), ``identity_verified``, ``legal_hold``, ``selectors`` (each ``field`` and ``value``),
  ``facts``, ``known`` (by the name of each fact, the ISO date of which it is known: of receipt, or of the event that
  gave it), ``events`` (each ``kind`` and ``on``, an ISO date, in order) and ``pending`` (the kinds of events that began
  something which none has ended, such as ``"stayed" in request.pending``);
- ``impact``: ``items``, ``subjects``, ``duplicates``, ``hits_core``, ``without_basis`` (how many shards have no legal
  basis recorded), and the lists ``shards``, ``components``, ``releases`` (names), ``licenses`` (SPDX identifiers and
  such, see :mod:`policies.vocabulary.licenses`), ``legal_bases`` (of :mod:`policies.vocabulary.legal_basis`),
  ``unknown_licenses`` and ``unknown_legal_bases`` (words that are neither), ``sources`` (in lower case); each sorted,
  without repeats;
- ``today``: an ISO date, so dates compare as text.

An absent fact is asked for with ``has(request.facts.x)``. Reading one that is absent, or comparing what does not
compare, is an error, and an error never counts as false: the rule is reported as not evaluated and a person looks.

>>> parse("request.regime == 'gdpr' && impact.items > 0", facts=())
>>> holds("impact.items > 3", {"impact": {"items": 4}})
True
"""

import datetime as dt
import re
import sys
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from threading import Lock
from typing import Any

from lineage.records import Impact
from policies.errors import BadPack, BadRequest, PolicyError
from policies.events import ENDS, EventKind, pending
from policies.packs.condition_text import read_condition
from policies.request import RemovalRequest
from policies.vocabulary.impact_words import ImpactWords, words_of

MAX_LENGTH = 2000
"""Characters of one condition; longer ones are several rules."""

REQUEST_NAMES = (
    "id", "standing", "ground", "regime", "regimes", "received", "identity_verified", "legal_hold", "selectors",
    "facts", "known", "events", "pending",
)  # fmt: skip
IMPACT_NAMES = (
    "items", "subjects", "duplicates", "hits_core", "shards", "components", "releases", "licenses", "sources",
    "legal_bases", "unknown_licenses", "unknown_legal_bases", "without_basis",
)  # fmt: skip
_NAMES: dict[str, tuple[str, ...]] = {"request": REQUEST_NAMES, "impact": IMPACT_NAMES, "today": ()}
_OF_FACTS = ("request.facts", "request.known")
_FUNCTIONS = {
    "size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string", "timestamp", "duration",
    "min", "max",
}  # fmt: skip
MOST_NESTED = 2
"""Lists gone through within one another: of hundreds of entries each, two take a second."""


_ENGINE = "cel.cel"
_LOADING = Lock()


class CannotEvaluate(PolicyError):  # noqa: N818 (the name says what is the matter)
    """A condition that gives no answer for this request; says why."""


def _cel() -> Any:
    """Return the CEL engine, which only deciding needs.

    The package ``cel`` imports its own command line, with typer, prompt_toolkit and rich, 0.2 s of CPU. The engine is
    the extension module in it and is loaded by itself, once a process; where it does not lie there, the whole package.
    """
    with _LOADING:
        for name in ("cel", _ENGINE):
            if name in sys.modules:
                return sys.modules[name]
        package = find_spec("cel")
        inside = package.submodule_search_locations if package is not None else None
        found = PathFinder.find_spec(_ENGINE, list(inside)) if inside else None
        if found is None or found.loader is None:
            return import_module("cel")
        engine = module_from_spec(found)
        found.loader.exec_module(engine)
        sys.modules[_ENGINE] = engine  # which the package takes too, if something imports that
        return engine


@lru_cache(maxsize=4096)
def _program(text: str) -> Any:
    return _cel().compile(text)


def parse(text: str, *, facts: Collection[str]) -> None:
    """Check that a condition parses and names only known values; :class:`BadPack` if not.

    ``facts`` are the facts its pack declares; a condition may read no other, so a misspelled one is found here.
    """
    if len(text) > MAX_LENGTH:
        raise BadPack(f"a condition of {len(text)} characters; at most {MAX_LENGTH}, make it several rules")
    try:
        program = _program(text)
    except Exception as problem:
        raise BadPack(f"condition does not parse: {_short(problem)}") from None
    read = read_condition(text)
    if read.depth > MOST_NESTED:
        raise BadPack(f"condition goes through lists {read.depth} deep, at most {MOST_NESTED}; make it several rules")
    unknown = set(program.variables()) - _NAMES.keys() - read.bound
    if unknown:
        raise BadPack(f"condition names {_listed(unknown)}, which is unknown: expected {_listed(_NAMES)}")
    functions = {name for name in program.functions() if name.isidentifier()} - _FUNCTIONS
    if functions:
        raise BadPack(f"condition calls {_listed(functions)}, which is unknown: expected {_listed(_FUNCTIONS)}")
    if read.indexed & {"request", "impact", *_OF_FACTS}:
        raise BadPack("condition reads with [...]; write request.facts.name, so that the name can be checked")
    for root, name, *_ in (place.split(".") for place in sorted(read.places) if "." in place):
        if name not in (_NAMES.get(root) or (name,)):
            raise BadPack(f"condition names {root}.{name}; {root} has {_listed(_NAMES[root])}")
    named = (place.split(".") for place in read.places)
    undeclared = {parts[2] for parts in named if len(parts) > 2 and ".".join(parts[:2]) in _OF_FACTS} - set(facts)
    if undeclared:
        raise BadPack(f"condition reads the fact {_listed(undeclared)}; declare it under `facts`")
    kinds = {each.word for each in read.compared if _is_kind(each.place)}
    if strange := kinds - set(EventKind):
        raise BadPack(f"condition names the unknown event {_listed(strange)}: expected {_listed(list(EventKind))}")
    if strange := {each.word for each in read.compared if each.place == "request.pending"} - set(ENDS):
        raise BadPack(f"condition names {_listed(strange)} as pending: expected {_listed(list(ENDS))}")


def _is_kind(place: str) -> bool:
    """Whether a place is the kind of an event; the kind of a value that cannot be followed counts as one."""
    return place == "request.events.kind" or (place.endswith(".kind") and place.split(".")[0] not in _NAMES)


def holds(text: str, context: Any) -> bool:
    """Return whether a condition holds; :class:`CannotEvaluate` when it gives no yes or no.

    ``context`` is what :func:`context_of` returns, or a dict with the same names.
    """
    try:
        answer = _program(text).execute(context)
    except Exception as problem:
        raise CannotEvaluate(_short(problem)) from None
    if not isinstance(answer, bool):
        raise CannotEvaluate(f"the condition gives {answer!r} where yes or no is needed")
    return answer


def context_of(
    request: RemovalRequest,
    impact: Impact,
    *,
    facts: Mapping[str, Any],
    regimes: tuple[str, ...],
    today: str,
    words: ImpactWords | None = None,
) -> Any:
    """Return what conditions see, taken over into CEL once for all rules.

    ``facts`` are the request's, without those that are null. ``words`` stand in for those of the impact. Raises
    :class:`BadRequest` for text that is not Unicode.
    """
    shards = [change.before for change in impact.shards]
    words = words or words_of(impact)
    seen = {
        "request": {
            "id": request.id,
            "standing": request.standing.value,
            "ground": request.ground.value,
            "regime": request.regime,
            "regimes": list(regimes),
            "received": request.received.isoformat(),
            "identity_verified": request.identity_verified,
            "legal_hold": request.legal_hold,
            "selectors": [{"field": selector.field, "value": selector.value} for selector in request.selectors],
            "facts": dict(facts),
            "known": {name: _known(name, request).isoformat() for name in facts},
            "events": [{"kind": event.kind.value, "on": event.on.isoformat()} for event in request.events],
            "pending": [kind.value for kind in pending(request.events)],
        },
        "impact": {
            "items": impact.items,
            "subjects": impact.subjects,
            "duplicates": impact.duplicates,
            "hits_core": impact.hits_core,
            "shards": sorted({shard.name for shard in shards}),
            "components": sorted({affected.component.name for affected in impact.affected}),
            "releases": sorted({f"{hit.release.name}@{hit.release.alias}" for hit in impact.releases}),
            "licenses": list(words.licenses),
            "sources": list(words.sources),
            "legal_bases": list(words.legal_bases),
            "unknown_licenses": list(words.unknown_licenses),
            "unknown_legal_bases": list(words.unknown_legal_bases),
            "without_basis": sum(not shard.legal_basis for shard in shards),
        },
        "today": today,
    }
    try:
        return _cel().Context(variables=seen)
    except ValueError:
        raise BadRequest(f"request {request.id!r} holds text that is not Unicode; write it again") from None


def _known(name: str, request: RemovalRequest) -> dt.date:
    """Return the day of which a fact is known: the latest on which an event gave it, and receipt at the earliest."""
    return max([request.received, *(event.on for event in request.events if name in event.facts)])


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _short(problem: Exception) -> str:
    """Return a CEL error in one line: its first sentence, and where it stands if it is one of parsing."""
    if isinstance(problem, KeyError):
        return f"nothing is recorded under {problem.args[0]!r}"
    match = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", str(problem))
    text = f"{match[2]} (column {match[1]})" if match else " ".join(str(problem).split()).split(". ")[0]
    return text if len(text) <= 300 else text[:297] + "..."
