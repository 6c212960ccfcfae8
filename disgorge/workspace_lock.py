"""One at a time: whoever trains or removes in a workspace holds its turn.

Data that a removal withdraws at this moment must not be learned from, and two removals must not retire each other's
components. The cost: while one trains, no removal runs in that workspace, and the other way round. Readers, filing,
deciding and planning need no turn.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from lineage.errors import WorkspaceBusy
from lineage.workspace import Workspace


@contextmanager
def turn(workspace: Workspace, *, then: str) -> Iterator[None]:
    """Hold the workspace's turn; :class:`~lineage.errors.WorkspaceBusy` at once if it is taken.

    ``then`` says what to do when it is free.
    """
    try:
        with FileLock(workspace.home / "execute.lock", timeout=0):
            yield
    except Timeout as error:
        raise WorkspaceBusy(
            f"another execution or training is running in this workspace; wait for it to end, then {then}"
        ) from error
