"""``disgorge train``: make the components of a model that are missing, and release it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import Refused, going_on
from disgorge.cli.output.progress import Display, Pace, Watched, shown
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import worker_count

if TYPE_CHECKING:
    from disgorge.method import Blueprint
    from disgorge.training.make import Made
    from disgorge.training.recipe import Done


def train(
    model: Annotated[
        Path, typer.Argument(help="MODEL.yaml: method, shards, release name, parameters.", metavar="MODEL")
    ],
    as_json: AsJson = False,
) -> None:
    """Train what is missing of a model, record what learned from what, and release it under its alias."""
    from disgorge.errors import ReleaseContained
    from disgorge.release.train import lay_out, train_release
    from disgorge.request.case import docket
    from disgorge.request.holds.out_of_service import stopped_releases
    from disgorge.training.model_file import read_model_file
    from disgorge.training.runners.local import Workers
    from lineage.workspace import Workspace

    spec = read_model_file(model)
    workspace = Workspace.open()
    again = f"interrupted; components that were finished stand, go on with `disgorge train {model}`"
    with going_on(lambda: again), shown(quiet=as_json) as display, Workers(workspace, count=worker_count()) as workers:
        whole = _Whole(display, lay_out(workspace, spec))
        runner = Watched(workers, display, on_done=whole.done)
        try:
            made = train_release(workspace, spec, runner, on_progress=whole.progress)
        except ReleaseContained as held:
            raise Refused(str(held)) from None
    stopped = stopped_releases(workspace.ledger.facts(), docket(workspace)).get((spec.release, spec.alias), ())
    if as_json:
        _write(made, spec.release, spec.alias, stopped)
    else:
        _print(made, spec.release, spec.alias, stopped)


class _Whole:
    """How far the whole training has come, counted in optimizer steps."""

    def __init__(self, display: Display, blueprints: "tuple[Blueprint, ...]") -> None:
        self._display = display
        self._total = sum(max(blueprint.steps, 1) for blueprint in blueprints)
        self._steps: dict[str, int] = {}
        self._pace = Pace()
        self._show()

    def progress(self, name: str, done: int, total: int) -> None:
        """Take how far one component has come."""
        self._steps[name] = done
        self._show()

    def done(self, done: "Done") -> None:
        """Take that a component is trained."""
        self._steps[done.job.name] = max(done.job.steps, 1)
        self._show()
        self._display.say(f"trained {done.job.name} in {show.seconds(done.seconds)}")

    def _show(self) -> None:
        done = sum(self._steps.values())
        self._display.whole("training", done=done, total=self._total)
        self._display.left(self._pace.left(done, self._total) if self._steps else None)


def _print(made: "Made", release: str, alias: str, stopped: tuple[str, ...]) -> None:
    from disgorge.request.holds.out_of_service import stopped_words

    rows = [
        (
            component.name,
            component.kind,
            "trained" if component.name in made.trained else "there already",
            component.cost.steps,
            show.seconds(component.cost.seconds),
            show.short(component.digest),
        )
        for component in made.components
    ]
    show.table(("component", "kind", "", "steps", "took", "digest"), rows)
    show.line(f"composition {made.composition.digest}")
    show.line(f"released as {release}@{alias}")
    if stopped:
        show.warn(f"{release}@{alias} is not served: {stopped_words(stopped)}, because it learned from held items")


def _write(made: "Made", release: str, alias: str, stopped: tuple[str, ...]) -> None:
    components = [
        {
            "name": component.name,
            "kind": component.kind,
            "digest": component.digest,
            "cost": component.cost,
            "trained": component.name in made.trained,
        }
        for component in made.components
    ]
    value = {"release": release, "alias": alias, "composition": made.composition.digest, "components": components}
    show.write_json(value | {"stopped_by": stopped})
