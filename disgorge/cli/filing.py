"""What somebody types, or writes into request.yaml, becomes a request.

::

    standing: data-subject
    ground: privacy
    regime: gdpr
    received: 2026-11-02
    verified: true
    selectors: {subject: Ada Example, shard: [scans, photographs]}
    facts: {made_public: true}
    particulars: {name: Ada Example, contact: ada@example.org, note: by letter}

A person's name becomes a pseudonym here, before anything is recorded; particulars go to the private folder.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from disgorge.cli.failures import WrongUse
from lineage.records import Json, is_unicode
from policies.request import REGIMES, RemovalRequest, Standing
from policies.taxonomy import Defect

if TYPE_CHECKING:
    from lineage.ledger import Ledger
    from lineage.records import Selector

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_FACT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 1000
"""Characters of a value; a longer one is a file pasted by mistake."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it is asked for, persons still by name."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    standing: Standing
    ground: Defect
    regime: str
    selectors: dict[str, str | list[str]]
    received: dt.date | None = None
    verified: bool = False
    hold: bool = False
    id: str | None = None
    facts: dict[str, str | int | float | bool | dt.date] = field(default_factory=dict)
    particulars: dict[str, str] = field(default_factory=dict)


def read_draft(path: Path) -> Draft:
    """Return the request that a YAML file asks for; :class:`WrongUse` names file and field."""
    from pydantic import TypeAdapter, ValidationError

    from disgorge.cli.failures import fields_of
    from policies.errors import PolicyError
    from policies.yaml_text import read_yaml

    value = read_yaml(path, PolicyError)
    if not isinstance(value, dict):
        raise WrongUse(f"{path}: a request is a mapping with the keys {', '.join(Draft.__slots__)}")
    try:
        return TypeAdapter(Draft).validate_python(value)
    except ValidationError as error:
        raise WrongUse(f"{path}: {fields_of(error)}") from None


def file_draft(ledger: "Ledger", draft: Draft, *, unmatched: bool = False) -> RemovalRequest:
    """Record a draft as a request; nothing is recorded for one that is not well formed, or that selects no item.

    ``unmatched`` records the latter all the same: whoever asked for nothing we hold is owed an answer, too.
    """
    from disgorge.requests import file_request

    if draft.id is not None and not _ID.fullmatch(draft.id):
        raise WrongUse(f"{draft.id!r} is no id for a request; use up to 80 letters, digits, dots, hyphens, underscores")
    _require_line("regime", draft.regime)
    for name, value in draft.particulars.items():
        if not is_unicode(name + value):
            raise WrongUse(f"{name!r} of the particulars is not Unicode; write it in UTF-8")
        if len(value) > 10 * _LONGEST:
            raise WrongUse(f"{name} has {len(value):,} characters; keep it below {10 * _LONGEST:,}")
    selectors = _selectors(ledger, draft.selectors)
    facts = {name: recordable(name, value) for name, value in draft.facts.items()}
    if not unmatched:
        _require_match(ledger, selectors)
    return file_request(
        ledger,
        standing=draft.standing,
        ground=draft.ground,
        regime=draft.regime,
        selectors=selectors,
        received=draft.received,
        identity_verified=draft.verified,
        legal_hold=draft.hold,
        facts=facts,
        particulars={name: value for name, value in draft.particulars.items() if value},
        request_id=draft.id,
    )


def _require_match(ledger: "Ledger", selectors: "Sequence[Selector]") -> None:
    from disgorge.kept_by_others import keepers
    from lineage.catalog import Catalog

    if not selectors or not all(selector.value for selector in selectors):
        return  # what is not well formed is for the request itself to refuse
    with Catalog.of(ledger) as catalog:
        if catalog.selected(selectors):
            return
    asked = ", ".join(f"{selector.field} {_shown(selector)}" for selector in selectors)
    kept = "".join(f"; {words}" for words in keepers(ledger, selectors))
    raise WrongUse(
        f"no item is selected by {asked}; correct it, or record the request all the same with --unmatched, to be "
        f"denied as no-match{kept}"
    )


def doubts(ledger: "Ledger", request: RemovalRequest) -> tuple[str, ...]:
    """Return in words what looks mistaken about a recorded request: selectors without items, its regime."""
    from disgorge.kept_by_others import keepers
    from disgorge.particulars import selectors_of
    from lineage.catalog import Catalog

    selectors = selectors_of(ledger, request)
    with Catalog.of(ledger) as catalog:
        alone = [selector for selector in selectors if not catalog.selected([selector])]
        nothing = not catalog.selected(selectors)
    found = [f"nothing is selected by {selector.field} {_shown(selector)}" for selector in alone]
    if nothing and not alone:
        found.append("no item has all that is selected by together; selectors of different fields must all hold")
    if nothing:
        found[-1] += "; the request is recorded and will be denied as no-match"
        found += keepers(ledger, selectors)
    if request.regime not in REGIMES:
        known = ", ".join(REGIMES)
        found.append(
            f"no pack that comes with this covers the regime {request.regime!r} (there are {known}): decide it by your "
            f"own with --packs, or file it anew"
        )
    return tuple(found)


def parse_date(text: str | None, *, option: str) -> dt.date | None:
    """Return the date that an option gives."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{option} {text!r} is no date; write it as YYYY-MM-DD") from None


def parse_facts(given: Iterable[str]) -> dict[str, str | int | float | bool | dt.date]:
    """Return facts from ``name=value``: true, false and numbers are taken as such, everything else is text.

    >>> parse_facts(["made_public=true", "order_deadline=2026-12-01", "days=30"])
    {'made_public': True, 'order_deadline': '2026-12-01', 'days': 30}
    """
    facts: dict[str, str | int | float | bool | dt.date] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not _FACT_NAME.fullmatch(name):
            raise WrongUse(f"--fact {text!r} is no fact; write it as name=value")
        if name in facts:
            raise WrongUse(f"--fact {name} is given twice; give it once")
        facts[name] = _scalar(value)
    return facts


def _scalar(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})", text):  # fewer digits than 2**53 has: JSON carries it exactly
        return int(text)
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}", text):
        return float(text)
    return text


def recordable(name: str, value: str | int | float | bool | dt.date) -> Json:
    """Return a fact as canonical JSON can carry it."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str):
        _require_line(f"the fact {name}", value)
    elif isinstance(value, int | float) and not -(2**53) < value < 2**53:  # which NaN is not between, either
        raise WrongUse(f"the fact {name} is {value}; give a finite number below 2**53")
    return value


def _selectors(ledger: "Ledger", given: Mapping[str, str | list[str]]) -> "list[Selector]":
    """Return the selectors, a person's name turned into the pseudonym that manifests hold."""
    from lineage.records import Selector

    found = []
    for name, values in given.items():
        for value in [values] if isinstance(values, str) else values:
            _require_line(name, value)
            if name == "subject" and value:
                found += [Selector(name, pseudonym) for pseudonym in _pseudonyms(ledger, value)]
            else:
                found.append(Selector(name, value))
    return found


def _pseudonyms(ledger: "Ledger", name: str) -> list[str]:
    """Return a person's pseudonym, and that of the name as it is spelled where an older manifest holds it."""
    from lineage.catalog import Catalog
    from lineage.records import Selector

    pseudonym, spelled = ledger.pseudonym(name), ledger.keyed(name)
    if spelled == pseudonym:
        return [pseudonym]
    with Catalog.of(ledger) as catalog:
        older = bool(catalog.selected([Selector("subject", spelled)]))
    return [pseudonym, spelled] if older else [pseudonym]


def _require_line(name: str, value: str) -> None:
    if len(value) > _LONGEST or not value.isprintable():
        raise WrongUse(f"{name} {value[:40]!r} must be one line of at most {_LONGEST:,} printable characters")


def _shown(selector: "Selector") -> str:
    """Return a selector's value as a warning may show it: a person's is a pseudonym, and said to be one."""
    return f"(pseudonym {selector.value[:12]})" if selector.field == "subject" else repr(selector.value)
