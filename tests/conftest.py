"""What every test may rely on: quiet dependencies, one thread, and the plug-in method of :mod:`averages`."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from disgorge.training.kernels import chosen
from tests.tier import tally

PLUGINS = str(Path(__file__).parent / "plugins")
os.environ |= {"GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1"}
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ |= chosen()  # as every program of ours has it: what is trained here is re-executed elsewhere
os.environ["PYTHONPATH"] = os.pathsep.join(p for p in (PLUGINS, os.environ.get("PYTHONPATH")) if p)
sys.path.insert(0, PLUGINS)

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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note how the whole run ended; the table of a run that failed, or was cut short, is never made."""
    if not hasattr(session.config, "workerinput"):  # one process of several speaks for all of them
        passed = session.config.pluginmanager.get_plugin("terminalreporter").stats.get("passed", ())
        tally("run", "pytest", exit=int(exitstatus), seconds=round(time.monotonic() - _BEGAN, 1), passed=len(passed))
