"""A kind that does what none may, so that a test shows that it is noticed."""

import os
import signal

import typer

from tests.fuzz.place import Place

NAME = "misbehaved"


def case(place: Place, number: int) -> str:
    """Crash, run planted code, fail, move a cursor, write elsewhere; the last case is fine."""
    place.fresh("empty", kind="misbehaved", number=number)
    match number:
        case 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        case 1:
            (place.root / "CANARY").touch()
        case 2:
            _broken_verb("nobody")
        case 3:
            _broken_verb("escape")
        case 4:
            (place.outer / "outside" / "new.txt").touch()
    if number < 4:
        place.run("audit")
    return "fine" if number == 5 else "undone"


def _broken_verb(how: str) -> None:
    """Make the audit fail in a way of its own, for the rest of this process's case."""
    from disgorge.cli import app as verbs

    def audit() -> None:
        if how == "nobody":
            raise RuntimeError("unheard of")
        typer.echo("\x9b31m")

    for command in verbs.app.registered_commands:
        if command.name == "audit":
            command.callback = audit
