"""The public interface: every verb of the command line is a function here, a file per group of verbs.

Each takes a workspace first and returns a frozen value, whose ``plain()`` is what ``--json`` prints. A group is
imported when it is first used, so that ``from disgorge import api`` costs nothing::

    workspace = api.workspace.open_workspace()
    api.decisions.decide(workspace, "R-1")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from disgorge.training.progress import Pace, Progress
from policies.events import EventKind
from policies.request import OWN_DECISION, Standing
from policies.taxonomy import Defect, Refusal, Scope

if TYPE_CHECKING:
    from disgorge.api import artifacts, checks, decisions, filing, holds, lineage, plans, policies  # isort: split
    from disgorge.api import releases, requests, shards, training, workspace

__all__ = [
    "OWN_DECISION", "Defect", "EventKind", "Pace", "Progress", "Refusal", "Scope", "Standing",
    "artifacts", "checks", "decisions", "filing", "holds", "lineage", "plans", "policies", "releases",
    "requests", "shards", "training", "workspace",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return a group of verbs, imported now."""
    if name not in __all__:
        raise AttributeError(f"module 'disgorge.api' has no attribute {name!r}")
    return import_module(f"disgorge.api.{name}")
