"""What several twins begin with: a workspace whose user logged removed weights to MLflow."""

from pathlib import Path

import pytest

from tests.disgorge.test_mlflow_forget import Logged


@pytest.fixture
def logged(tmp_path: Path, database: Path) -> Logged:
    """Return a workspace with old and new weights in MLflow."""
    return Logged(tmp_path, database)
