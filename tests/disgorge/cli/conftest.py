"""A trained toy as a workspace, and commands run in it as if they were typed there."""

import json
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
from tests.toys import populate, toy_of, train

RELEASE = "toy-averages"


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


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a trained toy and the files it was made from, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    workspace = Workspace.init(folder)
    toy = toy_of("averages", 3)
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    return folder


@pytest.fixture
def workspace_folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained toy; the current folder is inside it."""
    folder = tmp_path / "workspace"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nothing in it; the current folder is inside it."""
    folder = tmp_path / "empty"
    Workspace.init(folder)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: str) -> Ran:
    """Run a command; anything but an exit code is a failure of the test."""
    result = CliRunner().invoke(app, list(arguments), prog_name="disgorge")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    return Ran(result.exit_code, result.stdout, result.stderr)


def fine(*arguments: str) -> Ran:
    """Run a command that must be fine."""
    ran = run(*arguments)
    assert ran.code == 0, ran
    return ran


def refused(*arguments: str, code: int) -> str:
    """Run a command that must say one line on standard error, print nothing else, and end with ``code``."""
    ran = run(*arguments)
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


def filed(request: str = "R-1", *selectors: str) -> None:
    """File a withdrawal that the contract pack grants."""
    fine(
        "request", "file", "--standing", "contributor", "--ground", "contract", "--regime", "contract", "--verified",
        "--fact", "all_theirs=true", "--id", request, *(selectors or ("--shard", "shard-2")),
    )  # fmt: skip


def planned(request: str = "R-1", *selectors: str) -> str:
    """File, decide and plan; return the plan's digest."""
    filed(request, *selectors)
    fine("request", "decide", request)
    digest = fine("request", "plan", request, "--json").json["digest"]
    return str(digest)
