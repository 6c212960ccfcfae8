"""Runs cases kept as data (see :mod:`policies.cases.case_files`) against packs, and says what came out otherwise.

``disgorge policy test`` runs a folder of them; people run their own packs against their own cases the same way.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.cases.case_files import Case, Expected, read_cases
from policies.decision import Decision, Owed
from policies.errors import PolicyError
from policies.judging.deadlines import extend
from policies.judging.judge import decide
from policies.packs.load import agree, load_pack, load_packs, pack_of
from policies.packs.rules import Pack


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went. ``problems`` say what was wanted and what came; ``decision`` is None after an error."""

    name: str
    file: str
    problems: tuple[str, ...]
    decision: Decision | None

    @property
    def passed(self) -> bool:
        """Whether everything the case wants came true."""
        return not self.problems


def run_cases(folder: Path, packs: Sequence[Pack]) -> tuple[CaseResult, ...]:
    """Run every case of a folder (or one file) against the packs; :class:`PolicyError` for a file that cannot be read.

    A folder without a case is an error: nothing tested must not look like everything passed.
    """
    paths = [folder]
    if folder.is_dir():
        paths = sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml"})
    results = run_files(paths, packs)
    if not results:
        raise PolicyError(f"{folder}: no case here; write one into a .yaml file (see policies/cases/case_files.py)")
    return results


def run_files(paths: Sequence[Path], packs: Sequence[Pack]) -> tuple[CaseResult, ...]:
    """Run every case of these files, those that packs carry against the pack of the file."""
    return tuple(result for path in paths for result in _run_file(path, packs))


def _run_file(path: Path, packs: Sequence[Pack]) -> Iterator[CaseResult]:
    file = read_cases(path)
    if file.of_pack and file.cases:
        own = load_pack(path)
        packs = [*(pack for pack in packs if pack.pack != own.pack), own]
    yield from (_run(case, path.name, packs) for case in file.cases)


def _run(case: Case, file: str, packs: Sequence[Pack]) -> CaseResult:
    decision: Decision | None = None
    try:
        judged = _packs_of(case, file, packs)
        request = case.request.build()
        decision = decide(request, case.impact.build(), judged, today=case.today)
        until = None
        if case.extend is not None:
            until = extend(decision, request, judged, reason=case.extend.reason, today=case.extend.today)
    except PolicyError as error:
        if case.expect.error is None:
            problems = [f"wanted a decision, came {type(error).__name__}: {error}"]
        elif case.expect.error in str(error):
            problems = []
        else:
            problems = [f"wanted an error with {case.expect.error!r}, came: {error}"]
        return CaseResult(case.name, file, tuple(problems), decision)
    if case.expect.error is not None:
        problems = [f"wanted an error with {case.expect.error!r}, came {decision.outcome.value}"]
    else:
        problems = _compare(case.expect, decision, until)
    return CaseResult(case.name, file, tuple(problems), decision)


def _packs_of(case: Case, file: str, packs: Sequence[Pack]) -> tuple[Pack, ...]:
    chosen = packs
    if case.packs is not None:
        available = {pack.pack: pack for pack in packs}
        if not available.keys() >= set(case.packs):
            available = {pack.pack: pack for pack in load_packs()} | available  # a case may name shipped packs as well
        unknown = sorted(set(case.packs) - set(available))
        if unknown:
            raise PolicyError(f"{file}: case {case.name!r}: unknown pack {', '.join(unknown)}: expected "
                              f"{', '.join(sorted(available))}")  # fmt: skip
        chosen = [available[name] for name in dict.fromkeys(case.packs)]
    added = [pack_of(written, name=f"{file}: with_packs") for written in case.with_packs]
    return agree([*((pack, pack.pack) for pack in chosen), *((pack, file) for pack in added)])


def _compare_dates(expected: Expected, owed: Owed | None) -> list[str]:
    """Return what is otherwise about deadlines of single parts, how they were counted, and what is spared."""
    dues = owed.deadlines if owed else ()
    by: dict[str, dt.date | None] = {}
    for due in dues:
        days = [day for day in (by.get(due.of.value), due.by) if day]
        by[due.of.value] = min(days, default=None)
    problems = [
        f"deadline of {part}: wanted {expected_day}, came {by.get(part, 'none')}"
        for part, expected_day in expected.deadlines.items()
        if part not in by or by[part] != expected_day
    ]
    opens = [due.not_before for due in dues if due.not_before]
    if expected.not_before is not None and expected.not_before not in opens:
        problems.append(f"not_before: wanted {expected.not_before}, came {opens}")
    said = [due.counted for due in dues]
    problems += [f"{problem}: {said}" for problem in _unsaid("deadline is counted", expected.counted, said)]
    return [*problems, *_unsaid("spared data is", expected.spared, owed.spared if owed else ())]


def _unsaid(what: str, wanted: Sequence[str], said: Sequence[str]) -> Iterator[str]:
    """Yield a problem for each expected text that no line contains."""
    yield from (f"no {what} {part!r}" for part in wanted if not any(part in words for words in said))


def _compare(expected: Expected, decision: Decision, until: dt.date | None) -> list[str]:
    owed = decision.owed
    came: dict[str, Any] = {
        "outcome": decision.outcome.value,
        "refusal": decision.refusal.value if decision.refusal else None,
        "category": decision.category,
        "owed": owed is not None,
        "guarantee": owed.guarantee.label if owed else None,
        "scope": owed.scope.value if owed else None,
        "deadline": owed.deadline if owed else None,
        "no_deadline": owed is None or owed.deadline is None,
        "acknowledge_by": owed.acknowledge_by if owed else None,
        "approvals": owed.approvals if owed else None,
        "utility_floor": owed.utility_floor if owed else None,
        "confinement": owed.confinement.value if owed else None,
        "equal_bits": owed.equal_bits if owed else None,
        "families": tuple(family.value for family in owed.families) if owed else None,
        "due": decision.due,
        "extended": until,
    }
    problems = [
        f"{name}: wanted {wanted}, came {came[name]}"
        for name in came
        if (wanted := getattr(expected, name)) is not None and wanted != came[name]
    ]
    fired = {f"{said.pack}/{said.rule}" for said in decision.reasons if said.fired}
    unclear = {f"{said.pack}/{said.rule}" for said in decision.reasons if not said.fired}
    problems += [
        f"rule {rule} did not fire; fired: {', '.join(sorted(fired))}" for rule in expected.rules if rule not in fired
    ]
    problems += [f"rule {rule} fired" for rule in expected.not_rules if rule in fired]
    problems += [
        f"rule {rule} is not among the unclear: {sorted(unclear)}" for rule in expected.unclear if rule not in unclear
    ]
    problems += [f"evidence lacks {name}" for name in expected.evidence if owed is None or name not in owed.evidence]
    problems += _unsaid("notice says", expected.notices, owed.notices if owed else ())
    problems += _compare_claims(expected, decision)
    problems += _compare_dates(expected, owed)
    return [*problems, *_unsaid("override says", expected.overrides, decision.overrides)]


def _compare_claims(expected: Expected, decision: Decision) -> list[str]:
    """Return what came out otherwise of the packs' own claims and of what is owed beside the removal."""
    came = {claim.pack: claim.outcome.value for claim in decision.claims}
    duties = [duty.said for duty in decision.duties]
    problems = [
        f"claim {pack}: wanted {wanted}, came {came.get(pack)}"
        for pack, wanted in expected.claims.items()
        if wanted != came.get(pack)
    ]
    problems += _unsaid("duty says", expected.duties, duties)
    problems += [f"a duty says {part!r}" for part in expected.no_duties if any(part in said for said in duties)]
    if expected.no_due is not None and expected.no_due not in decision.no_due:
        problems.append(f"no_due: wanted {expected.no_due!r}, came {decision.no_due!r}")
    return problems
