"""Jobs carried out in this process, one after the other."""

import time
from collections.abc import Iterable, Iterator
from functools import partial

from disgorge.training.environment import environment_in_use
from disgorge.training.recipe import Done, Job, OnProgress, carry_out, libraries_of, unseen
from lineage.workspace import Workspace


class InProcessRunner:
    """Carries jobs out in this process, one after the other. What tests of small models use."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Yield each job as it is done, in the order given."""
        for job in jobs:
            start = time.perf_counter()
            tensors = carry_out(self.workspace, job.recipe, progress=partial(on_progress, job.name))
            environment = environment_in_use(libraries_of(job.recipe))
            digest = self.workspace.objects.put(tensors)
            yield Done(job, digest, time.perf_counter() - start, environment=environment)

    def close(self) -> None:
        """There is nothing to let go of."""
