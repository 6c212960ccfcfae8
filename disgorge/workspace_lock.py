"""Exclusive lock for training and removal.

Data that a removal withdraws at this moment must not be learned from, and two removals must not retire each other's
components. The cost: while one trains, no removal runs in that workspace, and the other way round. Readers, filing,
deciding and planning do not take it.
"""

from contextlib import AbstractContextManager

from lineage.lock import locked
from lineage.workspace import Workspace


def turn(workspace: Workspace, *, then: str) -> AbstractContextManager[None]:
    """Hold the workspace's lock; :class:`~lineage.errors.WorkspaceBusy` at once if it is taken.

    ``then`` says what to do when it is free.
    """
    busy = f"another execution or training is running in this workspace; wait for it to end, then {then}"
    return locked(workspace.home / "execute.lock", seconds=0, busy=busy)
