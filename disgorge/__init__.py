"""What is done about a removal request, and the proof of it.

The pass: request -> impact -> decision -> plan -> approval -> execution -> evidence -> report.
:mod:`disgorge.method` says what a method is, :mod:`disgorge.plan.planner` chooses remedies,
:mod:`disgorge.removal.execute` carries them out, :mod:`disgorge.examination.examine` measures,
:mod:`disgorge.statement.certificate` decides, :mod:`disgorge.report.bundle` writes the bundle an auditor checks.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"


def _collision() -> str:
    """Say which package of ours is hidden by another of its name, "" if none is."""
    for name in ("lineage", "policies"):
        spec = find_spec(name)
        found = spec.origin if spec else None
        if found and Path(found).resolve().parents[1] != Path(__file__).resolve().parents[1]:
            return f"`{name}` is imported from {found}, not from disgorge; rename that, or run from another folder"
    return ""


if _problem := _collision():
    if Path(sys.argv[0]).stem == "disgorge":  # the command: one line, and no traceback
        sys.exit(f"Error: {_problem}")
    raise ImportError(_problem)
