"""Jobs carried out in this process, one after the other: what tests of small models use."""

import contextlib
import datetime as dt
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

from disgorge.method import method_named
from disgorge.training.carry_out import carry_out
from disgorge.training.environment import environment_in_use
from disgorge.training.recipe import Done, Job, OnProgress, method_of, no_more, trains, unseen
from disgorge.training.sandbox.levels import Level, Reached
from disgorge.training.stored import Stored
from lineage.records import Json
from lineage.storage.components import keep_folder
from lineage.workspace import Workspace


class InProcessRunner:
    """Carries jobs out in this process, which sees all of the workspace.

    With ``claims`` it says that they were confined so, for tests of what comes after: what rests on confinement itself
    is tested with processes of their own.
    """

    def __init__(self, workspace: Workspace, *, claims: Level = Level.PROCESS) -> None:
        self.workspace = workspace
        self.confinement = Reached(claims)

    def run(
        self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, more: Callable[[], Iterable[Job]] = no_more
    ) -> Iterator[Done]:
        """Yield each job as it is done, in the order given."""
        workspace, todo = self.workspace, deque(jobs)
        while todo:
            job = todo.popleft()
            started = dt.datetime.now(dt.UTC)
            named = EntryPoint("method", job.entry, "disgorge.methods") if job.entry else None
            method = named.load() if named else method_named(method_of(job.recipe))
            recipe = self._kept_from_looking(job.recipe) if job.entry else job.recipe
            progress = partial(on_progress, job.name)
            files, digest, answer = False, "", b""
            with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
                made = carry_out(Stored(workspace), recipe, method=method, given=job.given, progress=progress)
                if isinstance(made, Path):
                    files, digest = True, keep_folder(workspace.objects, made)
                elif trains(job.recipe):
                    digest = workspace.objects.put(made)
                else:
                    answer = made
            environment = environment_in_use(() if "layout" in job.recipe else method.libraries)
            ended = dt.datetime.now(dt.UTC)
            yield Done(job, digest, started, ended, self.confinement, environment, answer, files=files)
            todo += more()

    def _kept_from_looking(self, recipe: Mapping[str, Json]) -> dict[str, Json]:
        """The recipe of a planted job, whose ways lead nowhere where jobs are said to be confined."""
        ways = recipe["parameters"].get("ways", {})
        if self.confinement.level is not Level.PROCESS:
            ways = {name: ("file", "") for name in ways}
        return {**recipe, "parameters": {"ways": ways}}

    def close(self) -> None:
        """There is nothing to let go of."""
