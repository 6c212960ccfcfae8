"""What every test may rely on: quiet dependencies, one thread, the plug-in method of :mod:`averages`, a trained toy."""

import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from disgorge.training.kernels import chosen
from lineage.workspace import Workspace
from tests.tier import FULL, made_once, tally

PLUGINS = str(Path(__file__).parent / "plugins")
os.environ |= {"GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ |= chosen()  # as every program of ours has it: what is trained here is re-executed elsewhere
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in (PLUGINS, os.environ.get("PYTHONPATH")) if p)
sys.path.insert(0, PLUGINS)

if not FULL:
    os.fsync = lambda descriptor: (
        None
    )  # it waits for the disk, and no test cuts the power: what a cut tears is torn by hand

settings.register_profile("patient", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # a busy machine draws slowly; that says nothing about what is tested

LONGEST = (
    "test_removal_laws.py",
    "test_readme.py",
    "test_adversarial_methods.py",
    "test_killed_removals.py",
    "test_fuzz.py",
    "test_offline.py",
)
"""Files that take a minute or so, or whose work others look at: they begin first, so that nobody waits at the end."""

_BEGAN = time.monotonic()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files in front; processes take files in this order (``--no-loadscope-reorder``)."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def _no_store_elsewhere() -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        os.environ.pop(name, None)


_no_store_elsewhere()


@pytest.fixture(autouse=True)
def no_store_elsewhere() -> Iterator[None]:
    """Take away, after each test, what MLflow puts into the environment for whoever chose a store.

    A store that is named there is looked into by every removal, and where nobody can there is no certificate.
    """
    yield
    _no_store_elsewhere()


@pytest.fixture(scope="module", autouse=True)
def pdfs_drawn_where_looked_at(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave PDFs out in the first tier, as where Pango is missing, but in a file that says ``DRAWS_PDF = True``.

    Drawing one takes nearly as long as all else in a removal of a toy.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not (FULL or getattr(request.module, "DRAWS_PDF", False)):
            patch.setattr("disgorge.report.bundle.can_draw", lambda: False)
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a trained toy; nobody changes it."""
    from tests.toys import trained_toy

    return made_once(tmp_path_factory.getbasetemp(), "averages", trained_toy) / "workspace"


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Workspace:
    """A copy of it, on November 24, 2026."""
    from tests.toys import NOW

    return Workspace.open(Path(shutil.copytree(trained, tmp_path / "workspace")), clock=lambda: NOW)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables and nothing in it; nobody changes it."""
    from disgorge.tracking.client import Store

    def make(folder: Path) -> None:
        with Store(folder).client() as client:
            client.search_experiments()

    return made_once(tmp_path_factory.getbasetemp(), "mlflow", make) / "mlflow.db"


@pytest.fixture(scope="session")
def dvc_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty DVC repository with a remote; nobody changes it."""
    folder = tmp_path_factory.mktemp("dvc") / "template"
    folder.mkdir()
    with warnings.catch_warnings(action="ignore"):  # DVC's own libraries warn of deprecations
        from dvc.repo import Repo

        Repo.init(str(folder), no_scm=True).close()
    (folder / ".dvc" / "config").write_text(
        "[core]\n    no_scm = True\n    remote = store\n['remote \"store\"']\n    url = ../store\n"
    )
    return folder


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note how the whole run ended; the table of a run that failed, or was cut short, is never made."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:  # one speaks for all
        passed = session.config.pluginmanager.get_plugin("terminalreporter").stats.get("passed", ())
        again = bool(session.config.getoption("lf", False))
        took = round(time.monotonic() - _BEGAN, 1)
        tally("run", "pytest", exit=int(exitstatus), seconds=took, passed=len(passed), again=again)
