"""The program as a whole: help is quick and light, usage errors exit 2, every verb takes --json."""

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import disgorge
from disgorge.cli.app import app
from tests.disgorge.cli.conftest import RELEASE, fine, run, untouched

HEAVY = {"torch", "diffusers", "mlflow", "great_expectations", "dvc", "pandas", "sklearn"}
COMMAND = [sys.executable, "-c", "from disgorge.cli import main; main()"]


def verbs() -> Iterator[tuple[str, ...]]:
    """Every verb as it is typed."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            yield from ((name, verb) for verb in command.commands)
        else:
            yield (name,)


def loaded_by(workspace_folder: Path, *arguments: str) -> set[str]:
    """The modules that a command loads, by their first name."""
    code = (
        f"import sys; from disgorge.cli.app import app\ntry:\n    app({list(arguments)!r})\nexcept SystemExit: pass\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=workspace_folder)
    return set(ran.stdout.rpartition("loaded:")[2].split())


def test_every_verb_has_help_and_takes_json() -> None:
    for verb in verbs():
        shown = fine(" ".join(verb), "--help").out
        assert "--json" in shown or verb == ("demo",), verb


def test_every_verb_of_the_design_is_there() -> None:
    wanted = """
        init audit trace verify train attest
        shard:add shard:list shard:show shard:check
        request:file request:list request:show request:impact request:decide request:plan request:approve
        request:execute request:resume request:deny request:hold request:extend request:report
        release:list release:show release:predict release:sample
        policy:list policy:explain policy:test ledger:verify ledger:export
    """
    assert {tuple(verb.split(":")) for verb in wanted.split()} <= set(verbs())


def test_an_option_that_takes_one_value_is_given_once(workspace_folder: Path) -> None:
    """The first of two would not count, and no one would see it."""
    asked = "request file --ground privacy --regime gdpr --subject shard-2-person-1"
    with untouched(workspace_folder):
        for twice in (("--standing", "data-subject", "--standing", "regulator"), ("--id", "a", "--id=b")):
            ran = run(asked, *twice)
            said = f"error: {twice[0]} is given twice, and takes one value; `disgorge request file --help` says what"
            assert (ran.code, ran.err.startswith(said)) == (2, True), ran
        assert "--received is given twice" in run("request amend R-1 --received=a --received b").err
        assert "unknown request 'R-1'" in run("request show R-1 --json --json").err
    told = fine(f"{asked} --standing data-subject --note --standing --source a --source b --unmatched")
    assert told.out.startswith("filed ")


def test_the_version_is_told() -> None:
    assert fine("--version").out == f"{disgorge.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (("--help",), HEAVY | {"duckdb", "pyarrow", "numpy", "pydantic"}),
        (("request", "file", "--help"), HEAVY | {"duckdb", "pyarrow"}),
        (("audit",), HEAVY - {"pandas"}),  # which pyarrow looks for by itself
        (("trace", "shard-2"), HEAVY - {"pandas"}),
        (("request", "list"), HEAVY | {"duckdb"}),
        (("ledger", "verify"), HEAVY | {"duckdb"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_nothing_heavy_is_loaded(workspace_folder: Path, arguments: tuple[str, ...], heavy: set[str]) -> None:
    assert not loaded_by(workspace_folder, *arguments) & heavy


def test_help_answers_at_once(empty: Path) -> None:
    """In processor time, which another program that is busy does not take."""
    took = []
    for _ in range(2):  # the first warms the disk's cache
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, "--help"], check=True, capture_output=True, cwd=empty)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.5


def test_output_that_nobody_reads_to_the_end_is_no_error(workspace_folder: Path) -> None:
    line = f"{sys.executable} -c 'from disgorge.cli import main; main()' ledger export | head -c 10"
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=workspace_folder, check=False)
    assert "Traceback" not in ran.stderr
    assert "error" not in ran.stderr


def test_a_full_disk_is_the_machines_failure(workspace_folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "shard", "list"]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=workspace_folder, check=False)
    assert ran.returncode == 3
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("error: No space left on device")


def test_a_disk_full_while_recording_loses_nothing(workspace_folder: Path) -> None:
    """The ledger may not grow: what a write beyond the limit meets is what it meets on a full disk."""
    workspace = workspace_folder / ".disgorge" / "ledger.jsonl"
    code = (
        "import resource; from disgorge.cli import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({workspace.stat().st_size}, {workspace.stat().st_size}))\nmain()"
    )
    arguments = "request file --standing internal --ground bias --regime quality --key x --unmatched".split()
    with untouched(workspace_folder):
        command = [sys.executable, "-c", code, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=workspace_folder)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("error: ")
    assert "nothing was recorded" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert run("ledger verify").code == 0


def test_ctrl_c_says_what_stands_and_how_to_go_on(workspace_folder: Path) -> None:
    (workspace_folder / "model.yaml").write_text(
        f"release: {RELEASE}\nmethod: averages\ncore: [core]\nshards: [shard-1, shard-2]\nseed: 99\n"
    )
    begun = workspace_folder / ".disgorge" / "execute.lock"
    with subprocess.Popen(
        [*COMMAND, "train", "model.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=workspace_folder,
    ) as process:
        deadline = time.monotonic() + 30
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == ("error: interrupted; components that were finished stand, go on with `disgorge train model.yaml`\n")
    assert run("ledger verify").code == 0


def test_what_nobody_thought_of_is_one_line_and_can_be_looked_into(empty: Path) -> None:
    """A config that makes a plain bug-like error: a folder where the ledger expects a file."""
    (empty / ".disgorge" / "execute.lock").mkdir()
    (empty / "model.yaml").write_text("release: r\nmethod: averages\nshards: [a]\n")
    ran = run("train model.yaml")
    assert ran.code in (2, 3)
    assert len(ran.err.splitlines()) == 1


def test_json_is_json_and_nothing_else(workspace_folder: Path) -> None:
    for typed in (
        "shard list", "shard show shard-1", "shard check", "request list", "release list", f"release show {RELEASE}",
        f"release predict {RELEASE} shard-1", "policy list", "ledger verify", "ledger export",
        "trace shard-1", "audit",
    ):  # fmt: skip
        json.loads(fine(typed, "--json").out)
