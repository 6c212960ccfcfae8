"""Local code: the modules of a method that no installed distribution brings, as a tree by digest.

A method lies in a folder of PYTHONPATH, in the working folder or in a package that is installed to be edited. Its tree
has the package or module that its entry point names, and every local one that these import, wherever in their text:
found by reading, never by running. So code that a method does not import can change without making another recipe. Of
a package all files of code count, whatever imports them. Relative to the tree, paths begin with the name of the
package or module.

Left out is what is not code by its name, and large texts: weights beside the code, or in it, are no part of the tree,
and what a method reads of them it does not find in a job. Not found: modules that are imported under a computed name.
A method from a distribution has no tree, and sees no local code.

The functions that a model file names are found alike, by the modules they are in, first beside the model file. There
data is no silent omission: a table, an array, a picture, a long text or a pickle among the code is refused, for a
removal could not reach it there.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

import disgorge
from disgorge.errors import BadModel
from disgorge.training.sandbox.hidden import is_data_among_code
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
    files = {name: path.read_bytes() for name, path in _found([first], (Path.cwd(),)).items()}
    return LocalCode(entry, Tree.of(files)) if files else None


def code_of_functions(
    entry: str, functions: Iterable[str], *, folder: Path, declared: Sequence[str] = ()
) -> LocalCode | None:
    """Return the local code of functions (``module:function``), None where distributions bring all of it.

    ``entry`` names the method that calls them. Modules are searched for in ``folder``, where the model file lies, in
    the working folder, and as Python does; ``declared`` are files and folders, relative to ``folder``, that belong to
    them. Raises :class:`~disgorge.errors.BadModel` for what is not there, and for data among the code.
    """
    functions = tuple(functions)
    if unnamed := [each for each in functions if not all(each.partition(":"))]:
        raise BadModel(f"{unnamed[0][:80]!r} names no function; write module:function, as in reviews.fit:train")
    names = sorted({function.partition(":")[0].partition(".")[0] for function in functions})
    folders = tuple(dict.fromkeys((folder.absolute(), Path.cwd())))
    found = _found(names, folders)
    for name in names:
        if name in _OURS:
            continue
        if name in sys.stdlib_module_names:
            raise BadModel(f"module {name!r} is called as one of Python's own is; rename it")
        if not any(path == f"{name}.py" or path.startswith(f"{name}/") for path in found) and _spec(name, ()) is None:
            _refuse_notebook(folder / f"{name}.ipynb")
            raise BadModel(
                f"no module {name!r} in {' or '.join(map(str, folders))}, nor installed; correct the model file, or "
                "put it there"
            )
    for each in declared:
        place = (folder / each).absolute()
        if not place.exists():
            raise BadModel(f"code: {place} is not there; correct the model file")
        _refuse_notebook(place)
        found |= {path.relative_to(place.parent).as_posix(): path for path in _files(place)}
        _refuse_data([place])
    _refuse_data(folder for folder in {_top(name, path) for name, path in found.items()})
    files = {name: path.read_bytes() for name, path in found.items()}
    return LocalCode(entry, Tree.of(files)) if files else None


def require_functions(code: LocalCode | None, functions: Iterable[str]) -> None:
    """Raise :class:`BadModel` for a function (``module:function``) that its module among local code does not name.

    The text is read and nothing is run: a name that a module makes while it runs is not found.
    """
    files = code.tree.data if code is not None else {}
    for function in functions:
        module, _, name = function.partition(":")
        path = module.replace(".", "/")
        data = files.get(f"{path}.py", files.get(f"{path}/__init__.py"))
        if data is not None and not {name, "*"} & _names_made(data):
            raise BadModel(f"module {module} names no function {name!r}; correct the name, or the module")


def libraries_of(code: LocalCode) -> tuple[str, ...]:
    """Return the modules that local code imports, in whatever place, and that are not its own, ours or Python's."""
    own = {file.path.partition("/")[0].removesuffix(".py") for file in code.tree.files}
    found = set[str]()
    for path, data in code.tree.data.items():
        if path.endswith(".py"):
            found |= _names_imported(data)
    known = own | _OURS | sys.stdlib_module_names
    return tuple(sorted(name for name in found if name.partition(".")[0] not in known))


def _found(names: Sequence[str], folders: Sequence[Path]) -> dict[str, Path]:
    """Return the files of these packages and modules, and of every local one that they import, by path in the tree."""
    seen, waiting, files = {*names}, [*names], dict[str, Path]()
    while waiting:
        name = waiting.pop()
        if (place := _place(name, folders, bare=name in names)) is None:
            continue
        for path in _files(place):
            files[path.relative_to(place.parent).as_posix()] = path
            imported = _imports(path, file_stamp(path)) - seen if path.suffix in (".py", ".pyx") else frozenset[str]()
            waiting += sorted(imported)
            seen |= imported
    return files


def _top(name: str, path: Path) -> Path:
    """Return the folder or file of the package or module that a file of the tree belongs to."""
    return path.parents[name.count("/") - 1] if "/" in name else path


def _refuse_data(places: Iterable[Path]) -> None:
    """Raise :class:`BadModel` for the first file that is data, and lies in a package or folder of code."""
    for place in sorted(set(places)):
        for path in regular_files(place) if place.is_dir() else (place,):
            if "__pycache__" not in path.parts and is_data_among_code(path.name, path.stat().st_size):
                raise BadModel(
                    f"{path}: is data among the code, where no removal reaches it; declare it (`disgorge artifact "
                    "add`), or record it as a shard, and move it out of there"
                )


def _refuse_notebook(place: Path) -> None:
    """Raise :class:`BadModel` for a notebook: its cells would all run in every job, and its outputs may be data."""
    if place.suffix == ".ipynb" and place.is_file():
        raise BadModel(
            f"{place}: is a notebook, and a job runs functions of a module; write those of the notebook to "
            f"{place.stem}.py beside it (`jupyter nbconvert --to script {place.name}` makes a first version)"
        )


def is_code(path: Path) -> bool:
    """Whether a file among local code is code, or settings that go with it."""
    kind = path.suffix.lower()
    return kind in _CODE or (kind in _TEXTS and path.stat().st_size <= _SMALL)


def _place(name: str, folders: Sequence[Path], *, bare: bool) -> Path | None:
    """Return the folder or file of a top-level package or module, None where it is not local code.

    A ``bare`` folder, one without ``__init__.py``, counts only where it is asked for: one of logs may be called as a
    library is.
    """
    if name in _OURS or name in sys.stdlib_module_names:
        return None
    spec = _spec(name, folders)
    place = _lies(spec, bare=bare) if spec is not None else None
    if place is None or any(place.is_relative_to(folder) for folder in _installed()):
        return None
    if place.is_symlink():
        raise BadInput(f"{place}: is a link, and code is kept as files; put the module itself there")
    return place


def _spec(name: str, folders: Sequence[Path]) -> ModuleSpec | None:
    """Return what is imported under a name: as Python searches, and then in these folders.

    A model file's own folder comes before what Python searches.
    """
    first = PathFinder.find_spec(name, [str(folders[0])]) if len(folders) > 1 else None
    if first is not None and first.origin is not None:
        return first
    spec = None
    with suppress(ImportError, ValueError, AttributeError):  # of a module that somebody put together by hand
        spec = find_spec(name)
    return spec or PathFinder.find_spec(name, [str(folder) for folder in folders])


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
    return frozenset(name.partition(".")[0] for name in _names_imported(path.read_bytes()))


def _names_made(text: bytes) -> frozenset[str]:
    """Return the names that a text gives to functions, classes, values and imports; "*" where these are not known."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return frozenset("*")  # which whoever imports it is told
    names = set[str]()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return frozenset(names)


def _names_imported(text: bytes) -> frozenset[str]:
    """Return the dotted names of the modules that a text imports, none where it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
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
    return frozenset(names)
