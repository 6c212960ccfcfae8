"""The table of twins: what each file of this folder says in its docstring, and how its tests came out."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KIND = "twins"
"""The kind under which a tally counts the tests of twins."""
_SAID = re.compile(r"Done: (.+)\nMust: (.+)\nFollows: ([\w.-]+/[\w.-]+#\d+|none found)\n?")


@dataclass(frozen=True, slots=True)
class Twin:
    """One file: its name, what was done, what must come of it, and the public report it follows."""

    name: str
    done: str
    must: str
    follows: str


def twins(folder: Path = FOLDER) -> list[Twin]:
    """Return every twin, by name; ``ValueError`` for a docstring that is not those three lines."""
    found = []
    for path in sorted(folder.glob("test_*.py")):
        said = _SAID.fullmatch(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
        if said is None:
            raise ValueError(f"{path.name}: its docstring must be three lines, Done:, Must: and Follows: owner/repo#1")
        found.append(Twin(path.stem.removeprefix("test_"), *said.groups()))
    return found


def outcomes(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, bool]]:
    """Return by twin and test whether it passed: as it came out last, for what failed is mended and run again."""
    found: dict[str, dict[str, bool]] = {}
    for line in lines:
        if line["kind"] == KIND:
            found.setdefault(str(line["name"]), {})[str(line["case"])] = bool(line["passed"])
    return found


def rows(every: Iterable[Twin], lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return a row per twin: what was done, what must come of it, how many of its tests passed, and what it follows."""
    passed = outcomes(lines)
    return [
        (twin.done, twin.must, f"{sum(passed[twin.name].values())} of {len(passed[twin.name])} passed", twin.follows)
        for twin in every
    ]
