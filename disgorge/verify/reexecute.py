"""Re-execution of a report's recorded recipes, in fresh sandboxed processes, from retained data.

A temporary workspace is made from the bundle's inputs and weights, and from what of them a workspace still has; every
recipe is carried out there by :mod:`disgorge.training.runners.local`, inputs before what reads them, and the digest
compared with the one the statement names. So the operator is not believed: the auditor who runs this has trained the
model without the data.

Kernels are steered as they were when a part was made. Where bits differ all the same, they differ for a reason that is
said aloud. In an environment like the recorded one there is none, and the report is refused. On another machine, or
under other versions of libraries, weights are compared with those recorded under the tolerance the statement declares,
at most the installed method's, and the result is *within tolerance*, never *re-executed*. A component that reads
another one is then trained from the recorded other one, which was compared by itself.

Not shown: what is not trained (routing rules and code of a method are this installation's), and unrecorded data. A
recipe is a program of a kind: re-executing one takes as long as the training its maker says it took.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from disgorge.errors import BundleBroken, ExecutionFailed, InputsMissing, KernelsDiffer
from disgorge.evidence.tolerance import Tolerance, apart, tolerance_of
from disgorge.statement.records import AGAIN, RecipeNote
from disgorge.training.environment import UNREPEATED, differences
from disgorge.training.kernels import setting_of
from disgorge.training.recipe import Done, Job, OnProgress, Runner, unseen
from disgorge.training.runners.declared import method_for
from disgorge.training.runners.local import Workers
from disgorge.verify.inputs import check_recipes, furnish
from lineage.errors import LineageError
from lineage.storage.components import is_there, tensors_in
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.verify.bundle import Bundle

Outcome = Literal["re-executed", "within tolerance", "nothing to re-execute"]


@dataclass(frozen=True, slots=True)
class Reexecution:
    """What came of re-executing: how many components are equal bit for bit, and which are only within tolerance.

    ``within`` maps a component's name to its distance in units of what is allowed (at most 1). ``elsewhere`` says in
    words how this machine differs from the recorded one; it may differ and the bits be equal all the same.
    """

    components: int
    equal: int
    within: Mapping[str, float]
    elsewhere: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """Whether all components came out equal, or some only within tolerance."""
        if not self.components:
            return "nothing to re-execute"
        return "within tolerance" if self.within else "re-executed"

    @property
    def words(self) -> str:
        """What may be said of it."""
        where = f" (another environment: {'; '.join(self.elsewhere)})" if self.elsewhere else ""
        if not self.components:
            return "nothing to re-execute: no new model was made"
        if self.outcome == "re-executed":
            return (
                f"re-executed: all {self.components} components, trained again from the retained data in fresh "
                f"processes, are equal bit for bit{where}"
            )
        return (
            f"within tolerance only: {self.equal} of {self.components} components are equal bit for bit, "
            f"{len(self.within)} lie within the declared tolerance in another environment "
            f"({'; '.join(self.elsewhere)}); to compare every bit, re-execute in an environment like the recorded one"
        )


def reexecute(
    bundle: "Bundle", *, workspace_folder: Path | None = None, on_progress: OnProgress = unseen
) -> Reexecution:
    """Carry out every recipe of a verified bundle and return what came of it.

    Raises :class:`InputsMissing` naming all that is lacking, and :class:`BundleBroken` where other bits come out that
    no difference between machines and no tolerance explains.
    """
    recipes = bundle.records.recipes
    if not recipes:
        return Reexecution(0, 0, {}, ())
    check_recipes(recipes)
    with tempfile.TemporaryDirectory(prefix="disgorge-verify-") as folder:
        workspace = Workspace.init(Path(folder))
        furnish(workspace, bundle, workspace_folder)
        return _Trial(bundle, workspace, on_progress).run()


class _Trial:
    """One run over all recipes; collects what differs."""

    def __init__(self, bundle: "Bundle", workspace: Workspace, on_progress: OnProgress) -> None:
        self.workspace = workspace
        self.notes = {note.component: note for note in bundle.records.recipes}
        self.tolerances = {method.name: method.tolerance for method in bundle.predicate.methods}
        self.elsewhere: dict[str, None] = {}
        self.within: dict[str, float] = {}
        self._on_progress = on_progress

    def run(self) -> Reexecution:
        """Carry the recipes out in waves, inputs first."""
        with Workers(self.workspace, count=1) as workers:
            for wave in waves_of(self.notes):
                jobs = {note.component: self._job(note) for note in wave}
                came = {done.job.name: done for done in self._done(workers, list(jobs.values()))}
                for note in wave:
                    self._compare(note, came[note.component])
        equal = len(self.notes) - len(self.within)
        return Reexecution(len(self.notes), equal, self.within, tuple(self.elsewhere))

    def _job(self, note: RecipeNote) -> Job:
        lacking = [digest for digest in note.uses("component") if not is_there(self.workspace.objects, digest)]
        if lacking:
            names = ", ".join(self.notes[digest].name for digest in lacking)
            raise InputsMissing(
                f"{note.name} is trained from the weights of {names}, and neither bundle nor workspace has them; ask "
                "for a bundle written with `disgorge request report REQUEST --with-inputs`"
            )
        return Job(note.component, note.recipe, 0, setting_of(note.environment))

    def _done(self, workers: Runner, jobs: list[Job]) -> Iterator[Done]:
        def named(component: str, done: int, total: int) -> None:
            self._on_progress(self.notes[component].name, done, total)

        try:
            yield from workers.run(jobs, on_progress=named)
        except ExecutionFailed as failed:
            words = str(failed)
            for component, note in self.notes.items():
                words = words.replace(component, note.name)
            if isinstance(failed, KernelsDiffer):
                raise KernelsDiffer(words) from failed
            raise InputsMissing(f"the recipes cannot be carried out here: {words}") from failed

    def _compare(self, note: RecipeNote, done: Done) -> None:
        elsewhere = differences(note.environment, done.environment)
        self.elsewhere |= dict.fromkeys(elsewhere)
        if done.digest == note.component:
            return
        if note.recipe.get("deterministic") is False:
            raise InputsMissing(
                f"{note.name} has other bits here, and {UNREPEATED}: re-executing it shows nothing; verify with "
                "--level attestations"
            )
        if not elsewhere:
            raise BundleBroken(
                f"{note.name} is not what its recipe makes: re-executed in an environment like the recorded one, it "
                f"has other bits ({done.digest[:12]}, recorded {note.component[:12]}); do not rely on this report"
            )
        where = "; ".join(elsewhere)
        if not is_there(self.workspace.objects, note.component):
            raise InputsMissing(
                f"{note.name} has other bits here ({where}), and without its recorded "
                "weights it cannot be told whether they are within tolerance; ask for a bundle written with `disgorge "
                "request report REQUEST --with-inputs`, or re-execute in an environment like the recorded one"
            )
        allowed = self.tolerances.get(note.recipe["method"])
        distance = self._distance(note, done.digest, allowed)
        if distance > 1:
            raise BundleBroken(
                f"{note.name} is not what its recipe makes: re-executed in another environment ({where}), it is "
                f"{distance:.3g} times the tolerance away; do not rely on this report"
            )
        self.within[note.name] = distance

    def _distance(self, note: RecipeNote, digest: str, allowed: Tolerance | None) -> float:
        if allowed is None:
            raise BundleBroken(f"statement.json declares no tolerance for method {note.recipe['method']}; {AGAIN}")
        try:
            again, recorded = (tensors_in(self.workspace.objects, each) for each in (digest, note.component))
        except LineageError as error:
            raise BundleBroken(f"{note.name}: its recorded weights cannot be read; {AGAIN}") from error
        own = tolerance_of(method_for(self.workspace, note.recipe))  # a maker may declare less, never more
        bound = Tolerance(min(allowed.whole, own.whole), min(allowed.tensor, own.tensor))
        return apart(recorded, again, bound)


def waves_of(notes: Mapping[str, RecipeNote]) -> list[list[RecipeNote]]:
    """Return recipes in groups, each of which reads only components of the groups before it.

    Raises :class:`BundleBroken` for recipes that read one another in a circle.
    """
    order = TopologicalSorter({digest: set(note.uses("component")) & set(notes) for digest, note in notes.items()})
    try:
        order.prepare()
    except CycleError as error:
        raise BundleBroken(f"recipes.json: recipes read one another in a circle; {AGAIN}") from error
    waves = []
    while ready := sorted(order.get_ready()):
        waves.append([notes[digest] for digest in ready])
        order.done(*ready)
    return waves
