"""Writes docs/evidence.md, and the five lines of the README, from the tally of a whole ``make test-full``.

    python -m tests.summary full-tally.jsonl

Figures are never typed: a test notes them while it runs (:func:`tests.tier.tally`). A tally of a run that failed, was
cut short or lacks a kind is refused in one line, and nothing is written.
"""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.twins import table as twins_table

Lines = list[dict[str, Any]]

TITLES = {
    "liars": "false removals refused",
    "honest": "honest removals certified",
    "kills": "executions killed and resumed to the same bits",
    "fuzz": "hostile inputs answered in one line",
    "damages": "damage on disk named, and repaired as documented",
    "evidence cost": "evidence, as a share of a full retraining",
    "probes, honest": "statistical checks of honest removals, most of them simulated",
    "probes, nothing done": "statistical checks where nothing was done",
    "eight writers": "eight processes filing and reading at once",
    "bytes flipped": "flipped bytes detected",
    "offline": "the whole demo without a network",
    "re-executions": "re-executions beside busy programs, and those that differ",
    "liars below namespace": "lies told below namespace, where no run certifies alone",
}
"""The kinds that a whole run must count, in the order of the table; the first five are the README's."""
README_ROWS = 5
LIBRARIES = ("torch", "numpy", "pyarrow", "duckdb", "mlflow", "dvc", "safetensors", "cryptography")
PARTS = {
    "caught": "", "certified": "", "survived": "kills", "detected": "flipped", "recovered": "damaged",
}  # fmt: skip
"""Figures that are a part, and the figure they are a part of; without one, of the number of lines."""
SINGLE = ("seconds", "slowest", "p50", "p99", "max", "share")
"""Figures that are not summed: their median is shown, and the largest."""
MOST_GROUPS = 12
ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- evidence: `make test-full` writes these lines -->", "<!-- /evidence -->"


class InvalidTally(Exception):  # noqa: N818 (as in the packages)
    """The tally is not that of one whole run in which all passed, what failed at first when it was mended."""


def read_tally(path: Path) -> Lines:
    """Return a tally's lines, of a run that ended well, perhaps when what failed was mended, and counted every kind."""
    try:
        lines: Lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kinds = {line["kind"] for line in lines if line["name"]}
        runs = [(line["exit"], bool(line.get("again"))) for line in lines if line["kind"] == "run"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InvalidTally(f"{path}: invalid tally ({problem}); run `make test-full`") from None
    exits = [code for code, _ in runs]
    if [again for _, again in runs] != [False] + [True] * (len(runs) - 1) or exits != [1] * (len(runs) - 1) + [0]:
        raise InvalidTally(
            f"{path}: exit codes of the runs are {exits}, expected one whole run that ends with 0, or with 1 and then "
            "runs of what failed until that passes; run `make test-full` to its end, and then `make test-again`"
        )
    if missing := [kind for kind in TITLES if kind not in kinds]:
        raise InvalidTally(f"{path}: nothing was counted of {', '.join(missing)}; run `make test-full` whole")
    ran = twins_table.outcomes(lines)
    if missing := [twin.name for twin in twins_table.twins() if twin.name not in ran]:
        raise InvalidTally(f"{path}: twins {', '.join(missing)} were not run; run `make test-full` whole")
    return lines


def total(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return figures of several lines in words.

    >>> total([{"flipped": 600, "detected": 599, "p50_ms": 3.0}, {"flipped": 300, "detected": 300, "p50_ms": 9.0}])
    '899 of 900 detected, p50 ms 6, most p50 ms 9'
    """
    lines = list(lines)
    figures: dict[str, list[float]] = {}
    for line in lines:
        for name, value in line.items():
            if isinstance(value, bool | int | float):
                figures.setdefault(name, []).append(value)
    words = []
    for part, whole in PARTS.items():
        if part in figures:
            of = sum(figures.pop(whole)) if whole in figures else len(lines)
            words.append(f"{sum(figures.pop(part)):,} of {of:,} {part}")
    for name, values in figures.items():
        single = name.startswith(SINGLE)
        words.append(_number(name, statistics.median(values) if single else sum(values)))
        if single and len(values) > 1:
            words.append(f"most {_number(name, max(values))}")
    return ", ".join(words)


def _number(name: str, value: float) -> str:
    shown = f"{value:.1%}" if "share" in name else f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
    return f"{name.replace('_', ' ')} {shown}"


def table(lines: Lines) -> list[tuple[str, str, str]]:
    """Return a row per kind: its title, its total, and the total of each group (``where``, ``method`` or name)."""
    rows = []
    others = {line["kind"] for line in lines} - {*TITLES, "run", twins_table.KIND}
    for kind in (*TITLES, *sorted(others)):
        groups: dict[str, Lines] = {}
        for line in (line for line in lines if line["kind"] == kind):
            groups.setdefault(str(line.get("where") or line.get("method") or line["name"]), []).append(line)
        each = "; ".join(f"{name}: {total(several)}" for name, several in sorted(groups.items()))
        detail = each if 1 < len(groups) <= MOST_GROUPS else f"{len(groups)} kinds" if len(groups) > 1 else ""
        rows.append((TITLES.get(kind, kind), total(line for some in groups.values() for line in some), detail))
    return rows


def environment() -> str:
    """Return the machine and the versions, which determine how long things take and which bits come out."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def write(lines: Lines, *, root: Path = ROOT, where: str = "") -> None:
    """Write docs/evidence.md and what stands between the README's marks."""
    run, *again = (line for line in lines if line["kind"] == "run")
    rows = [("counted", "in all", "of these"), ("---", "---", "---"), *table(lines)]
    mended = sum(each["passed"] for each in again)
    ran = f"{run['passed']:,} tests in {run['seconds'] / 60:.0f} min on {dt.date.today()}, {where or environment()}."
    ran += f" {mended:,} that failed were mended and passed when they ran again." if mended else ""
    twins = twins_table.rows(twins_table.twins(), lines)
    faults = _markdown([("what was done", "what must come of it", "tests", "follows"), ("---",) * 4, *twins])
    text = f"# What was counted\n\n{_markdown(rows)}\n\n{ran}\n\n## Faults and their twins\n\n{faults}\n"
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs" / "evidence.md").write_text(text, encoding="utf-8")
    readme = root / "README.md"
    head, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    short = "\n".join(f"- {title}: {in_all}" for title, in_all, _ in rows[2 : 2 + README_ROWS])
    readme.write_text(f"{head}{BEGIN}\n{short}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def main(tally: str) -> int:
    """Write the documents; return 1, with one line of error, for a tally that does not allow it."""
    try:
        write(read_tally(Path(tally)))
    except InvalidTally as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
