"""``disgorge train`` and ``disgorge attest``: models, and what shows where their components come from."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, MaybeBy, Text, argument, option
from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import going_on
from disgorge.cli.output.progress import shown
from disgorge.errors import WrongUse


def train(
    models: Annotated[list[Path], argument("MODEL...", "MODEL.yaml: method, shards, release name, parameters.")],
    twice: Annotated[
        bool, option("--twice", "Then train the cheapest component a second time: do the same bytes come out?")
    ] = False,
    check: Annotated[
        bool, option("--check", "Train nothing: say what would be trained from what, and what would be refused.")
    ] = False,
    imports: Annotated[bool, option("--import", "With --check: also import your code, in a confined process.")] = False,
    expect: Annotated[
        Text, option("--expect", "With --check: what removals will cost; 2%/year of all people, or 20/year.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train what is missing of a model, record what learned from what, and release it under its alias.

    Several models are trained side by side: a part of one, while parts of another one wait for what they read. With
    --check exit 2 if something would be refused. With --twice exit 1 if other bytes came out, 4 if the environment here
    may be why.
    """
    if check:
        if twice or len(models) > 1:
            raise WrongUse("--check looks at one model file and trains nothing; leave --twice and other files out")
        checked = api.training.check(api.workspace.open_workspace(), models[0], imports=imports, expect=expect)
        show.result(checked, as_json)
        raise typer.Exit(checked.exit_code)
    if imports or expect is not None:
        raise WrongUse("--import and --expect go with --check; add it, or leave them out")
    words = (
        f"interrupted; components that were finished stand, go on with `disgorge train {' '.join(map(str, models))}`"
    )
    workspace = api.workspace.open_workspace()
    with going_on(lambda: words), shown(quiet=as_json) as display:
        trained = api.training.train_all(workspace, models, twice=twice, progress=display)
    show.result(trained.models[0] if len(models) == 1 else trained, as_json)
    raise typer.Exit(trained.exit_code)


def attest(
    release: Annotated[
        str | None, argument("RELEASE", "NAME or NAME@ALIAS; every live release by default.", show_default=False)
    ] = None,
    again: Annotated[bool, option("--again", "Also run a second time what no second run made again.")] = False,
    component: Annotated[Text, option("--component", "One component that was recorded by hand.")] = None,
    recipe: Annotated[
        Path | None, option("--recipe", "MODEL.yaml that makes it; by default the recipe that it was recorded with.")
    ] = None,
    accept: Annotated[
        Text, option("--accept", "Digest of what its recipe made: put that in the place of what is recorded.")
    ] = None,
    by: MaybeBy = None,
    as_json: AsJson = False,
) -> None:
    """Run components that lack an attestation, confined, and record the runs, so that no removal has to.

    Exit 1 if a run made other bytes than are recorded, 4 if the environment here may be why.
    """
    if accept is not None:
        if component is None or release is not None or recipe is not None or again:
            raise WrongUse("--accept goes with --component and --by alone; leave RELEASE, --again and --recipe out")
        show.result(api.training.accept(api.workspace.open_workspace(), component, accept, by=by), as_json)
        return
    words = "interrupted; runs that were finished are recorded, run the same command again to go on"
    workspace = api.workspace.open_workspace()
    with going_on(lambda: words), shown(quiet=as_json) as display:
        attested = api.training.attest(
            workspace, release, again=again, component=component, recipe=recipe, progress=display
        )
    show.result(attested, as_json)
    raise typer.Exit(attested.exit_code)
