"""The whole counts of ``make test-full``, added up: from a tally's lines to ``full.json`` and the README's table.

    python -m tests.summary full-tally.jsonl

Figures are never typed: a test notes them while it runs (:func:`tests.tier.tally`), this adds them up, another test
holds the README to the file. Refused, in one line, with nothing written: a tally of a run that was not whole (a test
failed, or the run was cut short) and one that lacks a kind which the table must have.

A kind's lines are added up by figure, in all and by the ``where`` or ``method`` they name, else by their names. Counts,
and what is true, are summed; of times and shares the middle one is told, and the largest as ``most ...``. A figure
means the same in every line of its kind. The cost: which of many cases took longest is in the tally, not in the file.
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

Lines = list[dict[str, Any]]

WORDS = {
    "liars": "false removals refused",
    "honest": "honest removals certified",
    "evidence cost": "evidence, as a share of a full retraining",
    "probes, honest": "statistical checks of honest removals, most of them simulated",
    "probes, nothing done": "statistical checks where nothing was done",
    "kills": "executions killed and resumed to the same bits",
    "eight writers": "eight processes filing and reading at once",
    "fuzz": "hostile inputs answered in one line",
    "bytes flipped": "flipped bytes detected",
    "damages": "damage on disk named, and repaired as documented",
    "offline": "the whole demo without a network",
    "re-executions": "re-executions beside busy programs, and those that differ",
}
"""The kinds that a whole run must have, in the table's order, and how the README puts each."""

RUN = "run"
"""The kind of the one line that says how the run ended; pytest's own hook writes it."""

LIBRARIES = ("torch", "numpy", "pyarrow", "duckdb", "mlflow", "dvc", "safetensors", "cryptography")

_SINGLE = ("seconds", "share", "p50", "p99", "slowest", "max")
"""Beginnings of figures that are not summed."""

_OF = {
    "caught": "planted", "certified": "removals", "survived": "kills", "detected": "flipped", "recovered": "damaged",
}  # fmt: skip
"""Figures that are a part, and of which one; a line that has no such figure counts one."""


class NotWhole(Exception):  # noqa: N818 (the name says what is the matter)
    """A tally that no table may be made from: says why, and what to do."""


def read_tally(path: Path) -> Lines:
    """Return a tally's lines; :class:`NotWhole` for a file that is none."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(line["kind"], str) and isinstance(line["name"], str) for line in lines):
            raise TypeError("a line without kind and name")
    except OSError as problem:
        raise NotWhole(f"{path}: cannot be read ({problem.strerror}); run `make test-full`") from None
    except (ValueError, KeyError, TypeError) as problem:
        raise NotWhole(f"{path}: is no tally ({problem}); run `make test-full` again") from None
    return lines


def summary(lines: Lines, *, date: str, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a whole run counted: per kind the totals, and every case by name with its own figures."""
    run = _whole_run(lines)
    kinds: dict[str, dict[str, Any]] = {}
    for kind in (*WORDS, *sorted({line["kind"] for line in lines} - set(WORDS) - {RUN})):
        cases: dict[str, Lines] = {}
        for line in lines:
            if line["kind"] == kind:
                cases.setdefault(_group(line), []).append(line)
        kinds[kind] = {
            "total": added(line for several in cases.values() for line in several),
            "by": {name: added(several) for name, several in sorted(cases.items())},
        }
    return {"date": date, **machine, "seconds": run["seconds"], "tests": run["passed"], "kinds": kinds}


def _group(line: Mapping[str, Any]) -> str:
    return str(line.get("where") or line.get("method") or line["name"])


def _whole_run(lines: Lines) -> dict[str, Any]:
    """Return the line that says how the run ended; :class:`NotWhole` unless it ended well and counted every kind."""
    runs = [line for line in lines if line["kind"] == RUN]
    if len(runs) != 1:
        raise NotWhole(f"the tally tells of {len(runs)} runs, not of one to its end; run `make test-full` again")
    if runs[0]["exit"] != 0:
        raise NotWhole(f"the run failed (pytest's exit code was {runs[0]['exit']}); mend that, then run it again")
    missing = [kind for kind in WORDS if kind not in {line["kind"] for line in lines}]
    if missing:
        raise NotWhole(f"nothing was counted of {', '.join(missing)}; run `make test-full` whole")
    return runs[0]


def added(several: Iterable[Mapping[str, Any]]) -> dict[str, int | float]:
    """Return figures added up, and as ``lines`` how many lines there were; words are left out."""
    found: dict[str, list[int | float]] = {}
    count = 0
    for line in several:
        count += 1
        for name, value in line.items():
            if isinstance(value, bool | int | float):
                found.setdefault(name, []).append(value)
    total: dict[str, int | float] = {"lines": count}
    for name, values in found.items():
        if not name.startswith(_SINGLE):
            total[name] = sum(values)
            continue
        total[name] = round(statistics.median(values), 4)
        if len(values) > 1:
            total[f"most {name}"] = max(values)
    return total


def told(figures: Mapping[str, int | float]) -> str:
    """Return figures in words: parts as "12 of 12", the rest by name.

    >>> told({"lines": 2, "caught": 2})
    '2 of 2 caught'
    >>> told({"lines": 9, "flipped": 900, "detected": 900, "p50_ms": 3.25, "most share": 0.5})
    '900 of 900 detected, p50 ms 3.25, most share 50.0%'
    """
    rest = {name: value for name, value in figures.items() if name != "lines"}
    said = []
    for part, whole in _OF.items():
        if part in rest:
            said.append(f"{rest.pop(part):,} of {rest.pop(whole, figures['lines']):,} {part}")
    said += [f"{name.replace('_', ' ')} {_number(name, value)}" for name, value in rest.items()]
    return ", ".join(said)


def _number(name: str, value: float) -> str:
    if "share" in name:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


MOST = 12
"""Groups that a row of the table names; of more it says only how many there are."""


def markdown(full: Mapping[str, Any]) -> str:
    """Return the README's table, and the line below it that says on what and when it was counted."""
    rows = [("counted", "in all", "of these"), ("---", "---", "---")]
    for kind, counted in full["kinds"].items():
        groups = counted["by"]
        named = "; ".join(f"{name}: {told(figures)}" for name, figures in groups.items())
        of_these = "" if len(groups) == 1 else named if len(groups) <= MOST else f"{len(groups)} kinds"
        rows.append((WORDS.get(kind, kind), told(counted["total"]), of_these))
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    versions = ", ".join(f"{name} {version}" for name, version in full["libraries"].items())
    return (
        f"{table}\n\n{full['tests']:,} tests in {full['seconds'] / 60:.0f} min on {full['date']}, {full['machine']}, "
        f"Python {full['python']}, {versions}."
    )


def into(readme: str, full: Mapping[str, Any]) -> str:
    """Return the README with what stands between its ``full`` marks replaced; :class:`NotWhole` if it has none."""
    head, mark, rest = readme.partition("<!-- full:")
    words, end, tail = rest.partition("-->")
    _, close, after = tail.partition("<!-- /full -->")
    if not (mark and end and close):
        raise NotWhole("the README has no marks `<!-- full: ... -->` and `<!-- /full -->`; put them where the table is")
    return f"{head}{mark}{words}{end}\n\n{markdown(full)}\n\n{close}{after}"


def this_machine() -> dict[str, Any]:
    """Return what determines how long things take here, and which bits come out."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.machine(),
    )
    return {
        "machine": f"{model}, {len(os.sched_getaffinity(0))} cores, {gigabytes:.0f} GB, {platform.system()}",
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def main(tally: str) -> int:
    """Write ``full.json`` and the README's table from a tally; returns the exit code, 1 if nothing could be made."""
    try:
        full = summary(read_tally(Path(tally)), date=dt.date.today().isoformat(), machine=this_machine())
        readme = into(README.read_text(encoding="utf-8"), full)
    except NotWhole as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    FULL.write_text(json.dumps(full, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    README.write_text(readme, encoding="utf-8")
    return 0


FULL = Path(__file__).with_name("full.json")
README = Path(__file__).parent.parent / "README.md"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
