"""Rule packs, loaded and checked: YAML files of rules with conditions, citations and dates.

A pack that is not entirely understood is refused: an unknown field, a condition that does not parse, names nothing
known or compares with a word that never occurs, a rule used twice, no rule at all. The error names the file, the rule
and the field. Packs are data: add one by putting a file into a folder (``disgorge policy new`` begins one);
:func:`packs_digest` tells in every decision which rules it was made by.

A pack is one file. What differs by state stands in a table, with one rule for all rows (:mod:`policies.packs.tables`).
Cases may stand below the rules, under ``defaults`` and ``cases`` as in a file of cases
(:mod:`policies.cases.case_files`): they are no part of the rules or the digest, so that a new case outdates no
decision, and ``disgorge policy test`` runs them.

The shipped packs are checked by the tests. Loading them checks their fields, not again every condition and calendar:
that takes longer than all the rest, and a condition that did not parse would still send to a person.

>>> print(*(pack.pack for pack in load_packs()))  # doctest: +NORMALIZE_WHITESPACE
brazil ccpa contract copyright court-order delete-act eu-authority-order eu-copyright gdpr quality quebec
regulator-order uk-gdpr us-states
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.records import digest_of
from policies.errors import BadPack
from policies.packs.calendars import require_calendar
from policies.packs.conditions import parse
from policies.packs.rules import RESERVED_FACTS, Deadline, FactSpec, Pack
from policies.packs.strict_yaml import read_yaml
from policies.packs.tables import expanded
from policies.packs.words import require_words

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SHIPPED = Path(__file__).parent
"""Folder of the packs that come with the software."""
CASE_KEYS = ("defaults", "cases")
"""The keys of a file of cases, which the file of a pack may have beside its own."""


def load_pack(path: Path) -> Pack:
    """Return the pack in a YAML file; :class:`BadPack` naming file, rule and field when it cannot be used."""
    return pack_of(_read(path), name=str(path))


def load_packs(source: Path | Sequence[Path] | None = None) -> tuple[Pack, ...]:
    """Return the packs of a folder or of the files given, sorted by name; the shipped ones for None.

    Raises :class:`BadPack` for a folder without a pack, two packs of one name, or a fact two packs define differently.
    """
    if source is None:
        return _shipped()
    return agree((load_pack(path), path.name) for path in pack_files(source))


def pack_files(source: Path | Sequence[Path] | None = None) -> tuple[Path, ...]:
    """Return the files that :func:`load_packs` reads."""
    if source is None:
        source = SHIPPED
    if isinstance(source, Path) and source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix in {".yaml", ".yml"})
    else:
        paths = [source] if isinstance(source, Path) else list(source)
    if not paths:
        raise BadPack(f"{source}: no pack (*.yaml) here; give a folder with at least one")
    return tuple(paths)


@cache
def _shipped() -> tuple[Pack, ...]:
    return agree((_unchecked(_read(path), str(path)), path.name) for path in pack_files())


def _read(path: Path) -> Any:
    """Return what a file says beside the cases it carries."""
    value = read_yaml(path, BadPack)
    return {key: each for key, each in value.items() if key not in CASE_KEYS} if isinstance(value, Mapping) else value


def agree(named: Iterable[tuple[Pack, str]]) -> tuple[Pack, ...]:
    """Return packs sorted by name; :class:`BadPack` if two have one name or define one fact differently."""
    origin: dict[str, str] = {}
    facts: dict[str, tuple[FactSpec, str]] = {}
    packs = []
    for pack, where in named:
        if pack.pack in origin:
            raise BadPack(f"{where}: a pack named {pack.pack} is in {origin[pack.pack]} too; rename one")
        origin[pack.pack] = where
        for name, spec in pack.facts.items():
            known, other = facts.setdefault(name, (spec, where))
            if (known.type, known.one_of) != (spec.type, spec.one_of):
                raise BadPack(f"{where}: facts.{name} is {spec.said} here and {known.said} in {other}; rename one")
        packs.append(pack)
    return tuple(sorted(packs, key=lambda pack: pack.pack))


def packs_digest(packs: Sequence[Pack]) -> str:
    """Return the digest of a set of packs, in any order."""
    return digest_of(sorted(pack.digest for pack in packs))


def pack_of(value: Any, *, name: str) -> Pack:
    """Return the pack that plain data describes, checked; ``name`` says in errors where it came from."""
    pack = _unchecked(value, name)
    facts = {**RESERVED_FACTS, **pack.facts}
    _check_condition(pack.applies, facts, f"{name}: applies")
    for rule in pack.rules:
        where = f"{name}: rule {rule.id}"
        _check_condition(rule.when, facts, f"{where}: when")
        for label, deadline in rule.then.periods:
            _check_deadline(deadline, facts, f"{where}: then.{label}")
    return pack


def _unchecked(value: Any, name: str) -> Pack:
    """Return a pack whose fields are checked and whose conditions and calendars are not."""
    from pydantic import ValidationError  # read on use: printing help needs no validation

    if not isinstance(value, Mapping):
        raise BadPack(f"{name}: a pack is a mapping with the keys pack, title, version, applies and rules")
    written = expanded(value, name=name)
    try:
        return _reader().validate_python(written)
    except ValidationError as error:
        raise BadPack(f"{name}: {_problems(error.errors(include_url=False), written)}") from None


@cache
def _reader() -> "TypeAdapter[Pack]":
    from pydantic import TypeAdapter

    return TypeAdapter(Pack)


def _check_condition(text: str, facts: Mapping[str, FactSpec], where: str) -> None:
    try:
        parse(text, facts=facts)
        require_words(text)
    except BadPack as problem:
        raise BadPack(f"{where}: {problem}") from None


def _check_deadline(deadline: Deadline, facts: Mapping[str, FactSpec], where: str) -> None:
    for label, fact, wanted in (("fact", deadline.fact, "date"), ("days_fact", deadline.days_fact, "int")):
        if fact is not None and (fact not in facts or facts[fact].type != wanted):
            raise BadPack(f"{where}.{label}: declare the fact {fact} under `facts` with type {wanted}")
    if deadline.calendar is not None:
        try:
            require_calendar(deadline.calendar)
        except BadPack as problem:
            raise BadPack(f"{where}.calendar: {problem}") from None


def _problems(errors: Sequence[Any], value: Mapping[str, Any]) -> str:
    """Return validation errors in one line: rule by its id, field by its path, what is allowed."""
    said = list(dict.fromkeys(_problem(error, value) for error in errors))
    return "; ".join([*said[:3], *([f"and {len(said) - 3} more"] if len(said) > 3 else [])])


def _problem(error: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    path = list(error["loc"])
    where = ""
    if len(path) >= 2 and path[0] == "rules" and isinstance(path[1], int):
        number, path = path[1], path[2:]
        rule = value["rules"][number]
        named = isinstance(rule, Mapping) and "id" in rule
        where = f"rule {rule['id']}: " if named else f"rule number {number + 1}: "
    text = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        text = "unknown field; take it out or correct its name"
    elif error["type"] in {"missing", "missing_argument"}:
        text = "is missing"
    elif error["type"] in {"bool_parsing", "bool_type"}:
        text = f"invalid value {error['input']!r}: write true or false"
    elif error["type"] in {"enum", "literal_error"}:
        text = f"{error['input']!r} is unknown; {text[0].lower()}{text[1:]}"
    dotted = ".".join(str(part) for part in path)
    return f"{where}{dotted}: {text}" if dotted else f"{where}{text}"
