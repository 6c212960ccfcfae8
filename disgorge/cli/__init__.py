"""The command line: one file per group of verbs; no other package imports it.

Every verb imports what it needs when it runs, so that ``disgorge --help`` answers at once.
"""

import gc
import os

_OBJECTS = 50_000
"""New objects between two looks for cycles; Python's 700 looks some hundred times while a command's libraries load."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_OBJECTS)
    try:
        from disgorge.cli.app import run
    except KeyboardInterrupt:  # the verbs are still being read
        os._exit(130)  # as disgorge.cli.output.errors has it

    run()
