"""A small trained workspace, made once for all test files of this folder and copied for each test."""

import datetime as dt
import shutil
from pathlib import Path

import pytest

from lineage.workspace import Workspace
from tests.toys import populate, toy_of, train

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a trained toy; nobody changes it."""
    folder = tmp_path_factory.mktemp("averages")
    made = Workspace.init(folder / "workspace", clock=lambda: NOW)
    toy = toy_of("averages", 3)
    populate(made, toy, folder / "sources")
    train(made, toy)
    return folder / "workspace"


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Workspace:
    """The ledger of a trained toy, on November 24, 2026."""
    return Workspace.open(Path(shutil.copytree(trained, tmp_path / "workspace")), clock=lambda: NOW)
