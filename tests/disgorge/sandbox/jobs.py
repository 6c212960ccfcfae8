"""Small jobs in Python, run at each level of confinement that this machine reaches."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from disgorge.training.sandbox.bytecode import bytecode_of
from disgorge.training.sandbox.levels import reached
from disgorge.training.sandbox.namespace import PYTHON, run
from policies.taxonomy import Confinement as Level

LEVELS = [level for level in Level if reached().level.at_least(level)]
"""Those that this machine reaches. Where namespaces are missing, what is shown is shown of weaker levels, by name."""
_CONFINED = """
import os, sys
from pathlib import Path
from disgorge.training.sandbox.landlock import confine
assert confine(Path(os.getcwd()), hidden=Path(os.environ.pop("HIDDEN")))
"""


def job(
    level: Level,
    code: str,
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run code as a job at a level; its inputs are in the folder ``inputs`` of ``folder``, which is made."""
    inputs = folder / "inputs"
    inputs.mkdir(exist_ok=True)
    there = {**os.environ, **(environ or {})}
    if level is Level.NAMESPACE:
        before = dict(os.environ)
        os.environ.update(environ or {})
        try:
            ran = run(
                [*PYTHON, "-c", code, *arguments], inputs=inputs, timeout=250, gaps=reached().gaps,
                pycache=bytecode_of(["sklearn.datasets", "numpy"], gaps=reached().gaps),
            )  # fmt: skip
        finally:
            os.environ.clear()
            os.environ.update(before)
        return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())
    if level is Level.LANDLOCK:
        code = _CONFINED + code
        there |= {"HIDDEN": str(folder / "workspace"), "TMPDIR": str(inputs)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=250, check=False, cwd=inputs,
        env=there, pass_fds=descriptors,
    )  # fmt: skip
