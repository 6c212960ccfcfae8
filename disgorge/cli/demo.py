"""``disgorge demo``: the main job on real digits, as the repository's example tells it."""

import os
import sys
from typing import Annotated

import typer

from disgorge.cli.options import argument
from disgorge.errors import WrongUse


def demo(
    folder: Annotated[
        str, argument("FOLDER", "The workspace to make; one of the demo's own is made anew.")
    ] = "demo-workspace",
) -> None:
    """Make a workspace of real digits and take three removal requests all the way; run it in the repository."""
    sys.path.insert(0, os.getcwd())
    try:
        from examples.digits.demo import main
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "examples":
            raise
        raise WrongUse("the demo's data and story come with the repository; run `disgorge demo` in a clone") from None
    raise typer.Exit(main(folder))
