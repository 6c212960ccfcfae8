"""A trained toy as a workspace, and commands run in it as if they were typed there."""

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from disgorge.cli.app import app
from lineage.workspace import Workspace
from tests.toys import RELEASE as RELEASE


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, read as JSON."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def workspace_folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained toy; the current folder is inside it."""
    folder = tmp_path / "workspace"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nothing in it; the current folder is inside it."""
    folder = tmp_path / "empty"
    Workspace.init(folder)
    monkeypatch.chdir(folder)
    return folder


def run(typed: str, *more: str) -> Ran:
    """Run a command as it is typed, and more arguments as they are; all but an exit code fails the test."""
    result = CliRunner().invoke(app, [*shlex.split(typed), *more], prog_name="disgorge")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    return Ran(result.exit_code, result.stdout, result.stderr)


def fine(typed: str, *more: str) -> Ran:
    """Run a command that must be fine."""
    ran = run(typed, *more)
    assert ran.code == 0, ran
    return ran


def refused(typed: str, *more: str, code: int = 2) -> str:
    """Run a command that must say one line on standard error, print nothing else, and end with ``code``."""
    ran = run(typed, *more)
    lines = ran.err.splitlines()
    assert (ran.code, len(lines), ran.out) == (code, 1, ""), ran
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


@contextmanager
def untouched(workspace_folder: Path) -> Iterator[None]:
    """Hold that the ledger has the very bytes it had, and that no shard or manifest came or went."""

    def state() -> tuple[bytes, set[Path]]:
        files = {path for path in workspace_folder.rglob("*.parquet") if path.is_file()}
        return (workspace_folder / ".disgorge" / "ledger.jsonl").read_bytes(), files

    before = state()
    yield
    assert state() == before


WITHDRAWAL = "request file --standing contributor --ground contract --regime contract"
"""A request that the contract pack grants where ``--verified`` and ``--fact all_theirs=true`` are said as well."""


def filed(request: str = "R-1", *selectors: str) -> None:
    """File a withdrawal that the contract pack grants."""
    fine(f"{WITHDRAWAL} --verified --fact all_theirs=true --id {request}", *(selectors or ("--shard", "shard-2")))


PERSON = "shard-2-person-1"
CLAIM = f"request file --standing data-subject --ground privacy --subject {PERSON}"
"""A request of a person about their own data."""


def asked(request: str, facts: str = "", *, regime: str = "gdpr", options: str = "--verified") -> None:
    """File an identified person's request with facts, and decide it."""
    given = " ".join(f"--fact {fact}" for fact in facts.split())
    fine(f"{CLAIM} --regime {regime} --id {request} {given} {options}")
    fine(f"request decide {request}")


def planned(request: str = "R-1", *selectors: str) -> str:
    """File, decide and plan; return the plan's digest."""
    filed(request, *selectors)
    fine(f"request decide {request}")
    return plan_of(request)


def plan_of(request: str = "R-1") -> str:
    """Plan, and return the plan's digest."""
    return str(fine(f"request plan {request} --json").json["digest"])


def one_line(text: str) -> str:
    """What was printed, without its line breaks."""
    return " ".join(text.split())


def executed(request: str = "R-1") -> Ran:
    """Plan, approve and execute a request that is granted."""
    fine(f"request approve {request} {plan_of(request)} --by ann")
    return fine(f"request execute {request} --references 0")


@pytest.fixture
def mlflow_store(workspace_folder: Path, database: Path) -> None:
    """A store of MLflow with nothing in it; to make a new one takes seconds."""
    shutil.copy(database, workspace_folder / "mlflow.db")


@pytest.fixture
def no_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """No MLflow: a new store takes many seconds."""
    for module in ("tracking.runs", "tracking.registry"):
        monkeypatch.setattr(f"disgorge.{module}.installed", lambda: False)
