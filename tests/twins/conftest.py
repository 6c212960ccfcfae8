"""What several twins begin with: a workspace whose user logged removed weights to MLflow."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.disgorge.test_mlflow_forget import Logged
from tests.tier import tally
from tests.twins.table import KIND


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how each test of a twin came out, for the table in docs/evidence.md."""
    report = yield
    if report.when == "call" or (report.when == "setup" and report.failed):
        tally(KIND, item.path.stem.removeprefix("test_"), case=item.name, passed=report.passed)
    return report


@pytest.fixture
def logged(tmp_path: Path, database: Path) -> Logged:
    """Return a workspace with old and new weights in MLflow."""
    return Logged(tmp_path, database)
