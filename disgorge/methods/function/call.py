"""Calls the user's functions: loads them, seeds every common generator, and says what went wrong in one line.

Seeds are set before a module is loaded, which may draw numbers, and again before a function runs. What a function
prints goes to nobody. An error names file and line of the user's code, never of a library.
"""

import random
import sys
import sysconfig
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import disgorge
from disgorge.errors import DisgorgeError, ExecutionFailed

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_LETTERS = 300
_NO_KERNEL = "deterministic implementation"
"""What torch says of an operation without a repeatable kernel; what carries a recipe out knows it by this."""
_PACKAGES = ("site-packages", "dist-packages")


def seed_all(seed: int) -> None:
    """Seed Python, numpy, and torch where it is loaded. Hashes of text are seeded when the process starts."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


def call(key: str, name: str, *arguments: Any, seed: int) -> Any:
    """Return what a function of the user's returns; ``key`` is that of the model file which names it.

    Raises :class:`~disgorge.errors.ExecutionFailed` for one that is not there, or raises.
    """
    seed_all(seed)
    function = _load(key, name)
    seed_all(seed)
    try:
        return function(*arguments)
    except DisgorgeError as error:
        place = _of_user_code(error)
        raise ExecutionFailed(f"{f'{place}: ' if place else ''}{key} ({name}): {error}") from None
    except (Exception, SystemExit) as error:
        if isinstance(error, RuntimeError) and _NO_KERNEL in str(error):
            raise
        raise _failed(key, name, error) from None


def problem_with(key: str, name: str) -> str:
    """Return in words why a function of the user's cannot be called, "" where it can; imports its module."""
    seed_all(0)
    try:
        _load(key, name)
    except ExecutionFailed as error:
        return str(error)
    return ""


def _load(key: str, name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        loaded = import_module(module)
    except (Exception, SystemExit) as error:
        raise _failed(key, name, error, doing="cannot be imported:") from None
    function = getattr(loaded, attribute, None)
    if not callable(function):
        there = [
            each
            for each, value in vars(loaded).items()
            if callable(value) and not each.startswith("_") and getattr(value, "__module__", module) == module
        ]
        raise ExecutionFailed(
            f"{key}: {name}: {_shown(getattr(loaded, '__file__', '') or module)} has no function {attribute!r}; it has "
            f"{', '.join(there[:5]) or 'none'}; correct the model file, or the module"
        )
    return function


def _failed(key: str, name: str, error: BaseException, *, doing: str = "raised") -> ExecutionFailed:
    """Return the error for what user code raised, on one line."""
    said = " ".join(str(error).split())[:_LETTERS]
    place = _of_user_code(error)
    words = f"{f'{place}: ' if place else ''}{key} ({name}) {doing} {type(error).__name__}{f': {said}' if said else ''}"
    return ExecutionFailed(f"{words}{_hint(error)}")


def _hint(error: BaseException) -> str:
    path = str(getattr(error, "filename", "") or "")
    if isinstance(error, FileNotFoundError | PermissionError) and _of_package(path or str(error)):
        return (
            "; a job sees no data of installed packages: record what it needs as a shard, or name the package under "
            "`expose`"
        )
    if isinstance(error, FileNotFoundError | PermissionError):
        return "; a job reads its items, parts and artifacts, and no other file: record what it needs as a shard"
    if isinstance(error, OSError) and path:
        return "; a job may write below context.out alone"
    return "; correct it there"


def _of_package(path: str) -> bool:
    return any(f"/{name}/" in path for name in _PACKAGES)


def _of_user_code(error: BaseException) -> str | None:
    """Return file and line of the last place in the user's code that an error went through, None without one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}:{error.lineno}"
    others = (str(Path(disgorge.__file__).parent), sysconfig.get_path("stdlib"), "<")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not _of_package(frame.filename) and not frame.filename.startswith(others):
            return f"{_shown(frame.filename)}:{frame.lineno}"
    return None


def _shown(file: str) -> str:
    """Return a file's path relative to the folder that its module was searched for in."""
    folders = [folder for folder in sys.path if folder and file.startswith(f"{folder}/")]
    return file[len(max(folders, key=len)) + 1 :] if folders else file


def as_component(key: str, name: str, returned: Any) -> "Tensors":
    """Return what a function trained as arrays by name; :class:`ExecutionFailed` where it is something else."""
    if returned is None:
        raise ExecutionFailed(f"{key} ({name}) returned nothing; return arrays by name, as in {{'weights': array}}")
    if not isinstance(returned, Mapping):
        raise ExecutionFailed(
            f"{key} ({name}) returned {_article(returned)}; return arrays by name, as in {{'weights': array}}"
        )
    if not returned:
        raise ExecutionFailed(f"{key} ({name}) returned no array; return at least one, by name")
    return {str(inner): _as_array(f"{key} ({name})", str(inner), value) for inner, value in returned.items()}


def _as_array(where: str, name: str, value: Any) -> "Array":
    """Return an array of numbers, those of ``ml_dtypes`` too; a tensor stays one, for numpy lacks some of its types."""
    try:
        array = value.detach() if hasattr(value, "detach") else np.asarray(value)
    except Exception as error:
        raise ExecutionFailed(f"{where} returned {name!r}, which is no array: {error}") from None
    if isinstance(array, np.ndarray) and (array.dtype.kind not in "biufcV" or array.dtype.type is np.void):
        raise ExecutionFailed(
            f"{where} returned {name!r}, {_article(value)}; a component holds arrays of numbers: return those"
        )
    return cast("Array", array)


def off_device(value: Any) -> Any:
    """Return a tensor of torch, on whatever device, as numpy, floats as float64; anything else as it is."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def as_answers(key: str, name: str, returned: Any, *, items: int, task: str) -> "Array":
    """Return what a function answered about items, float64: (items, classes) of a classifier, else (items, ...)."""
    array = _as_array(f"{key} ({name})", "answers", off_device(returned))
    wanted = f"({items}, classes)" if task == "classify" else f"({items},)"
    if array.ndim not in ((2,) if task == "classify" else (1, 2)) or len(array) != items:
        other = "; write `task: regress` if it answers with numbers" if array.ndim == 1 and task == "classify" else ""
        raise ExecutionFailed(f"{key} ({name}) returned shape {array.shape}; it must be {wanted}{other}")
    return array.astype(np.float64)


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
