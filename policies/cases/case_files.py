"""Cases in YAML: a request, an impact and a day, and what must be decided.

One file holds ``defaults`` (optional) and ``cases``. A case looks like this; whatever it leaves out comes from the
defaults, and ``expect`` checks only what it names::

    cases:
      - name: an erasure is due within a calendar month
        today: 2027-01-31
        request: {standing: data-subject, ground: privacy, regime: gdpr, received: 2027-01-31,
                  identity_verified: true, selectors: {subject: 7f3a}, facts: {made_public: true}}
        impact: {items: 7, subjects: 1, components: [adapter-3], releases: [digits@live],
                 shards: [{name: holder-3, license: CC-BY-4.0, core: false}]}
        expect: {outcome: granted, guarantee: exact, deadline: 2027-02-28, rules: [gdpr/erasure]}

``events: [{kind: identity-asked, on: 2026-03-04}]`` in a request are what happened since, each with ``facts`` if any.
``packs: [gdpr]`` judges by some of the packs only, ``with_packs`` adds packs written in place, ``extend`` asks for an
extension afterwards. ``expect: {error: TEXT}`` wants a refusal whose message holds the text.
:mod:`policies.cases.run_cases` runs them.

The file of a pack may carry cases of its own in the same form, below its rules; they are judged by that pack alone
unless ``packs`` says otherwise.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lineage.records import (
    Affected,
    Component,
    Composition,
    Impact,
    Release,
    ReleaseHit,
    Selector,
    Shard,
    ShardChange,
    digest_of,
)
from policies.errors import PolicyError
from policies.events import Event
from policies.packs.load import CASE_KEYS
from policies.packs.rules import Strict
from policies.packs.strict_yaml import read_yaml
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect


@dataclass(frozen=True, slots=True)
class ShardFacts(Strict):
    """A shard the impact reaches."""

    name: str
    license: str | None = None
    source: str | None = None
    legal_basis: str | None = None
    core: bool = False


@dataclass(frozen=True, slots=True)
class ImpactFacts(Strict):
    """An impact in short: counts, and names of what is reached. Releases are ``name@alias``."""

    items: int = 1
    subjects: int = 0
    duplicates: int = 0
    shards: tuple[ShardFacts, ...] = ()
    components: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()

    def build(self) -> Impact:
        """Return an impact with records of these names."""
        shards = [
            Shard(digest_of(s.name), s.name, s.source, s.license, s.legal_basis, count=max(self.items, 1), core=s.core)
            for s in self.shards
        ]
        components = [Component(digest_of(name), name, "case", ()) for name in self.components]
        hits = []
        for label in self.releases:
            name, _, alias = label.partition("@")
            composition = Composition("case", {}, ())
            hits.append(ReleaseHit(Release(name, alias or "live", composition.digest), composition))
        return Impact(
            lineage_head="",
            shards=tuple(ShardChange(shard, None, self.items) for shard in shards),
            affected=tuple(Affected(component, ()) for component in components),
            retained=(),
            releases=tuple(hits),
            items=self.items,
            subjects=self.subjects,
            duplicates=self.duplicates,
        )


@dataclass(frozen=True, slots=True)
class RequestFacts(Strict):
    """A request in short; ``selectors`` map a field to a value or to a list of values."""

    standing: Standing
    ground: Defect
    regime: str
    received: dt.date
    selectors: dict[str, str | list[str]]
    id: str = "case"
    identity_verified: bool = False
    legal_hold: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    def build(self) -> RemovalRequest:
        """Return the request; :class:`BadRequest` as when it is filed."""
        selectors = [
            Selector(name, value)
            for name, values in self.selectors.items()
            for value in (values if isinstance(values, list) else [values])
        ]
        request = RemovalRequest(
            id=self.id,
            standing=self.standing,
            ground=self.ground,
            regime=self.regime,
            selectors=tuple(selectors),
            received=self.received,
            identity_verified=self.identity_verified,
            legal_hold=self.legal_hold,
            facts=_plain(self.facts),
        )
        return request.after(replace(event, facts=_plain(event.facts)) for event in self.events)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, dt.date) else value for name, value in facts.items()}


@dataclass(frozen=True, slots=True)
class ExtendFacts(Strict):
    """An extension asked for after the decision."""

    today: dt.date
    reason: str


@dataclass(frozen=True, slots=True)
class Expected(Strict):
    """What a case wants; None checks nothing. Lists want each entry, those of text a part of one.

    ``claims`` are the outcomes of packs' own claims; a duty reads ``by 2026-04-02: ...``; ``no_due`` is a part of the
    sentence why no day runs.
    """

    outcome: str | None = None
    refusal: str | None = None
    category: str | None = None
    owed: bool | None = None
    guarantee: str | None = None
    scope: str | None = None
    deadline: dt.date | None = None
    no_deadline: bool | None = None
    deadlines: dict[str, dt.date | None] = field(default_factory=dict)
    """By the part they are of: the earliest day, None if none can be told."""
    not_before: dt.date | None = None
    counted: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    acknowledge_by: dt.date | None = None
    approvals: int | None = None
    utility_floor: float | None = None
    confinement: str | None = None
    equal_bits: bool | None = None
    families: tuple[str, ...] | None = None
    evidence: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    not_rules: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    claims: dict[str, str] = field(default_factory=dict)
    duties: tuple[str, ...] = ()
    no_duties: tuple[str, ...] = ()
    due: dt.date | None = None
    no_due: str | None = None
    extended: dt.date | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Case(Strict):
    """One case as written, defaults filled in."""

    name: str
    request: RequestFacts
    today: dt.date
    expect: Expected
    impact: ImpactFacts = ImpactFacts()
    packs: tuple[str, ...] | None = None
    with_packs: tuple[dict[str, Any], ...] = ()
    extend: ExtendFacts | None = None


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of a file, and whether it is the file of a pack, which carries them."""

    cases: tuple[Case, ...]
    of_pack: bool


def read_cases(path: Path) -> CaseFile:
    """Return what a file of cases, or the file of a pack, holds.

    The file of a pack may carry none. Raises :class:`PolicyError` naming file, case and field when one is not
    understood.
    """
    from pydantic import TypeAdapter, ValidationError  # read on use: printing help needs no validation

    value = read_yaml(path, PolicyError)
    own: dict[str, Any] = {}
    if isinstance(value, Mapping) and "pack" in value:
        own = {"packs": [value["pack"]]}
        value = {name: value[name] for name in CASE_KEYS if name in value}
        if not value:
            return CaseFile((), of_pack=True)
    if not isinstance(value, Mapping) or set(value) - set(CASE_KEYS) or not isinstance(value.get("cases"), list):
        raise PolicyError(f"{path}: a file of cases has a list `cases` and, if wanted, `defaults`")
    defaults = value.get("defaults") or {}
    if not isinstance(defaults, dict):
        raise PolicyError(f"{path}: `defaults` is a mapping, as a case is")
    adapter = TypeAdapter(Case)
    cases = []
    for number, written in enumerate(value["cases"], start=1):
        if not isinstance(written, Mapping):
            raise PolicyError(f"{path}: case {number} is a mapping with name, request, today and expect")
        name = written.get("name", f"number {number}")
        try:
            cases.append(adapter.validate_python(_merged(own | defaults, written)))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field_name = ".".join(str(part) for part in first["loc"])
            raise PolicyError(f"{path}: case {name!r}: {field_name}: {first['msg']}") from None
    return CaseFile(tuple(cases), of_pack=bool(own))


def _merged(defaults: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case over its defaults, mappings merged one level deep."""
    merged = {**defaults, **written}
    for name in ("request", "impact"):
        base, own = defaults.get(name), written.get(name)
        if isinstance(base, Mapping) and isinstance(own, Mapping):
            merged[name] = {**base, **own}
    return merged
