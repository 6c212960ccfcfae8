r"""What a workspace leaves for git: what holds data or names people is ignored, for git forgets nothing.

Committed are ``.disgorge/ledger.jsonl``, ``head.json``, ``config.toml`` and ``public.pem``, and DVC's own
``shards/*.dvc``. Ignored are, and each for its reason:

- ``private/``, keys and particulars; ``objects/``, weights and drawings; ``manifests/``, the digest and key of every
  item, which a removal takes out of the file and cannot take out of a commit; ``shards/*.parquet``, the items;
- ``reports/``, which show samples and name files, and may hold inputs: they are handed over as they are;
- MLflow's ``mlflow.db``, ``mlartifacts/`` and ``mlruns/``, which hold whatever was logged;
- what is lies there for a moment only: locks, folders of workers, files written aside.

A ``.gitignore`` that is there is the user's: lines that it lacks are added at its end, and nothing else is changed.
Negative consequence: what was committed before stays committed, and stays in the history.

>>> import tempfile
>>> workspace = Path(tempfile.mkdtemp())
>>> _ = (workspace / ".gitignore").write_text("*.tmp\n")
>>> [path.name for path in ignore_data(workspace)], ignore_data(workspace)
(['.gitignore'], ())
>>> (workspace / ".gitignore").read_text().splitlines()[:3]
['*.tmp', '# Data and models of the Disgorge workspace, which git would keep for good', '/.disgorge-*/']
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from lineage.errors import LineageError

HOME = ("private/", "objects/", "manifests/", "apart-*", "*.lock", ".aside-*", "mlflow.db*")
"""What git does not take of ``.disgorge``."""
WORKSPACE = (
    "/.disgorge-*/",
    "/shards/*.parquet",
    "/shards/.aside-*",
    "/reports/",
    "/mlflow.db*",
    "/mlartifacts/",
    "/mlruns/",
)
"""What git does not take of the workspace's folder; a half-made ``.disgorge`` holds keys as well."""
_HEADING = "# Data and models of the Disgorge workspace, which git would keep for good"


def ignore_data(workspace: Path, *, home: Path | None = None) -> tuple[Path, ...]:
    """Have git ignore what holds data, and return the ``.gitignore`` files that were made or added to.

    ``home`` is the folder ``.disgorge``, if it is there. Raises :class:`LineageError` if one cannot be written.
    """
    changed = [workspace / ".gitignore"] if _added(workspace / ".gitignore", WORKSPACE) else []
    if home is not None and _added(home / ".gitignore", HOME):
        changed.append(home / ".gitignore")
    return tuple(changed)


def is_exposed(path: Path) -> bool:
    """Whether git has a file, or something of a folder, or ``git add -A`` would take it in."""
    command = ["git", "-C", str(path.absolute().parent), "ls-files", "--cached", "--others", "--exclude-standard", "--"]
    try:
        told = subprocess.run([*command, path.name], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False  # no git, no commit
    return told.returncode == 0 and bool(told.stdout.strip())


def _added(file: Path, lines: Iterable[str]) -> bool:
    try:
        there = file.read_bytes() if file.exists() else b""
        known = {line.strip() for line in there.decode("utf-8", "replace").splitlines()}
        missing = [line for line in lines if line not in known]
        if missing:
            start = "\n" if there and not there.endswith(b"\n") else ""
            with file.open("ab") as ignored:
                ignored.write((start + "\n".join([_HEADING, *missing]) + "\n").encode())
    except OSError as problem:
        raise LineageError(
            f"{file}: cannot be read or written ({problem.strerror}), so git would take data in; check it, and repeat"
        ) from problem
    return bool(missing)
