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

from disgorge.cli.output.errors import WrongUse
from lineage.records import is_unicode
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect

if TYPE_CHECKING:
    from lineage.records import Selector
    from lineage.workspace import Workspace
    from policies.packs.rules import Pack

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_FACT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 1000
"""Characters of a value; a longer one is a file pasted by mistake."""


Fact = str | int | float | bool | dt.date
"""A fact as somebody writes it; the packs say of what type it is."""


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
    facts: dict[str, Fact] = field(default_factory=dict)
    particulars: dict[str, str] = field(default_factory=dict)


def read_draft(path: Path) -> Draft:
    """Return the request that a YAML file asks for; :class:`WrongUse` names file and field."""
    from pydantic import TypeAdapter, ValidationError

    from disgorge.cli.output.errors import fields_of
    from policies.errors import PolicyError
    from policies.packs.strict_yaml import read_yaml

    value = read_yaml(path, PolicyError)
    if not isinstance(value, dict):
        raise WrongUse(f"{path}: a request is a mapping with the keys {', '.join(Draft.__slots__)}")
    try:
        return TypeAdapter(Draft).validate_python(value)
    except ValidationError as error:
        raise WrongUse(f"{path}: {fields_of(error)}") from None


def file_draft(
    workspace: "Workspace", draft: Draft, *, unmatched: bool = False, packs: "Sequence[Pack] | None" = None
) -> RemovalRequest:
    """Record a draft as a request; nothing is recorded for one that is not well formed, or that selects no item.

    ``unmatched`` records the latter all the same: whoever asked for nothing we hold is owed an answer, too. ``packs``
    say which facts and regimes there are.
    """
    from disgorge.request.workflow.filing import file_request
    from policies.packs.facts import regime_named, require_regimes, typed_facts
    from policies.packs.load import load_packs

    packs = load_packs() if packs is None else packs
    if draft.id is not None and not _ID.fullmatch(draft.id):
        raise WrongUse(f"{draft.id!r} is no id for a request; use up to 80 letters, digits, dots, hyphens, underscores")
    require_line("regime", draft.regime)
    for name, value in draft.particulars.items():
        if not is_unicode(name + value):
            raise WrongUse(f"{name!r} of the particulars is not Unicode; write it in UTF-8")
        if len(value) > 10 * _LONGEST:
            raise WrongUse(f"{name} has {len(value):,} characters; keep it below {10 * _LONGEST:,}")
    regime = regime_named(draft.regime, packs)
    require_regimes([regime], packs, ground=draft.ground)
    facts = typed_facts(checked_lines(draft.facts), packs)
    selectors = selectors_from(workspace, draft.selectors)
    if not unmatched:
        require_match(workspace, selectors)
    return file_request(
        workspace,
        standing=draft.standing,
        ground=draft.ground,
        regime=regime,
        selectors=selectors,
        received=draft.received,
        identity_verified=draft.verified,
        legal_hold=draft.hold,
        facts=facts,
        particulars={name: value for name, value in draft.particulars.items() if value},
        request_id=draft.id,
        packs=packs,
    )


def require_match(workspace: "Workspace", selectors: "Sequence[Selector]") -> None:
    """Raise :class:`WrongUse` for selectors that select no item, and that no request asked for before."""
    from disgorge.removal.conflicts import keepers
    from disgorge.request.history.earlier import asked_before
    from lineage.catalog.catalog import Catalog

    if not selectors or not all(selector.value for selector in selectors):
        return  # what is not well formed is for the request itself to refuse
    with Catalog.of(workspace) as catalog:
        if catalog.selected(selectors):
            return
    if asked_before(workspace, selectors):
        return  # no mistake in typing: it is asked again
    asked = ", ".join(f"{selector.field} {_shown(selector)}" for selector in selectors)
    kept = "".join(f"; {words}" for words in keepers(workspace, selectors))
    raise WrongUse(
        f"no item is selected by {asked}; correct it, or record the request all the same with --unmatched, to be "
        f"denied as no-match{kept}"
    )


def doubts(workspace: "Workspace", request: RemovalRequest) -> tuple[str, ...]:
    """Return in words what looks mistaken about a recorded request: selectors without items."""
    from disgorge.removal.conflicts import keepers
    from disgorge.request.particulars import selectors_of
    from lineage.catalog.catalog import Catalog

    selectors = selectors_of(workspace, request)
    with Catalog.of(workspace) as catalog:
        alone = [selector for selector in selectors if not catalog.selected([selector])]
        nothing = not catalog.selected(selectors)
    found = [f"nothing is selected by {selector.field} {_shown(selector)}" for selector in alone]
    if nothing and not alone:
        found.append("no item has all that is selected by together; selectors of different fields must all hold")
    if nothing:
        found[-1] += "; the request is recorded and will be denied as no-match"
        found += keepers(workspace, selectors)
    return tuple(found)


def parse_date(text: str | None, *, option: str) -> dt.date | None:
    """Return the date that an option gives."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{option} {text!r} is no date; write it as YYYY-MM-DD") from None


def parse_facts(given: Iterable[str]) -> dict[str, Fact]:
    """Return facts from ``name=value``, each as the text it is; the packs say whether it is a number, a date, a yes.

    >>> parse_facts(["made_public=yes", "order_deadline=2026-12-01", "order_reference=0123"])
    {'made_public': 'yes', 'order_deadline': '2026-12-01', 'order_reference': '0123'}
    """
    facts: dict[str, Fact] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not _FACT_NAME.fullmatch(name):
            raise WrongUse(f"--fact {text!r} is no fact; write it as name=value")
        if name in facts:
            raise WrongUse(f"--fact {name} is given twice; give it once")
        facts[name] = value
    return facts


def one_regime(regimes: Sequence[str], facts: Mapping[str, Fact]) -> tuple[str, dict[str, Fact]]:
    """Return the first regime, and the facts with the others as those that the request is also under.

    >>> one_regime(["gdpr", "ccpa"], {})
    ('gdpr', {'also_under': 'ccpa'})
    """
    first, *others = regimes
    if not others:
        return first, dict(facts)
    named = [*str(facts.get("also_under", "")).split(","), *others]
    return first, {**facts, "also_under": ", ".join(dict.fromkeys(name.strip() for name in named if name.strip()))}


def checked_lines(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """Return facts; :class:`WrongUse` for text of several lines or without an end."""
    for name, value in facts.items():
        if isinstance(value, str):
            require_line(f"the fact {name}", value)
    return dict(facts)


def selectors_from(workspace: "Workspace", given: Mapping[str, str | list[str]]) -> "list[Selector]":
    """Return the selectors: a person's name as the pseudonym that manifests hold, a license as they spell it."""
    from lineage.records import Selector

    found = []
    for name, values in given.items():
        for value in [values] if isinstance(values, str) else values:
            require_line(name, value)
            if name == "subject" and value:
                found += [Selector(name, pseudonym) for pseudonym in _pseudonyms(workspace, value)]
            elif name == "license" and value:
                found += [Selector(name, spelled) for spelled in _spellings(workspace, value)]
            else:
                found.append(Selector(name, value))
    return found


def _pseudonyms(workspace: "Workspace", name: str) -> list[str]:
    """Return a person's pseudonym, and that of the name as it is spelled where an older manifest holds it."""
    from lineage.catalog.catalog import Catalog
    from lineage.records import Selector

    pseudonym, spelled = workspace.pseudonym(name), workspace.keyed(name)
    if spelled == pseudonym:
        return [pseudonym]
    with Catalog.of(workspace) as catalog:
        older = bool(catalog.selected([Selector("subject", spelled)]))
    return [pseudonym, spelled] if older else [pseudonym]


def _spellings(workspace: "Workspace", license: str) -> list[str]:
    """Return every spelling in which live items have a license; the one that is given if none has it."""
    from lineage.catalog.catalog import Catalog
    from policies.vocabulary.licenses import normalized

    name = normalized(license)
    with Catalog.of(workspace) as catalog:
        held = catalog.licenses()
    same = [spelled for spelled in held if spelled == license or (name and normalized(spelled) == name)]
    return same or [license]


def require_line(name: str, value: str) -> None:
    """Raise :class:`WrongUse` unless a value is one line that can be printed."""
    if len(value) > _LONGEST or not value.isprintable():
        raise WrongUse(f"{name} {value[:40]!r} must be one line of at most {_LONGEST:,} printable characters")


def _shown(selector: "Selector") -> str:
    """Return a selector's value as a warning may show it: a person's is a pseudonym, and said to be one."""
    return f"(pseudonym {selector.value[:12]})" if selector.field == "subject" else repr(selector.value)
