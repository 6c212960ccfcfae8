"""Every promise of ``promises.json`` is still met by a test that is collected in the full tier.

The file is a record of the day on which the code was laid out in folders: every liar, unsafe purge, kill, damage,
refusal, hostile input, honest removal and law that the full tier had, by a plain name that stays. A row says which test
meets it. Where a test is renamed, moved or merged, put the new node id into ``met_by``; where a promise is given up,
move its row into ``withdrawn``, as ``"name": {"kind": "refusals", "because": "..."}``.

::

    "old weights put back": {"met_by": "tests/test_x.py::test_y"}                         # one test
    "bad packs":            {"met_by": "tests/test_x.py::test_y", "cases": ["a", "b"]}    # these parameters of it
    "killed inside a step": {"met_by": "tests/test_x.py::test_y", "cases": 80}            # at least so many, drawn

``drawn`` says how many cases a test draws by itself in the full tier. It is a record: nothing here can count them.

The full tier collects all its tests in a process of its own. The first tier looks for the test functions only, in the
text of their files.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tier import FULL

ROOT = Path(__file__).parent.parent
FIRST_COUNTED = {
    "liars": 173, "unsafe_purges": 13, "kills": 91, "damages": 41, "refusals": 579,
    "hostile_inputs": 31, "honest_removals": 32, "laws": 44,
}  # fmt: skip
"""How many promises of each kind there were when they were written down; none may vanish from the file."""


def promises() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the promises by kind and name, and those withdrawn."""
    loaded: dict[str, dict[str, dict[str, Any]]] = json.loads((ROOT / "tests" / "promises.json").read_text())
    return loaded


def collected() -> list[str]:
    """Return the node ids of the full tier, collected in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "tests",
    ]
    environment = os.environ | {"DISGORGE_FULL": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return [line for line in ran.stdout.splitlines() if line.startswith("tests/") and "::" in line]


def missing(promise: dict[str, Any], nodes: set[str], counts: dict[str, int]) -> Iterator[str]:
    """Yield what no collected test meets any more."""
    test, cases = promise["met_by"], promise.get("cases", 0)
    if isinstance(cases, list):
        yield from (f"{test}[{case}]" for case in cases if f"{test}[{case}]" not in nodes)
    elif cases and counts.get(test, 0) < cases:
        yield f"{test}: {counts.get(test, 0)} of {cases} cases"
    elif not cases and test not in nodes:
        yield test


def defined(test: str) -> bool:
    """Whether a test's function stands in the text of its file."""
    path, _, name = test.partition("[")[0].partition("::")
    file = ROOT / path
    return file.is_file() and re.search(rf"^def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE) is not None


def test_no_promise_vanished_from_the_file() -> None:
    kept = promises()
    withdrawn = kept.pop("withdrawn")
    assert all(promise["because"].strip() for promise in withdrawn.values())
    for kind, count in FIRST_COUNTED.items():
        gone = sum(promise["kind"] == kind for promise in withdrawn.values())
        assert len(kept[kind]) + gone >= count, (
            f"{kind}: {count} were promised, {len(kept[kind])} are, {gone} withdrawn"
        )


def test_every_promise_is_met_by_a_test() -> None:
    rows = [
        (f"{kind}: {name}", row) for kind, of in promises().items() if kind != "withdrawn" for name, row in of.items()
    ]
    if not FULL:
        assert not [name for name, row in rows if not defined(row["met_by"])]
        return
    nodes = collected()
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.partition("[")[0]] = counts.get(node.partition("[")[0], 0) + 1
    assert not [(name, gone) for name, row in rows for gone in missing(row, set(nodes), counts)]


@pytest.mark.parametrize(
    ("promise", "expected"),
    [
        ({"met_by": "t::a"}, []),
        ({"met_by": "t::gone"}, ["t::gone"]),
        ({"met_by": "t::b", "cases": ["1", "2"]}, ["t::b[2]"]),
        ({"met_by": "t::b", "cases": 1}, []),
        ({"met_by": "t::b", "cases": 3}, ["t::b: 1 of 3 cases"]),
    ],
)
def test_what_vanished_is_named(promise: dict[str, Any], expected: list[str]) -> None:
    assert list(missing(promise, {"t::a", "t::b[1]"}, {"t::a": 1, "t::b": 1})) == expected
