"""The command line: one file per group of verbs; no other package imports it.

Every verb imports what it needs when it runs, so that ``disgorge --help`` answers at once.
"""

import os


def main() -> None:
    """Run the command line."""
    try:
        from disgorge.cli.app import run
    except KeyboardInterrupt:  # the verbs are still being read
        os._exit(130)  # as disgorge.cli.output.errors has it

    run()
