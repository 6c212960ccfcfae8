"""The command line: one file per group of verbs; nobody imports it.

Every verb imports what it needs when it runs, so that ``disgorge --help`` answers at once.
"""


def main() -> None:
    """Run the command line."""
    from disgorge.cli.app import run

    run()
