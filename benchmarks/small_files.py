"""What many small files cost: ``python -m benchmarks.small_files [--files 20000]``, which writes its figures beside it.

A folder of small files of random bytes lies in the workspace, with a ``metadata.csv`` that names a person for each.
It is added whole (``--files``) as it is typed, a function that counts bytes learns from it, and one file is removed:
that is the seconds of ``request execute``, with all its searches and its report. Then the same with the files in place.
The goals, for 20,000 files: 10 s to add them, 20 s to remove one.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.proof import approve, typed

GOAL = {"add": 10.0, "remove": 20.0}
"""Most seconds, for 20,000 files."""
BYTES = 600
"""Of each file."""
CODE = '''
import numpy as np


def train(items, parts, context):
    """How often each byte stands at the beginning of a file."""
    counts = np.zeros(256)
    for batch in items.batches(1000):
        counts += np.bincount([each[0] for each in batch["file"]], minlength=256)
    return {"counts": counts}


def predict(parts, items, context):
    batches = items.batches(1000)
    return np.concatenate([parts["counts"][[each[0] for each in batch["file"]]] for batch in batches])
'''
MODEL = """release: small
method: function
train: own:train
predict: own:predict
layout: isolated
task: regress
shards: [photos]
"""

Figures = dict[str, Any]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Measure what adding many small files and removing one costs.")
    parser.add_argument("--files", type=int, default=20_000, help="how many files")
    parser.add_argument("--in", dest="folder", type=Path, help="work here, in a folder that is not there yet")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = given.folder or Path(name)
        figures = {"files": given.files, "goal": GOAL}
        for how in ("copied", "in place"):
            figures[how] = measured(root / how.replace(" ", "-"), given.files, in_place=how == "in place")
            print(f"{how}: {figures[how]}", file=sys.stderr)
    if given.folder is None:
        Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


def measured(folder: Path, files: int, *, in_place: bool) -> Figures:
    """Return the seconds, and the CPU seconds, to add files, to train of them and to remove one of them."""
    make_files(folder / "photos", files)
    (folder / "own.py").write_text(CODE)
    (folder / "model.yaml").write_text(MODEL)
    typed(folder, "init")
    terms = ["--license", "MIT", "--basis", "consent", "--no-dvc", *(["--in-place"] if in_place else [])]
    _, *add = typed(folder, "shard", "add", "photos", "--files", "--subject-name", "who", *terms)
    _, *train = typed(folder, "train", "model.yaml")
    approve(folder, "--subject", "Person 7")
    _, *remove = typed(folder, "request", "execute", "R-1")
    return {"add": add, "train": train, "remove": remove}


def make_files(folder: Path, files: int) -> None:
    """Write files of random bytes, and their metadata."""
    folder.mkdir(parents=True)
    rng, lines = np.random.default_rng(0), ["file_name,who"]
    for number in range(files):
        (folder / f"{number:05}.bin").write_bytes(rng.bytes(BYTES))
        lines.append(f"{number:05}.bin,Person {number}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
