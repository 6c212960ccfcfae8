"""Bytecode of installed packages for jobs, compiled once in a box that has no inputs.

Compiled files that lie among installed packages are not shown to a job: nobody compares them with their source. Without
any, importing torch takes half a minute. So the libraries that jobs import are imported once in a box of their own,
which has seen no data and returns what Python compiled there; jobs get it as ``/pyc``, read-only.
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

import disgorge
from disgorge.errors import ExecutionFailed
from disgorge.training.sandbox.installed import cache_folder, delete_unused, state_of, view_of
from disgorge.training.sandbox.namespace import PYTHON, package_folders, run

_NAME = re.compile(r"(?!.*(^|/)\.\.?/)[^/][^\0]*\.pyc")
_FILL = """
import importlib, io, os, shutil, sys, tarfile
from pathlib import Path
answers = os.dup(1)
os.dup2(2, 1)  # whatever a library prints is not part of the answer
there, known = Path("/tmp/pyc"), set()
shutil.copytree("/in", there)
known = {path for path in there.rglob("*.pyc")}
sys.pycache_prefix, sys.dont_write_bytecode = str(there), False
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"{name} was not compiled: {error}", file=sys.stderr)
with os.fdopen(answers, "wb") as out, tarfile.open(fileobj=out, mode="w|") as archive:
    for path in sorted(there.rglob("*.pyc")):
        if path not in known:
            archive.add(path, str(path.relative_to(there)), recursive=False)
sys.stderr.flush()
os._exit(0)
"""


def bytecode_of(modules: Iterable[str], *, gaps: Sequence[str] = ()) -> Path:
    """Return a folder with bytecode of the libraries that these modules load, compiled if it is not there yet.

    Raises :class:`ExecutionFailed` where no box can be started.
    """
    wanted = sorted({*modules})
    views = [view_of(folder).key for folder in package_folders()]
    key = hashlib.sha256(json.dumps([sys.version, sys.executable, disgorge.__file__, *views]).encode()).hexdigest()[:32]
    place = cache_folder() / "bytecode" / key
    note = place.with_suffix(".json")
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):
        compiled: list[str] = []
        try:
            noted = json.loads(note.read_text(encoding="utf-8"))
            compiled = noted["modules"] if noted["files"] == state_of(place) else []
        except (OSError, ValueError, KeyError):
            pass  # none yet
        if not compiled:
            shutil.rmtree(place)
            place.mkdir()
        if missing := [name for name in wanted if name not in compiled]:
            _fill(place, missing, gaps)
            text = json.dumps({"modules": sorted({*compiled, *missing}), "files": state_of(place)})
            note.write_text(text, encoding="utf-8")
        os.utime(note)
    delete_unused(place.parent)
    return place


def _fill(place: Path, modules: Sequence[str], gaps: Sequence[str]) -> None:
    """Import modules in a box and keep what was compiled."""
    ran = run([*PYTHON, "-c", _FILL, *modules], inputs=place, gaps=gaps)
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        raise ExecutionFailed(
            f"the installed libraries could not be compiled in a box: {said[-1] if said else 'killed'}"
        )
    with tarfile.open(fileobj=io.BytesIO(ran.stdout)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() and _NAME.fullmatch(member.name) else None
            if file is None:
                continue
            target = place / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as aside:
                shutil.copyfileobj(file, aside)
            os.chmod(aside.name, 0o644)
            os.replace(aside.name, target)
