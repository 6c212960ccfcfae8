"""Writes the tables of the examples, from data that installed packages ship.

    python -m examples.your_own.data FOLDER [tumors] [docstrings] [diabetes]

``tumors`` and ``diabetes`` are tables of scikit-learn (BSD-3-Clause): 569 tumors with 30 measures, 442 patients with
10. The measures are real. Whose a row is, and which clinic sent it, are invented, and alike every time. ``docstrings``
are first paragraphs from Python (PSF-2.0), scikit-learn (BSD-3-Clause) and transformers (Apache-2.0) as they are
installed here, and whether each describes a class or a function. Every fifth row is held out, in a file of its own.
"""

import ast
import csv
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

CLINICS = ("north", "east", "south", "west")
HELD_OUT = 5
"""Every so many rows one is held out."""
SOURCES = {"python": "PSF-2.0", "scikit-learn": "BSD-3-Clause", "transformers": "Apache-2.0"}
"""Where docstrings are from, and under which license."""
_PACKAGES = {"scikit-learn": "sklearn"}
_NO_SOURCE = {"test", "tests", "idlelib", "site-packages", "externals"}
_WORDS = 4
"""The shortest docstring that says something."""


def write_tumors(folder: Path) -> None:
    """Write ``<clinic>.csv`` for each clinic and ``held-out.csv``."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    columns = ["key", "subject", *(name.replace(" ", "_") for name in table.feature_names), "finding"]
    rows: dict[str, list[list[object]]] = {name: [] for name in (*CLINICS, "held-out")}
    for number, (measures, target) in enumerate(zip(table.data.tolist(), table.target.tolist(), strict=True)):
        place = "held-out" if number % HELD_OUT == 0 else CLINICS[number % len(CLINICS)]
        rows[place].append([f"row-{number}", f"patient-{number}", *measures, str(table.target_names[target])])
    for place, lines in rows.items():
        _write(folder / f"{place}.csv", columns, lines)


def write_diabetes(folder: Path) -> None:
    """Write ``diabetes.csv`` and ``diabetes-held-out.csv``."""
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    rows = [
        [f"row-{number}", f"patient-{number}", *measures, target]
        for number, (measures, target) in enumerate(zip(table.data.tolist(), table.target.tolist(), strict=True))
    ]
    _write_split(folder, "diabetes", ["key", "subject", *table.feature_names, "progression"], rows)


def write_docstrings(folder: Path, *, most: int = 200) -> None:
    """Write ``docstrings.csv`` and ``docstrings-held-out.csv``: ``most`` of each source, as many of each kind."""
    rows, seen = list[list[object]](), set[str]()
    for source, license in SOURCES.items():
        wanted = dict.fromkeys(("class", "function"), most // 2)
        for key, text, kind in _docstrings(source):
            if wanted[kind] and text not in seen:
                wanted[kind] -= 1
                seen.add(text)
                rows.append([f"{source}:{key}", source, license, text, kind])
            if not any(wanted.values()):
                break
    _write_split(folder, "docstrings", ["key", "source", "license", "text", "kind"], rows)


def _docstrings(source: str) -> Iterator[tuple[str, str, str]]:
    """Yield the dotted name, the first paragraph and the kind of each class and function; nothing is imported."""
    if source == "python":
        place = Path(sysconfig.get_path("stdlib"))
    else:
        (place,) = map(Path, find_spec(_PACKAGES.get(source, source)).submodule_search_locations)
    for path in sorted(place.rglob("*.py")):
        inner = path.relative_to(place).with_suffix("")
        if not _NO_SOURCE.isdisjoint(inner.parts):
            continue
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
                if len(text.split()) >= _WORDS:
                    kind = "class" if isinstance(node, ast.ClassDef) else "function"
                    yield ".".join((*inner.parts, node.name)), text, kind


def _write_split(folder: Path, name: str, columns: list[str], rows: list[list[object]]) -> None:
    """Write rows to two files, every fifth of them to the one that is held out."""
    _write(folder / f"{name}.csv", columns, (row for place, row in enumerate(rows) if place % HELD_OUT))
    _write(folder / f"{name}-held-out.csv", columns, rows[::HELD_OUT])


def _write(path: Path, columns: list[str], rows: Iterable[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


TABLES = {"tumors": write_tumors, "docstrings": write_docstrings, "diabetes": write_diabetes}

if __name__ == "__main__":
    for name in sys.argv[2:] or ["tumors"]:
        TABLES[name](Path(sys.argv[1]))
