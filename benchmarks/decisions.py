"""What the policy engine decides, by kind of case, and what a decision costs: ``python -m benchmarks.decisions``.

Runs every case of ``tests/policies/cases`` and times :func:`policies.judging.judge.decide` with all packs. With
``--before CHECKOUT`` an earlier version decides the same cases, with its own engine and packs, in a process of its own:
what of a case it could say is compared (outcome, refusal, guarantee, scope, day), and a case that it has no words for
counts as *cannot be said*. Writes ``benchmarks/decisions.json``.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "policies" / "cases"
COMPARED = ("outcome", "refusal", "guarantee", "scope", "deadline", "no_deadline", "extended", "error")
"""What of a case an earlier version is held to: what it decided, not the rules and words by which it did."""
PUBLIC = re.compile(
    r"Art\.|Regulation|Directive|U\.S\.C|CCR|Code|Docket|\bv\. |No\. \d|ICO|EDPB|Act |Lei|CC BY|SPDX|Fed\. R"
    r"|Garante|Autoriteit|Tribunale|IN-19-7-6|P-39\.1|Commission d|CalPrivacy|AB \d|ANPD"
)
RIGHT, WRONG, UNSAID = "right", "wrong", "cannot be said"
TIMES = 200
USUAL = "an identified person's erasure is granted, exact, within a calendar month"


def outcomes(folder: Path) -> dict[str, dict[str, str]]:
    """Return how each case comes out, by file and name, by the version of ``policies`` that Python finds."""
    from pydantic import TypeAdapter, ValidationError

    from policies.cases import case_files
    from policies.cases import run_cases as cases
    from policies.errors import PolicyError
    from policies.packs.load import load_packs
    from policies.packs.strict_yaml import read_yaml

    known = set(case_files.Expected.__dataclass_fields__) & set(COMPARED)
    adapter, packs = TypeAdapter(case_files.Case), load_packs()
    came: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob("*.yaml")):
        value: Any = read_yaml(path, PolicyError)
        for written in value["cases"]:
            merged = case_files._merged(value.get("defaults") or {}, written)
            merged["expect"] = {name: wanted for name, wanted in merged["expect"].items() if name in known}
            try:
                case = adapter.validate_python(merged)
                result = cases._run(case, path.name, packs)
            except (ValidationError, PolicyError):
                came.setdefault(path.stem, {})[written["name"]] = UNSAID
                continue
            unsaid = any(
                "BadPack" in problem or ": no pack " in problem for problem in result.problems
            ) or not _any_rule(result.decision)
            end = RIGHT if result.passed and merged["expect"] else UNSAID if unsaid or result.passed else WRONG
            came.setdefault(path.stem, {})[written["name"]] = end
    return came


def _any_rule(decision: Any) -> bool:
    """Whether a rule of a pack had a word in a decision: without one the version knows no law of the case."""
    return decision is None or any(said.pack != "house" for said in decision.reasons)


def passed(folder: Path) -> dict[str, int]:
    """Return how many cases of each file come out in all that they want, today."""
    from policies.cases.run_cases import run_cases
    from policies.packs.load import load_packs

    return Counter(Path(result.file).stem for result in run_cases(folder, load_packs()) if result.passed)


def milliseconds() -> dict[str, float]:
    """Return what a decision costs: of each case, and of one request that claims under every pack at once."""
    from policies.cases.case_files import read_cases
    from policies.judging.judge import decide
    from policies.packs.load import load_packs

    packs = load_packs()
    cases = [case for path in sorted(CASES.glob("*.yaml")) for case in read_cases(path).cases if not case.expect.error]

    def took(case: Any, times: int) -> float:
        request, impact = case.request.build(), case.impact.build()
        decide(request, impact, packs, today=case.today)
        spent = []
        for _ in range(times):
            start = time.perf_counter()
            decide(request, impact, packs, today=case.today)
            spent.append(1000 * (time.perf_counter() - start))
        return statistics.median(spent)

    each = [took(case, 5) for case in cases]
    usual = next(case for case in cases if case.name == USUAL)
    regimes = ", ".join(sorted(pack.pack for pack in packs))
    under_all = replace(usual, request=replace(usual.request, facts=usual.request.facts | {"also_under": regimes}))
    return {
        "packs": len(packs),
        "median of all cases": round(statistics.median(each), 2),
        "longest of all cases": round(max(each), 2),
        "one request under every regime": round(took(under_all, TIMES), 2),
    }


def before(checkout: Path) -> dict[str, dict[str, str]]:
    """Return :func:`outcomes` by the version in another checkout, whose ``policies`` goes before ours."""
    command = [sys.executable, __file__, "--outcomes"]
    found_first = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=checkout, env=found_first)
    found: dict[str, dict[str, str]] = json.loads(ran.stdout)
    return found


def main() -> None:
    """Run the cases, print the table and write it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--before", type=Path, metavar="CHECKOUT", help="a checkout of an earlier version")
    arguments.add_argument("--outcomes", action="store_true", help="only print how each case comes out, as JSON")
    given = arguments.parse_args()
    now = outcomes(CASES)
    if given.outcomes:
        print(json.dumps(now))
        return
    was, whole = before(given.before) if given.before else {}, passed(CASES)
    rows = {}
    for kind, cases in now.items():
        row: dict[str, Any] = {
            "cases": len(cases),
            "of public origin": sum(kind == "public" or bool(PUBLIC.search(name)) for name in cases),
        }
        if was:
            row["before"] = dict(Counter(was[kind].values()))
        rows[kind] = row | {"now": whole[kind]}
        print(f"{kind}: {rows[kind]}")
    result = {"kinds": rows, "cases": sum(map(len, now.values())), "milliseconds of decide": milliseconds()}
    if was:
        result["before"] = dict(Counter(end for cases in was.values() for end in cases.values()))
        result["wrong before"] = sorted(
            f"{kind}: {name}" for kind, cases in was.items() for name, end in cases.items() if end == WRONG
        )
    print({name: result[name] for name in result if name not in ("kinds", "wrong before")})
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
