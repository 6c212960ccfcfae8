"""The checkpoints of the jobs that one command carries out: which one a job goes on from, and what it keeps.

A job goes on from the checkpoint of its recipe only where this run is like the one that left it: in an environment that
decides the same bits, with the same distributions installed, and confined no more closely than that run was. So what is
attested of the whole run holds for its beginning too. A checkpoint that does not fit is not used, which is said in one
line, and the job begins anew; so does the next run after one that failed by its own doing.

The cost: a run of another environment loses what an earlier one had reached, for there is one checkpoint a recipe.
"""

from collections.abc import Callable, Iterable, Mapping

from disgorge.attestation.checkpoints import Checkpoint, checkpoint_of, delete_checkpoint, keep_checkpoint
from disgorge.attestation.provenance import DISTRIBUTIONS
from disgorge.attestation.standing import Refusal
from disgorge.errors import DisgorgeError
from disgorge.training.code.distributions import not_as_installed
from disgorge.training.environment import unlike_here
from disgorge.training.recipe import Done, Job
from disgorge.training.sandbox.levels import Reached
from lineage.errors import LineageError
from lineage.records import Component, Json
from lineage.workspace import Workspace

SECONDS_BETWEEN = 60.0
"""How long a job works before it keeps its state, and again each time: what a kill may cost."""


def unsaid(words: str) -> None:
    """Take what an operator would be told, and show nothing."""


class KeptCheckpoints:
    """The checkpoints of a workspace's jobs; ``say`` takes what the operator is told, a line each."""

    def __init__(self, workspace: Workspace, say: Callable[[str], None] = unsaid) -> None:
        self.workspace = workspace
        self._say = say
        self._unkept: set[str] = set()

    def last(self, job: Job, libraries: Iterable[str], confinement: Reached) -> Checkpoint | None:
        """Return the checkpoint that a job goes on from where it is confined so, None if it begins from nothing.

        ``libraries`` are the modules that its method uses.
        """
        if not job.resumes:
            return None
        try:
            found = checkpoint_of(self.workspace, job.recipe)
            if found is not None:
                _require_alike(found, libraries, confinement)
        except (Refusal, DisgorgeError, LineageError) as error:
            self._say(f"{job.name} begins anew, its checkpoint is not used: {error}")
            return None
        if found is not None:
            self._say(f"{job.name} goes on from its checkpoint of {found.attested.ended[:19]} UTC")
        return found

    def keep(self, reached: Done, data: bytes) -> None:
        """Keep the state that a job has reached; where that fails, it is said once and the job goes on."""
        job, digest = reached.job, reached.digest
        unfinished = Component(digest, job.name, job.recipe["kind"], (), job.recipe, environment=reached.environment)
        try:
            keep_checkpoint(self.workspace, unfinished, reached, data)
        except (DisgorgeError, LineageError) as error:
            if job.name not in self._unkept:
                self._unkept.add(job.name)
                self._say(f"{job.name} goes on without a checkpoint, a kill would cost all it did: {error}")

    def delete(self, job: Job) -> None:
        """Delete what a job kept."""
        if job.resumes:
            delete_checkpoint(self.workspace, job.recipe)


def _require_alike(found: Checkpoint, libraries: Iterable[str], confinement: Reached) -> None:
    """Raise :class:`Refusal` unless a run that goes on from a checkpoint is like the one that left it."""
    made = found.attested
    if not made.level.at_least(confinement.level) or not set(made.gaps) <= set(confinement.gaps):
        at = ", ".join((made.level.value, *made.gaps))
        raise Refusal(f"it was made at level {at}, and this run is confined more closely")
    used: Mapping[str, Json] = made.environment.get(DISTRIBUTIONS, {})
    if other := (*unlike_here(made.environment, libraries), *not_as_installed(used)):
        raise Refusal(f"it was made in another environment ({', '.join(other)})")
