"""Cases that break every rule of the harness, so that a test shows that each breach is noticed."""

import os
import signal
from collections.abc import Callable

import typer

from tests.fuzz.place import Place

CRASH, BREACHES = "selftest-crash", "selftest-breaches"
"""The first ends its process, so that the second shows that the next kind still runs."""


def crash(place: Place, number: int) -> str:
    """End the process as a native library does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return "survived"


def breach(place: Place, number: int) -> str:
    """Run planted code, raise what no verb may, move a cursor, write outside; case 3 is fine."""
    place.fresh("empty", kind=BREACHES, number=number)
    match number:
        case 0:
            (place.root / "CANARY").touch()
        case 1:
            _broken_verb(place, lambda: 1 / 0)
        case 2:
            _broken_verb(place, lambda: typer.echo("\x9b31m"))
        case 4:
            (place.outer / "outside" / "new.txt").touch()
    return "fine"


def _broken_verb(place: Place, audit: Callable[[], object]) -> None:
    """Run the audit as a function of its own, for the rest of this process."""
    from disgorge.cli import app as verbs

    next(command for command in verbs.app.registered_commands if command.name == "audit").callback = audit
    place.run("audit")
