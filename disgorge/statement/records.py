"""The records of a bundle, each in a file of its own, and the strict reader that restores them.

A record has one byte form only, canonical JSON (RFC 8785). Whatever else the bytes are (other white space, doubled
keys, NaN, numbers beyond what JSON carries exactly, a thousand brackets, no UTF-8) is refused with the file's name, and
with nothing of what Python would say.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from hashlib import sha256
from typing import Any, get_type_hints

from disgorge.errors import BundleBroken
from disgorge.evidence.checks import Evidence
from disgorge.plan.plan import Plan
from lineage.records import LEFT_OUT, Composition, Impact, Json, canonical, restore
from policies.decision import Decision
from policies.request import RemovalRequest

AGAIN = "ask for the report again"
SLICE = "ledger-slice.jsonl"
_FACT = {"seq": int, "at": str, "kind": str, "body": dict, "previous": str, "digest": str}


@dataclass(frozen=True, slots=True)
class RecipeNote:
    """How a component of a new composition came to be: all it takes to make it again, and what it ran on.

    Either is ``{}`` if it was not recorded. ``artifacts`` are the names of those that it used, by digest.
    """

    component: str
    name: str
    kind: str
    recipe: dict[str, Json]
    environment: dict[str, Json] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict, metadata={LEFT_OUT: True})

    def uses(self, kind: str) -> tuple[str, ...]:
        """Return the digests that the recipe reads of one kind, ``shard``, ``component`` or ``artifact``."""
        return tuple(use["digest"] for use in self.recipe.get("uses", []) if use["of"] == kind)


@dataclass(frozen=True, slots=True)
class RetainedShard:
    """A shard that recipes read: what it is called, how many items it has, and its hash in DVC if it has one."""

    digest: str
    name: str
    count: int
    dvc: str | None


@dataclass(frozen=True, kw_only=True)
class Records:
    """What was asked, decided, planned, measured and made, as a bundle holds it: ``plan`` in ``plan.json``.

    ``compositions`` are the new ones by release, ``recipes`` those of all their components, ``inputs`` the shards that
    these read. ``facts`` are the ledger's about the request, each with seq, at, kind, body, previous and digest.
    """

    request: RemovalRequest
    decision: Decision
    plan: Plan
    evidence: Evidence
    impact: Impact
    compositions: dict[str, Composition]
    recipes: tuple[RecipeNote, ...]
    inputs: tuple[RetainedShard, ...]
    facts: tuple[dict[str, Json], ...]

    @property
    def steps_done(self) -> frozenset[str]:
        """The ids of the plan's steps whose completion the ledger recorded."""
        bodies = [fact["body"] for fact in self.facts if fact["kind"] in ("step", "fulfilled")]
        return frozenset(body["step"] for body in bodies if body.get("plan") == self.plan.digest)

    def files(self) -> dict[str, bytes]:
        """Return each record's canonical JSON by the name of its file; ``ValueError`` for what JSON cannot carry."""
        whole = replace(self, plan=self.plan.whole)
        files = {name: canonical(getattr(whole, attribute)) for name, (attribute, _) in record_files().items()}
        return files | {SLICE: b"".join(canonical(fact) + b"\n" for fact in self.facts)}

    @classmethod
    def read(cls, members: Mapping[str, bytes]) -> "Records":
        """Return the records that a bundle's members hold, each written exactly as such a record is."""
        records = {attribute: _record(kind, name, members) for name, (attribute, kind) in record_files().items()}
        return Records(**records, facts=facts_of_slice(members[SLICE]))


@cache
def record_files() -> dict[str, tuple[str, Any]]:
    """Return the field of :class:`Records` and its type by the name of the file that holds it, but for the facts."""
    hints = get_type_hints(Records)
    return {f"{each.name}.json": (each.name, hints[each.name]) for each in fields(Records) if each.name != "facts"}


def facts_of_slice(data: bytes) -> tuple[dict[str, Json], ...]:
    """Return the facts of the slice, each hashed again, and in the chain's order."""
    facts: list[dict[str, Json]] = []
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise BundleBroken(f"{SLICE} is cut off; {AGAIN}")
    for number, line in enumerate(lines, start=1):
        where = f"{SLICE} line {number}"
        fact = strictly(line, lambda value: value, where, "JSON that can be read")
        if not isinstance(fact, dict) or {name: type(value) for name, value in fact.items()} != _FACT:
            raise BundleBroken(f"{where} is not a fact; {AGAIN}")
        rest = canonical({name: value for name, value in fact.items() if name != "digest"})
        if sha256(rest).hexdigest() != fact["digest"]:
            raise BundleBroken(f"{where} does not match its digest in the chain; {AGAIN}")
        last = facts[-1]["seq"] if facts else 0
        if fact["seq"] <= last:
            raise BundleBroken(f"{where} is out of order; {AGAIN}")
        if facts and fact["seq"] == last + 1 and fact["previous"] != facts[-1]["digest"]:
            raise BundleBroken(f"{where} does not follow the line before it; {AGAIN}")
        facts.append(fact)
    return tuple(facts)


def _record(kind: Any, name: str, members: Mapping[str, bytes]) -> Any:
    return strictly(members[name], lambda value: restore(kind, value), name, f"a valid {name.removesuffix('.json')}")


def strictly(data: bytes, read: Callable[[Json], Any], name: str, what: str) -> Any:
    """Return what ``read`` makes of the JSON in ``data``, which must be its canonical form."""
    try:
        value = read(json.loads(data))
        same = canonical(value) == data
    except Exception as error:  # ValueError, RecursionError, pydantic's and rfc8785's own: all mean the same
        raise BundleBroken(f"{name} does not hold {what} ({type(error).__name__}); {AGAIN}") from error
    if not same:
        raise BundleBroken(f"{name} is not written in canonical form; {AGAIN}")
    return value
