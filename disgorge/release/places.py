"""Places that serve a release and cannot be stopped from here: recorded ones, and unexplained registered models.

A place is a URL or a path. It stands in the ledger for good, so it must name no person and hold no password; who said
so is kept as a pseudonym. Recorded as stopped it is a place no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote

from disgorge.errors import DisgorgeError
from disgorge.facts import ReleaseServedAtFact
from disgorge.locations.mlflow import unexplained_in
from disgorge.tracking.client import without_secrets
from disgorge.tracking.registered import listed
from lineage.errors import BadInput, UnknownRecord
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import said
from lineage.records import is_unicode
from lineage.workspace import Workspace

KIND = "release-served-at"
_MOST = 2000
"""Characters of a place, about what browsers take for a URL."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a release is served; ``since`` is the day it was recorded."""

    place: str
    since: str


def record_place(workspace: Workspace, name: str, alias: str, place: str, *, by: str, stopped: bool = False) -> bool:
    """Record that a release is served there, or no more; False if that is what was recorded last.

    Raises :class:`~lineage.errors.BadInput` for what is no place or holds a password, and
    :class:`~lineage.errors.UnknownRecord` for stopping what was not recorded.
    """
    place = place.strip()
    if not place or len(place) > _MOST or not place.isprintable() or not is_unicode(place):
        raise BadInput(f"{place[:40]!r} is not a URL or path; give one printable line of up to {_MOST:,} characters")
    if "://" in place and (without_secrets(place) != place or "?" in place or "#" in place):
        raise BadInput(
            "the URL has a user name, password or query in it, and the ledger keeps it for good; give it without"
        )
    places = {each.place for each in places_of(workspace.ledger.facts()).get((name, alias), ())}
    if (place in places) != stopped:
        if stopped:
            raise UnknownRecord(
                f"{place} is not recorded as serving {name}@{alias}; `disgorge release list --all` shows what is"
            )
        return False
    workspace.ledger.record(ReleaseServedAtFact(name, alias, place, workspace.pseudonym(by), stopped))
    return True


def places_of(facts: Iterable[Fact]) -> dict[tuple[str, str], tuple[Place, ...]]:
    """Return where each release, by name and alias, is served besides, in the order in which it was recorded."""
    found: dict[tuple[str, str], dict[str, Place]] = {}
    for fact, served in said(facts, ReleaseServedAtFact):
        places = found.setdefault((served.name, served.alias), {})
        if served.stopped:
            places.pop(served.place, None)
        else:
            places[served.place] = Place(served.place, fact.at[:10])
    return {release: tuple(places.values()) for release, places in found.items() if places}


def served_besides(workspace: Workspace, name: str, alias: str) -> list[str]:
    """Return in words where a release is served that is to be stopped."""
    return [
        f"{name}@{alias} is served at {each.place} as well, as recorded on {each.since}, which cannot be stopped from "
        f"here; stop it there, then run `disgorge release serve-at {name}@{alias} {quote(each.place)} --stopped "
        f"--by NAME`"
        for each in places_of(workspace.ledger.facts()).get((name, alias), ())
    ]


def unexplained_besides(workspace: Workspace) -> list[str]:
    """Return in words which models of MLflow's registry may be affected as well; their names are not for the ledger."""
    try:
        models = unexplained_in(workspace)
    except DisgorgeError as problem:
        return [f"models in MLflow that no recorded composition explains could not be looked for: {problem}"]
    return (
        [f"registered in MLflow, explained by no recorded composition and not stopped: {listed(models)}"]
        if models
        else []
    )
