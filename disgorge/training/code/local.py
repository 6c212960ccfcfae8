"""Local code: the modules of a method that no installed distribution brings, as a tree by digest.

A method lies in a folder of PYTHONPATH, in the working folder or in a package that is installed to be edited. Its tree
has the package or module that its entry point names, and every local one that these import, wherever in their text:
found by reading, never by running. So code that a method does not import can change without making another recipe. Of
a package all files of code count, whatever imports them. Relative to the tree, paths begin with the name of the
package or module.

Left out is what is not code by its name, and large texts: weights beside the code, or in it, are no part of the tree,
and what a method reads of them it does not find in a job. Not found: modules that are imported under a computed name.
A method from a distribution has no tree, and sees no local code.
"""

import ast
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

import disgorge
from disgorge.training.sandbox.namespace import package_folders
from lineage.errors import BadInput
from lineage.storage.objects import file_stamp
from lineage.storage.tree import Tree, regular_files

_OURS = frozenset(("disgorge", "lineage", "policies"))
_CODE = frozenset(
    ".py .pyi .pyx .pxd .so .pyd .dll .dylib .c .cc .cpp .h .hpp .cu .cuh .f .f90 .rs .go .js .ts .sh .sql".split()
)
_TEXTS = frozenset(".json .toml .yaml .yml .ini .cfg .txt .jinja .j2 .typed".split())
_SMALL = 64 << 10
"""Bytes up to which a text counts as settings."""


@dataclass(frozen=True, slots=True)
class LocalCode:
    """The tree of a method's local code, and the entry point that names the method in it (``module:attribute``)."""

    entry: str
    tree: Tree


def local_code(entry: str) -> LocalCode | None:
    """Return the local code of the method that an entry point names, None where a distribution brings it.

    Raises :class:`~lineage.errors.BadInput` for a link in it.
    """
    first = entry.partition(":")[0].partition(".")[0]
    seen, waiting, files = {first}, [first], dict[str, bytes]()
    while waiting:
        name = waiting.pop()
        if (place := _place(name, bare=name == first)) is None:
            continue
        for path in _files(place):
            files[path.relative_to(place.parent).as_posix()] = path.read_bytes()
            imported = _imports(path, file_stamp(path)) - seen if path.suffix in (".py", ".pyx") else frozenset[str]()
            waiting += sorted(imported)
            seen |= imported
    return LocalCode(entry, Tree.of(files)) if files else None


def is_code(path: Path) -> bool:
    """Whether a file among local code is code, or settings that go with it."""
    kind = path.suffix.lower()
    return kind in _CODE or (kind in _TEXTS and path.stat().st_size <= _SMALL)


def _place(name: str, *, bare: bool) -> Path | None:
    """Return the folder or file of a top-level package or module, None where it is not local code.

    A ``bare`` folder, one without ``__init__.py``, counts only where it is asked for: one of logs may be called as a
    library is.
    """
    if name in _OURS or name in sys.stdlib_module_names:
        return None
    spec = None
    with suppress(ImportError, ValueError, AttributeError):  # of a module that somebody put together by hand
        spec = find_spec(name)
    spec = spec or PathFinder.find_spec(name, [str(Path.cwd())])
    place = _lies(spec, bare=bare) if spec is not None else None
    if place is None or any(place.is_relative_to(folder) for folder in _installed()):
        return None
    if place.is_symlink():
        raise BadInput(f"{place}: is a link, and code is kept as files; put the module itself there")
    return place


def _lies(spec: ModuleSpec, *, bare: bool) -> Path | None:
    """Return the folder of a package, the file of a module; None for what lies in neither, as in an archive."""
    if spec.origin is None:
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
        return folders[0].absolute() if bare and len(folders) == 1 and folders[0].is_dir() else None
    origin = Path(spec.origin).absolute()
    if not spec.has_location or not origin.is_file():
        return None
    return origin.parent if spec.submodule_search_locations is not None else origin


def _installed() -> list[Path]:
    """Return the folders in which nothing is local code."""
    ours = Path(disgorge.__file__).absolute().parent
    return [ours, *package_folders(), *(folder.resolve() for folder in package_folders())]


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    else:
        yield from (path for path in regular_files(place) if "__pycache__" not in path.parts and is_code(path))


@lru_cache(maxsize=4096)
def _imports(path: Path, stamp: tuple[int, ...]) -> frozenset[str]:
    """Return the top-level names that a file imports, in its text as of ``stamp``."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError):
        return frozenset()  # which whoever imports it is told
    names = set[str]()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(named := node.args[0].value, str):
                names.add(named)
    return frozenset(name.partition(".")[0] for name in names)
