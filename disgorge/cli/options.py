"""Options that several verbs share, and the parsing of their values."""

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from disgorge.api import Defect, Scope, Standing
from disgorge.errors import WrongUse

Many = list[str] | None
Text = str | None


def option(flag: str, help: str, *more: str, **terms: Any) -> Any:
    """Return an option of a verb, with what ``--help`` says of it."""
    return typer.Option(flag, *more, help=help, **terms)


def argument(metavar: str, help: str, **terms: Any) -> Any:
    """Return an argument of a verb, with what ``--help`` says of it."""
    return typer.Argument(metavar=metavar, help=help, **terms)


AsJson = Annotated[bool, option("--json", "Print JSON and nothing else.")]
"""The option every verb but the demo has."""
Id = Annotated[str, argument("REQUEST", "Id of the request.")]
Packs = Annotated[
    Path | None, option("--packs", "A policy pack, or a folder of them, to judge by instead of those shipped.")
]
References = Annotated[bool, option("--all", "List references of probes too; JSON always has them.")]
Svg = Annotated[Path | None, option("--svg", "Also draw the lineage into this file.")]

AsksAs = Annotated[Standing | None, option("--standing", "In what capacity they ask.")]
Ground = Annotated[Defect | None, option("--ground", "What is wrong with the data.")]
Regime = Annotated[
    Many, option("--regime", "Under which rules: gdpr, contract, ...; repeat it for several laws at once.")
]
Subject = Annotated[Many, option("--subject", "Select a person's items, by name or id; kept as a pseudonym.")]
Source = Annotated[Many, option("--source", "Select by source.")]
Shard = Annotated[Many, option("--shard", "Select by shard.")]
ByArtifact = Annotated[Many, option("--artifact", "Select an artifact, by name or digest.")]
Item = Annotated[Many, option("--item", "Select by digest.")]
Key = Annotated[Many, option("--key", "Select by key.")]
License = Annotated[Many, option("--license", "Select by license.")]
Unmatched = Annotated[bool, option("--unmatched", "Record it though it selects no item.")]

_FOR_GOOD = "Why; no personal data, it is recorded for good."
Reason = Annotated[str, option("--reason", _FOR_GOOD)]
MaybeReason = Annotated[Text, option("--reason", _FOR_GOOD)]
Because = Annotated[str, option("--because", _FOR_GOOD)]
By = Annotated[str, option("--by", "Who says so, as typed; kept as a pseudonym.")]
MaybeBy = Annotated[Text, option("--by", "Who says so, as typed; kept as a pseudonym.")]
ToScope = Annotated[Scope | None, option("--scope", "Carry out more than is owed: influence or whole-lineage.")]

_FACT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def selected(**given: Many) -> dict[str, str | list[str]]:
    """Return the selectors that were given, by field."""
    return {field: values for field, values in given.items() if values}


def parse_date(text: str | None, *, option: str) -> dt.date | None:
    """Return the date that an option gives."""
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{option}: invalid date {text!r}: use YYYY-MM-DD") from None


def parse_facts(given: Iterable[str] | None) -> dict[str, str]:
    """Return facts from ``name=value``, each as the text it is; the packs say whether it is a number, a date, a yes.

    >>> parse_facts(["made_public=yes", "order_deadline=2026-12-01", "order_reference=0123"])
    {'made_public': 'yes', 'order_deadline': '2026-12-01', 'order_reference': '0123'}
    """
    facts: dict[str, str] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not _FACT_NAME.fullmatch(name):
            raise WrongUse(f"invalid --fact {text!r}: use name=value")
        if name in facts:
            raise WrongUse(f"--fact {name} is given twice; give it once")
        facts[name] = value
    return facts
