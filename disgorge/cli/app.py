"""All verbs under one name, and the program's entry point."""

import os
import sys
from contextlib import suppress

import typer

from disgorge.cli import artifact, checks, decide, execute, ledger, policy, release, request, shard, train, workspace
from disgorge.cli.output.errors import INTERRUPTED, Verbs
from disgorge.cli.output.heartbeat import heartbeat

app = typer.Typer(
    cls=Verbs,
    name="disgorge",
    help="Find what learned from an item, remove it from every model, and report what was shown.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 findings or a refused check, 2 wrong use or bad input, 3 the machine failed, 4 "
    "inconclusive: the environment here is not the recorded one.",
)

app.command("init")(workspace.init)
app.command("doctor")(workspace.doctor)
app.command("demo")(workspace.demo)
app.command("audit")(checks.audit)
app.command("trace")(workspace.trace)
app.command("verify")(checks.verify)
app.command("train")(train.train)
app.command("attest")(train.attest)
app.add_typer(shard.app, name="shard")
app.add_typer(artifact.app, name="artifact")
app.add_typer(request.app, name="request")
app.add_typer(release.app, name="release")
app.add_typer(execute.purges, name="purge")
app.add_typer(policy.app, name="policy")
app.add_typer(ledger.app, name="ledger")
__all__ = ["app", "decide", "run"]


@app.callback(invoke_without_command=True)
def start(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Find what learned from an item, remove it from every model, and report what was shown."""
    if version:
        from disgorge import __version__

        typer.echo(__version__)
        raise typer.Exit()


def run() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a name must not end a removal
    try:
        with heartbeat():
            app(prog_name="disgorge")
    except KeyboardInterrupt:  # before a verb began, or while Python was ending
        os._exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # at once: libraries complain of what was cut short in the middle of a call
            if (workers := sys.modules.get("disgorge.training.runners.local")) is not None:
                workers.close_all()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(INTERRUPTED)
        raise
