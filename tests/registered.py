"""Methods that only some tests register, as objects of this process: planning and judging here load their code."""

from importlib.metadata import distributions
from pathlib import Path

import pytest

from disgorge.method import Method, methods, own_methods

FOLDER = Path(__file__).parent / "plugins" / "lying"


def register(monkeypatch: pytest.MonkeyPatch, *found: Method) -> None:
    """Register these methods of the plug-ins until the test ends; jobs load them by their entry points."""
    entries = [entry for distribution in distributions(path=[str(FOLDER)]) for entry in distribution.entry_points]
    for method in found:
        entry = next(entry.value for entry in entries if entry.load() is method)
        monkeypatch.setitem(methods(), method.name, method)
        monkeypatch.setitem(own_methods(), method.name, (method, entry))
