"""Drafts of requests, typed or written into request.yaml, before they are recorded.

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unicodedata import normalize

from pydantic import TypeAdapter, ValidationError

from disgorge.errors import WrongUse
from lineage.catalog.catalog import Catalog
from lineage.errors import fields_of
from lineage.formats.subjects import whole_numbers
from lineage.records import Selector
from lineage.workspace import Workspace
from policies.errors import PolicyError
from policies.packs.strict_yaml import read_yaml
from policies.request import Standing
from policies.taxonomy import Defect
from policies.vocabulary.licenses import normalized

Value = TypeVar("Value")

LONGEST = 1000
"""Characters of a value; a longer one is a file pasted by mistake."""
Fact = str | int | float | bool | dt.date
"""A fact as it is written; the packs say of what type it is."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request before it is recorded, persons still by name."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    standing: Standing
    ground: Defect
    regime: str | list[str]
    selectors: dict[str, str | list[str]]
    received: dt.date | None = None
    verified: bool = False
    hold: bool = False
    id: str | None = None
    facts: dict[str, Fact] = field(default_factory=dict)
    particulars: dict[str, str] = field(default_factory=dict)


def read_draft(path: Path) -> Draft:
    """Return the request that a YAML file asks for; :class:`WrongUse` names file and field."""
    value = read_yaml(path, PolicyError)
    if not isinstance(value, dict):
        raise WrongUse(f"{path}: a request is a mapping with the keys {', '.join(Draft.__slots__)}")
    try:
        return TypeAdapter(Draft).validate_python(value)
    except ValidationError as error:
        raise WrongUse(f"{path}: {fields_of(error)}") from None


def one_regime(regimes: str | Sequence[str], facts: Mapping[str, Fact]) -> tuple[str, dict[str, Fact]]:
    """Return the first regime, and the facts with the others as those that the request is also under.

    >>> one_regime(["gdpr", "ccpa"], {})
    ('gdpr', {'also_under': 'ccpa'})
    """
    first, *others = [regimes] if isinstance(regimes, str) else regimes
    if not others:
        return first, dict(facts)
    named = [*str(facts.get("also_under", "")).split(","), *others]
    return first, {**facts, "also_under": ", ".join(dict.fromkeys(name.strip() for name in named if name.strip()))}


def selectors_from(workspace: Workspace, given: Mapping[str, str | list[str]]) -> list[Selector]:
    """Return the selectors: a person by keyed marks of the name or the id, a license as manifests spell it."""
    selectors = []
    for name, values in given.items():
        for value in [values] if isinstance(values, str) else values:
            require_line(name, value)
            if name == "subject" and value:
                selectors.append(_subject(workspace, value))
            elif name == "key" and value:
                selectors.append(Selector(name, normalize("NFC", value)))
            elif name == "license" and value:
                selectors += [Selector(name, spelled) for spelled in _spellings(workspace, value)]
            else:
                selectors.append(Selector(name, value))
    return selectors


def _subject(workspace: Workspace, typed: str) -> Selector:
    """Return what selects a person, an id that is typed as ``7.0`` by ``7`` where no item has it as it is typed."""
    selector = Selector("subject", workspace.subject(typed))
    if (whole := whole_numbers([typed.strip()])) and whole[0]:
        with Catalog.of(workspace) as catalog:
            if not catalog.selected([selector]):
                return Selector("subject", workspace.subject(whole[0]))
    return selector


def _spellings(workspace: Workspace, license: str) -> list[str]:
    """Return every spelling in which live items have a license; the one that is given if none has it."""
    name = normalized(license)
    with Catalog.of(workspace) as catalog:
        held = (*catalog.licenses(), *(artifact.license for artifact in catalog.artifacts()))
    same = [spelled for spelled in held if spelled == license or (name and normalized(spelled) == name)]
    return same or [license]


def require_line(name: str, value: str) -> None:
    """Raise :class:`WrongUse` unless a value is one line that can be printed."""
    if len(value) > LONGEST or not value.isprintable():
        raise WrongUse(f"{name} {value[:40]!r} must be one line of at most {LONGEST:,} printable characters")


def checked_lines(facts: Mapping[str, Value]) -> dict[str, Value]:
    """Return facts; :class:`WrongUse` for text of several lines or without an end."""
    for name, value in facts.items():
        if isinstance(value, str):
            require_line(f"the fact {name}", value)
    return dict(facts)
