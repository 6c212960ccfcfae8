"""Recipes to carry out, as jobs, what they read, and what carries many out: a :class:`Runner`."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from disgorge.method import Items
from disgorge.training.sandbox.levels import UNCONFINED, Reached
from lineage.records import Json

if TYPE_CHECKING:
    from disgorge.method import Tensors


def method_of(recipe: Mapping[str, Json]) -> str:
    """Return the name of the method of a recipe, or of the model that a question is about."""
    if (question := recipe.get("question")) is not None:
        return str(question["composition"]["method"])
    return str((recipe["layout"]["spec"] if "layout" in recipe else recipe)["method"])


def trains(recipe: Mapping[str, Json]) -> bool:
    """Whether a recipe makes a component; a question is answered, and recorded nowhere."""
    return "question" not in recipe and "layout" not in recipe


def device_of(recipe: Mapping[str, Json]) -> str:
    """Return the device that a recipe, or the model that a question is about, names; laying out takes none."""
    if (question := recipe.get("question")) is not None:
        return str(question["composition"]["spec"].get("device", "cpu"))
    return "cpu" if "layout" in recipe else str(recipe.get("device", "cpu"))


class Inputs(Protocol):
    """What a recipe reads, by digest: from a workspace, or from the folder that a sandboxed job is given."""

    def items(self, shard: str) -> Items:
        """Return a shard's items, in digest order."""

    def tensors(self, component: str) -> "Tensors | Path":
        """Return a component's tensors, or the path of a folder with its files."""

    def artifact(self, artifact: str) -> Path:
        """Return the folder of an artifact's files, to read."""


@dataclass(frozen=True, slots=True)
class Job:
    """One recipe to carry out. ``name`` is for people; ``steps`` lets progress be shown before it starts."""

    name: str
    recipe: dict[str, Json]
    steps: int
    variables: Mapping[str, str] | None = None
    """The variables that steer kernels, as recorded with the part to be made again; None for this machine's own."""
    entry: str | None = None
    """The entry point of what carries it out, where that is no registered method."""
    given: tuple[Items, ...] = ()
    """Items that a question is about: they go with the order, and are no input of a part."""
    resumes: bool = False
    """Whether it keeps checkpoints and goes on from one. A run that shows equal bits does neither."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a job came to: the digest of the bytes now in the object store, or, of a question, the ``answer`` itself.

    ``confinement`` is that of the process it was done in, ``environment`` what it ran on; ``started`` and ``ended`` are
    in UTC.
    """

    job: Job
    digest: str
    started: dt.datetime
    ended: dt.datetime
    confinement: Reached = UNCONFINED
    environment: dict[str, Json] = field(default_factory=dict)
    answer: bytes = b""
    checkpoint: str = ""
    """The digest of the checkpoint that it went on from, "" if it began from nothing."""
    files: bool = False
    """Whether what it made is a folder of files, whose tree has that digest."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.started).total_seconds()


OnProgress = Callable[[str, int, int], None]
"""Called with (job name, steps done, steps in all)."""


def unseen(name: str, done: int, total: int) -> None:
    """Take progress of a job and show nothing."""


def no_more() -> Iterable[Job]:
    """Return no further jobs."""
    return ()


class Runner(Protocol):
    """Carries jobs out, as ``runners.local`` does in sandboxed processes."""

    def run(
        self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, more: Callable[[], Iterable[Job]] = no_more
    ) -> Iterator[Done]:
        """Yield each job as it is done, in any order. Its result is in the object store by then.

        ``more`` is called after each, and returns the jobs that it made possible.
        """

    def close(self) -> None:
        """Let go of whatever carries the jobs out."""
