"""The budget of one removal: ledger opened, chain checked, catalog built, stored bytes hashed."""

import hashlib
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lineage.catalog.projection import Projection
from lineage.ledger.journal import Journal
from lineage.storage import objects
from lineage.storage.objects import is_digest
from tests.disgorge.cli.conftest import fine

MOST_OPENED = 25
"""Times that ``ledger.jsonl`` may be opened from filing to the signed report, summed over the commands."""
MOST_HASHED = 6
"""Times that bytes of one digest may be hashed by ``execute``, which trains the same bytes again and again."""
_counts: Counter[str] = Counter()
"""What the command that runs did. An audit hook can never be taken off, so it counts here for good."""


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith("/ledger.jsonl"):
        _counts["ledger opened"] += 1


sys.addaudithook(_hear)


def _counting(monkeypatch: pytest.MonkeyPatch, holder: type, name: str) -> None:
    inner = getattr(holder, name)

    def counted(*arguments: Any, **named: Any) -> Any:
        _counts[f"{holder.__name__}.{name}"] += 1
        return inner(*arguments, **named)

    monkeypatch.setattr(holder, name, counted)


def _hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the bytes that the object store hashes, by their digest."""

    def noted(hashed: Any) -> Any:
        _counts[hashed.hexdigest()] += 1
        return hashed

    class Pieces:
        """A digest of pieces, counted when it is asked for."""

        def __init__(self) -> None:
            self._hash = hashlib.sha256()
            self.update = self._hash.update

        def hexdigest(self) -> str:
            return str(noted(self._hash).hexdigest())

    counting = SimpleNamespace(
        sha256=lambda *data: noted(hashlib.sha256(*data)) if data else Pieces(),
        file_digest=lambda file, name: noted(hashlib.file_digest(file, name)),
    )
    monkeypatch.setattr(objects, "hashlib", counting)


def test_a_removal_keeps_its_budget(workspace_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _counting(monkeypatch, Journal, "_checked")
    _counting(monkeypatch, Projection, "__init__")
    _hashing(monkeypatch)
    opened = 0
    commands = [
        "request file --id R-1 --standing contributor --ground contract --regime contract --verified "
        "--fact all_theirs=true --subject shard-2-person-1",
        "request impact R-1",
        "request decide R-1",
        "request plan R-1",
        "request approve R-1 PLAN --by ann",
        "request execute R-1",
    ]
    for line in commands:
        plan = fine("request", "show", "R-1", "--json").json["plan_digest"] if "PLAN" in line else ""
        _counts.clear()
        fine(*line.replace("PLAN", plan).split())
        counts = _counts.copy()
        opened += counts["ledger opened"]
        hashed = {digest: times for digest, times in counts.items() if is_digest(digest)}
        assert max(hashed.values(), default=0) <= (MOST_HASHED if "execute" in line else 1), line

        assert counts["Journal._checked"] <= 1, line
        assert counts["Projection.__init__"] <= 1, line
    assert opened <= MOST_OPENED
