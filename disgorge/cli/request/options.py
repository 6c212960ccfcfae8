"""Options that several commands share, and the checks and one-line answers that go with them."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import WrongUse
from policies.request import Standing
from policies.taxonomy import Defect

Id = Annotated[str, typer.Argument(help="Id of the request.", metavar="REQUEST")]
Packs = Annotated[
    Path | None,
    typer.Option("--packs", help="A policy pack, or a folder of them, to judge by instead of those shipped."),
]
Many = list[str] | None
AsksAs = Annotated[Standing | None, typer.Option("--standing", help="In what capacity they ask.")]
Ground = Annotated[Defect | None, typer.Option("--ground", help="What is wrong with the data.")]
Regime = Annotated[
    Many, typer.Option("--regime", help="Under which rules: gdpr, contract, ...; repeat it for several laws at once.")
]
Subject = Annotated[Many, typer.Option("--subject", help="Select a person's items; kept as a pseudonym.")]
Source = Annotated[Many, typer.Option("--source", help="Select by source.")]
Shard = Annotated[Many, typer.Option("--shard", help="Select by shard.")]
Item = Annotated[Many, typer.Option("--item", help="Select by digest.")]
Key = Annotated[Many, typer.Option("--key", help="Select by key.")]
License = Annotated[Many, typer.Option("--license", help="Select by license.")]


def said(as_json: bool, words: str, **value: Any) -> None:
    """Print a value as JSON, or else the words."""
    if as_json:
        show.write_json(value)
    else:
        show.line(words)


def require_name(by: str, does: str) -> None:
    """Raise :class:`WrongUse` unless somebody is named on one line; ``does`` says what they do."""
    if not by.strip() or not by.isprintable():
        raise WrongUse(f"--by must be a name on one line; say who {does}")


def require_reason(reason: str, *, option: str = "--reason") -> None:
    """Raise :class:`WrongUse` unless a reason is given on one line."""
    if not reason.strip() or not reason.isprintable():
        raise WrongUse(f"{option} must be one line of words; say why")


def worker_count() -> int:
    """Return how many processes train at once: ``DISGORGE_WORKERS``, 2 by default."""
    given = os.environ.get("DISGORGE_WORKERS", "2")
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 256:  # more is a typing error
        raise WrongUse(f"DISGORGE_WORKERS is {given!r}; set it to a number of processes from 1 to 256, or unset it")
    return int(given)
