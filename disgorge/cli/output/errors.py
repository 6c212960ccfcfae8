"""Turns an error into one line and an exit code.

====  ==========================================================================
code  means
====  ==========================================================================
0     fine
1     findings, or a refused check
2     wrong use, or input that cannot be taken
3     the machine failed: a disk, a permission, an unexpected error
4     inconclusive: the environment here is not the recorded one
130   interrupted from the keyboard
====  ==========================================================================

No traceback reaches a user. A developer who looks for a bug sets ``DISGORGE_TRACEBACK=1`` to get that of an unexpected
error.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from lineage.activity import activity
from lineage.printable import printable

INCONCLUSIVE = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
USAGE: Any = typer.BadParameter.__base__  # typer's own UsageError, which it has no public name for


_TYPED = (errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a path that no machine could open: it was typed wrong."""
_LONGEST, _ENDING = 2_000, 400
"""Characters of an error's line, and of its end, which says what to do; names that were typed may be of any length."""
_VERB = "disgorge.verb"
RUNNING = "running disgorge"
"""How the activity of a command as a whole begins."""
_AGAIN = "interrupted; what was recorded stands, run the same command again to go on"


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C in the middle of something; the words say what stands and how to go on."""


@contextmanager
def going_on(words: Callable[[], str]) -> Iterator[None]:
    """Say what ``words`` returns then if the user presses Ctrl-C inside the block."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(words()) from None
    except Exception as error:
        if _interrupted(error):
            raise Interrupted(words()) from None
        raise


class Verbs(TyperGroup):
    """The group of all verbs; handles every error that a verb or typer raises."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the arguments before the verb; one that is wrong becomes one line."""
        ctx.meta[_VERB] = list(_verb_among(self.commands, args))
        if twice := _given_twice(self.commands, args):
            verb = " ".join(["disgorge", *ctx.meta[_VERB]])
            raise failed(f"{twice} is given twice, and takes one value; `{verb} --help` says what there is", 2)
        try:
            return super().parse_args(ctx, args)
        except USAGE as error:
            raise _misused(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; an error of the package or the machine becomes one line and an exit code."""
        try:
            with activity(" ".join([RUNNING, *ctx.meta[_VERB]])):
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise failed(_AGAIN, INTERRUPTED) from None
        except USAGE as error:
            raise _misused(error) from None
        except Exception as error:
            if _belongs_to_typer(error) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise
            if _interrupted(error):
                raise failed(_AGAIN, INTERRUPTED) from None
            if not _expected(error) and os.environ.get("DISGORGE_TRACEBACK"):
                raise
            raise failed(words_of(error), exit_code_of(error)) from None


def _verb_among(commands: Any, args: list[str]) -> Iterator[str]:
    """Yield the words of the verb that arguments begin with, "shard" and "add"."""
    for word in args:
        if word not in commands:
            return
        yield word
        commands = getattr(commands[word], "commands", {})


def _given_twice(commands: Any, args: list[str]) -> str | None:
    """Return an option that takes one value and is given two, of which the first would silently not count."""
    verb = list(_verb_among(commands, args))
    command = None
    for word in verb:
        command = commands[word]
        commands = getattr(command, "commands", {})
    if command is None or commands:
        return None
    options = {name: each for each in command.params if each.param_type_name == "option" for name in each.opts}
    seen, words = set(), iter(args[len(verb) :])
    for word in words:
        if word == "--":
            return None
        name, sign, _ = word.partition("=") if word.startswith("--") else (word, "", "")
        option = options.get(name)
        if option is None or option.is_flag or option.multiple or option.count:
            if option is not None and option.multiple and not sign:
                next(words, None)
            continue
        if option.name in seen:
            return name
        seen.add(option.name)
        if not sign:
            next(words, None)
    return None


def failed(words: str, code: int) -> typer.Exit:
    """Print the one line and return the exit to raise."""
    sys.stdout.flush()
    typer.echo(f"error: {brief(printable(words))}", err=True)
    return typer.Exit(code)


def brief(words: str) -> str:
    """Return an error's words; of very long ones the beginning and the end, which says what to do."""
    if len(words) <= _LONGEST:
        return words
    return f"{words[: _LONGEST - _ENDING]} ... {words[-_ENDING:]}"


def _misused(error: Any) -> Exception:
    """Return the exit for options that do not fit, said on one line; a group without a verb shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return error  # type: ignore[no-any-return]
    words = error.format_message().replace("Value error, ", "").rstrip(".")
    command = error.ctx.command_path if error.ctx else "disgorge"
    return failed(f"{words[:1].lower()}{words[1:]}; `{command} --help` says what there is", 2)


def exit_code_of(error: Exception) -> int:
    """Return the exit code that an error calls for."""
    from disgorge.errors import BundleBroken, CertificateRefused, EnvironmentDiffers, KeyMismatch, Refused
    from lineage.errors import DigestMismatch, ExpectationsFailed, LedgerBroken

    if isinstance(error, Interrupted):
        return INTERRUPTED
    if isinstance(error, EnvironmentDiffers):
        return INCONCLUSIVE
    damaged = (BundleBroken, DigestMismatch, KeyMismatch, LedgerBroken)
    if isinstance(error, (Refused, CertificateRefused, ExpectationsFailed, *damaged)):
        return 1
    if isinstance(error, OSError) and error.errno in _TYPED:
        return 2
    if not _expected(error) or _machine(error):
        return 3
    return 2


def words_of(error: Exception) -> str:
    """Return what to say about an error, on one line."""
    from pydantic import ValidationError

    from lineage.errors import fields_of

    if isinstance(error, ValidationError):
        return fields_of(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}; what was recorded stands, put that right and run the command again"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":  # the latter is DuckDB's
        return "not enough memory; what was recorded stands, close something and run the command again"
    if _expected(error):
        return str(error)
    return (
        f"unexpected error ({type(error).__name__}: {error}); what was recorded stands; please report it with what "
        f"DISGORGE_TRACEBACK=1 shows"
    )


def _interrupted(error: Exception) -> bool:
    """Whether an error is what DuckDB makes of Ctrl-C in the middle of a query."""
    return type(error).__name__ == "InterruptException" or (
        isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    )


def _machine(error: Exception) -> bool:
    """Whether the machine failed: an OSError, or our words for one that met the disk and not the input."""
    from disgorge.errors import ExecutionFailed, KernelsDiffer, TrackingFailed
    from lineage.errors import LineageError

    if isinstance(error, OSError | MemoryError | TrackingFailed | KernelsDiffer):
        return True
    return type(error) in (LineageError, ExecutionFailed) and isinstance(error.__cause__, OSError)


def _expected(error: Exception) -> bool:
    from pydantic import ValidationError

    from disgorge.errors import DisgorgeError
    from lineage.errors import LineageError
    from policies.errors import PolicyError

    ours = (LineageError, PolicyError, DisgorgeError, Interrupted)
    return isinstance(error, (*ours, ValidationError, OSError, MemoryError))


def _belongs_to_typer(error: Exception) -> bool:
    """Whether typer itself knows what to do: exits, aborts and its complaints about usage."""
    return type(error).__module__.partition(".")[0] in ("typer", "click")
