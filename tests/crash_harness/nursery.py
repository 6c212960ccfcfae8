"""Children of a test: processes that do what they are ordered to and can be killed without harm to the test."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent

PRELOADED = (
    "disgorge.cli.app", "disgorge.removal.execute", "disgorge.report.page",
    "disgorge.evidence.probes.membership", "disgorge.training.runners.local",
    "disgorge.methods.shard_graph", "disgorge.methods.tangent_composition", "disgorge.methods.compartmental_diffusion",
    "policies.packs.load", "cryptography.hazmat.primitives.asymmetric.ed25519", "securesystemslib.dsse",
    "securesystemslib.signer", "jinja2", "safetensors.numpy", "duckdb", "pyarrow.compute", "pyarrow.parquet",
    "averages", "pydantic.type_adapter", "pydantic.dataclasses",
    "pydantic.json_schema", "dateutil.relativedelta", "dateutil.parser", "numpy.random", "numpy.ma", "torch",
    "weasyprint", "weasyprint.layout", "weasyprint.pdf", "pandas", "cel", "holidays",
)  # fmt: skip

STORES = (
    "mlflow", "mlflow.pyfunc", "mlflow.tracking.client", "mlflow.store.tracking.sqlalchemy_store", "dvc.repo",
    "dvc.stage", "dvc.fs",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a child ended: the exit code, or minus the signal it died of, and what it said."""

    code: int
    out: str
    err: str
    pid: int

    @property
    def killed(self) -> bool:
        """Whether it died of SIGKILL."""
        return self.code == -signal.SIGKILL


class Nursery:
    """A process that forks children on order; see :mod:`tests.crash_harness.serve` for what can be ordered."""

    def __init__(self, *also: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nursery-"))
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_harness.serve", *PRELOADED, *also],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | {"TMPDIR": str(self.folder)},  # who is killed leaves things there
        )  # fmt: skip

    def close(self) -> None:
        """End the process and delete what its children said."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, do: str, workspace_folder: Path, **order: Any) -> Ended:
        """Have one order carried out and return how the child ended."""
        return self.together((do, workspace_folder, order))[0]

    def together(self, *orders: tuple[str, Path, dict[str, Any]]) -> list[Ended]:
        """Have several orders carried out at the same time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        full = []
        for do, workspace_folder, order in orders:
            self._count += 1
            said = {"out": str(self.folder / f"{self._count}.out"), "err": str(self.folder / f"{self._count}.err")}
            full.append({"do": do, "workspace": str(workspace_folder), **said, **order})
        self._process.stdin.write(json.dumps(full) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery died"
        pids, codes = json.loads(answer)
        return [
            Ended(code, Path(each["out"]).read_text(), Path(each["err"]).read_text(), pid)
            for pid, code, each in zip(pids, codes, full, strict=True)
        ]


@cache
def the_nursery() -> Nursery:
    """Return the one nursery of this test session, started when it is first asked for."""
    nursery = Nursery()
    atexit.register(nursery.close)
    return nursery


@cache
def nursery_with_stores() -> Nursery:
    """Return the one nursery of this test session whose children have MLflow and DVC at hand, which take seconds."""
    nursery = Nursery(*STORES)
    atexit.register(nursery.close)
    return nursery
