"""Writes the table of breast tumors that scikit-learn ships (569 rows, 30 measures) as a CSV file for four clinics.

The measures are real. Which clinic sent a row, and whose it is, are invented, and alike every time.
"""

import csv
import sys
from pathlib import Path

CLINICS = ("north", "east", "south", "west")
HELD_OUT = 5
"""Every fifth row is held out."""


def write(folder: Path) -> list[Path]:
    """Write ``<clinic>.csv`` for each clinic and ``held-out.csv``; return the files."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    names = [name.replace(" ", "_") for name in table.feature_names]
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[list[object]]] = {name: [] for name in (*CLINICS, "held-out")}
    for number, (measures, target) in enumerate(zip(table.data.tolist(), table.target.tolist(), strict=True)):
        place = "held-out" if number % HELD_OUT == 0 else CLINICS[number % len(CLINICS)]
        finding = str(table.target_names[target])
        rows[place].append([f"row-{number}", f"patient-{number}", *measures, finding])
    for place, lines in rows.items():
        with (folder / f"{place}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["key", "subject", *names, "finding"], *lines])
    return [folder / f"{place}.csv" for place in rows]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
