"""Carries recipes out: the one way a component comes to be.

:func:`carry_out` reads what a recipe names by digest, verifies it, trains, and returns canonical bytes. First training,
retraining, probes' references and never-trained re-execution all go through it, so that "same recipe, same digest" is
tested by every run. A :class:`Runner` carries many out: in this process, or in fresh ones.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from disgorge.errors import ExecutionFailed
from disgorge.method import Progress, method_named, no_progress
from disgorge.training.answer import answer
from disgorge.training.items import read_items, threads
from lineage.records import Json
from lineage.storage.objects import load_tensors, save_tensors
from lineage.workspace import Workspace


def carry_out(workspace: Workspace, recipe: Mapping[str, Json], *, progress: Progress = no_progress) -> bytes:
    """Return the safetensors bytes a recipe determines, trained here and now from what it names by digest.

    Raises what reading raises (``DigestMismatch``, ``UnknownRecord``) and :class:`ExecutionFailed` where another
    version of the method is installed. Questions (:mod:`disgorge.training.answer`) are carried out alike: the
    result is the answers.
    """
    if "questions" in recipe:
        return answer(workspace, recipe["questions"])
    method = method_named(recipe["method"])
    if method.version != recipe["version"]:
        raise ExecutionFailed(
            f"recipe wants {method.name} {recipe['version']}, installed is {method.version}; install that version"
        )
    items = tuple(read_items(workspace, use["digest"]) for use in recipe["uses"] if use["of"] == "shard")
    parts = tuple(
        load_tensors(workspace.objects.get(use["digest"])) for use in recipe["uses"] if use["of"] == "component"
    )
    with threads(recipe["threads"]):
        tensors = method.train(recipe["kind"], recipe["parameters"], items, parts, progress=progress)
    return save_tensors(tensors)


def libraries_of(recipe: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the modules of libraries that the method of a recipe, or of the model that questions are about, uses."""
    asked = recipe.get("questions")
    return method_named(asked[0]["composition"]["method"] if asked else recipe["method"]).libraries


@dataclass(frozen=True, slots=True)
class Job:
    """One recipe to carry out. ``name`` is for people; ``steps`` lets progress be shown before it starts."""

    name: str
    recipe: dict[str, Json]
    steps: int
    variables: Mapping[str, str] | None = None
    """The variables that steer kernels, as recorded with the part to be made again; None for this machine's own."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a job came to: the digest of the bytes now in the object store, and the seconds it took.

    ``confined`` says that the process could open nothing but its inputs and installed code; ``environment`` is the one
    it was done in.
    """

    job: Job
    digest: str
    seconds: float
    confined: bool = False
    environment: dict[str, Json] = field(default_factory=dict)


OnProgress = Callable[[str, int, int], None]
"""Called with (job name, steps done, steps in all)."""


def unseen(name: str, done: int, total: int) -> None:
    """Take progress of a job and show nothing."""


class Runner(Protocol):
    """Carries jobs out: ``runners.in_process`` in this process, ``runners.local`` in fresh ones."""

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Yield each job as it is done, in any order. Its result is in the object store by then."""

    def close(self) -> None:
        """Let go of whatever carries the jobs out."""
