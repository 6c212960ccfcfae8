"""Room on the disk for what a command is about to train, asked before its first step.

What a component will take is what it took the last time; one that was never trained is not counted, and the job that
makes it asks again when its size is known. A job has a copy of its inputs while it runs.
"""

import shutil
from collections.abc import Iterable

from disgorge.errors import ExecutionFailed
from lineage.records import Component
from lineage.storage.components import size_of
from lineage.workspace import Workspace

_AT_A_TIME = 2
"""Jobs that run side by side, each with a copy of its inputs."""


def require_room(workspace: Workspace, again: Iterable[Component], *, runs: int = 1, then: str) -> None:
    """Raise :class:`ExecutionFailed` unless there is room to train these components again, each ``runs`` times.

    ``then`` is the command to repeat.
    """
    made, inputs = 0, [0]
    for component in again:
        made += size_of(workspace.objects, component.digest)
        inputs.append(sum(_size(workspace, use.digest) for use in component.uses))
    needed = made * runs + sum(sorted(inputs)[-_AT_A_TIME:])
    if needed > (free := shutil.disk_usage(workspace.home).free):
        raise ExecutionFailed(
            f"{workspace.home}: training takes about {needed:,} bytes of disk and {free:,} are free; "
            f"nothing was begun, make room and {then}"
        )


def _size(workspace: Workspace, digest: str) -> int:
    content = workspace.content_path(digest)
    return content.stat().st_size if content.is_file() else size_of(workspace.objects, digest)
