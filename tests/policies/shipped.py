"""The shipped packs and what they decide of the cases kept as data, judged once a process; and packs with a mistake."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

from lineage.records import Impact
from policies.cases.case_files import read_cases
from policies.cases.run_cases import CaseResult, run_cases
from policies.decision import Decision
from policies.packs.load import load_packs
from policies.request import RemovalRequest

CASES = Path(__file__).parent / "cases"
SHIPPED = load_packs()


@cache
def results() -> tuple[CaseResult, ...]:
    """What became of each case."""
    return tuple(run_cases(CASES, SHIPPED))


@cache
def judged_cases() -> tuple[tuple[Decision, RemovalRequest, Impact], ...]:
    """The decisions of the cases, with the requests and what they reach."""
    cases = {case.name: case for path in CASES.glob("*.yaml") for case in read_cases(path).cases}
    return tuple(
        (each.decision, cases[each.name].request.build(), cases[each.name].impact.build())
        for each in results()
        if each.decision
    )


def decided() -> tuple[tuple[Decision, RemovalRequest], ...]:
    """The decisions of the cases, with the requests."""
    return tuple((decision, request) for decision, request, _ in judged_cases())


def changed(pack: Any, path: str, value: object) -> dict[str, Any]:
    """Return a pack with one value changed, or taken out for ``...``."""
    made: dict[str, Any] = copy.deepcopy(pack)
    *folders, last = path.split(".")
    place: Any = made
    for folder in folders:
        place = place[int(folder)] if folder.isdigit() else place[folder]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made
