"""Methods that only some tests register: found by their entry points, here and wherever a job is ordered."""

from importlib.metadata import distributions
from pathlib import Path

import pytest

import disgorge.method
from disgorge.method import Method, methods

FOLDER = Path(__file__).parent / "plugins" / "lying"


def register(monkeypatch: pytest.MonkeyPatch, *found: Method) -> None:
    """Register these methods of the plug-ins until the test ends."""
    more = [entry for distribution in distributions(path=[str(FOLDER)]) for entry in distribution.entry_points]
    entries = (*disgorge.method._entries(), *more)
    monkeypatch.setattr(disgorge.method, "_entries", lambda: entries)
    for method in found:
        monkeypatch.setitem(methods(), method.name, method)
