"""The local code of a model for the process that serves it: the tree it was made with, found before today's files.

A process holds one version of a module. Where it loaded another one before, of the user's own or of another release,
the model would answer by code that it was not made with: that is an error.
"""

import atexit
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from disgorge.errors import ExecutionFailed
from disgorge.training.code.kept import code_of, kept_code
from lineage.records import Composition
from lineage.storage.tree import Tree
from lineage.workspace import Workspace

_folders: dict[str, Path] = {}
"""Where trees were written in the life of this process, by digest."""


def make_importable(workspace: Workspace, composition: Composition) -> None:
    """Have the local code that a composition was made with imported from here on; nothing where it has none.

    Raises :class:`ExecutionFailed` where another version of one of its modules is loaded already.
    """
    code = kept_code(workspace, code_of(workspace, composition))
    if code is None or code.tree.digest in _folders:
        return
    if other := _loaded_otherwise(code.tree):
        raise ExecutionFailed(
            f"{other} is loaded in another version than the model was made with; load the model in a process of its "
            "own, or before what imports that module"
        )
    folder = _folders[code.tree.digest] = Path(tempfile.mkdtemp(prefix="disgorge-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for file in code.tree.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(code.tree.data[file.path])
    sys.path.insert(0, str(folder))


def _loaded_otherwise(tree: Tree) -> str | None:
    """Return a module of a tree that is loaded from a file with other bytes, None without one."""
    for file in tree.files:
        name = file.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        place = getattr(sys.modules.get(name), "__file__", None)
        if file.path.endswith(".py") and place is not None:
            here = Path(place)
            if not here.is_file() or hashlib.sha256(here.read_bytes()).hexdigest() != file.sha256:
                return name
    return None
