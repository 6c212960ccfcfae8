"""What every kind of input file has in common: it is added as a shard, whole or not at all, and the ledger holds."""

import os
import random
from pathlib import Path
from unicodedata import category

from tests.fuzz import hostile
from tests.fuzz.place import Place

ROLES = ("--key", "--subject", "--source-column", "--license-column", "--fields")


def take(place: Place, path: Path, *options: str) -> str:
    """Add a file as a shard; return ``taken``, which must then check and show, or ``refused``, which must leave none.

    What is refused is refused because of the file (exit 2), never because the machine failed.
    """
    before = files(place)
    shown = path.name if path.name.isprintable() and not any(category(c)[0] == "C" for c in path.name) else ""
    ran = place.run(
        "shard", "add", "--no-check", "--no-dvc", "--name", "fuzzed", *options, "--", str(path),
        names=shown if " " not in shown and not options else "",
    )  # fmt: skip
    assert ran.code in (0, 2), f"exit {ran.code}: {ran.err[:300]}"
    facts = place.workspace.ledger.verify()
    if ran.code == 2:
        assert files(place) == before, "a refused file left something"
        return "refused"
    assert facts > 1
    assert place.run("shard", "check").code == 0, "a file was taken whose shard does not check"
    place.run("shard", "show", "fuzzed")
    return "taken"


def files(place: Place) -> set[str]:
    """Return every file of the workspace but what was put in by the case."""
    found = set()
    for folder, _, names in os.walk(place.root):
        if not Path(folder).is_relative_to(place.root / "in"):
            found |= {os.path.join(folder, name) for name in names if not name.endswith(".lock")}
    return found


def options(rng: random.Random, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return options that name columns, mostly ones that are there."""
    if rng.random() < 0.6:
        return ()
    found: list[str] = []
    for role in ROLES:
        if rng.random() < 0.3:
            found += [role, rng.choice(columns) if columns and rng.random() < 0.8 else hostile.typed(rng)]
    return tuple(word for word in found if not word.startswith("-") or word in ROLES)


def incoming(place: Place, name: str) -> Path:
    """Return where a file that came from outside is put."""
    folder = place.root / "in"
    folder.mkdir(exist_ok=True)
    return folder / name
