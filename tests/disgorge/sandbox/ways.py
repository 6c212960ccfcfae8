"""Ways by which something could reach a job that was not among its inputs, each planted for real.

A way plants a secret on this machine and has code that looks for it and prints what it found. The code runs as a job at
each level of confinement, and once more in an ordinary process, where it must find it: a way that works nowhere shows
nothing.
"""

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from policies.taxonomy import Confinement as Level

SECRET = 0b1011_0010_1110_0101
"""What is hidden, sixteen bits of it."""
PROLOGUE = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
arguments = sys.argv[1:]
"""
_KEYS = {"x86_64": (248, 250)}.get(os.uname().machine, (217, 219))  # add_key, keyctl
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p


@dataclass(frozen=True)
class Way:
    """How a secret is planted, and the code that looks for it."""

    plant: Callable[[Path], "Planted"]
    code: str
    lets_through: tuple[Level, ...] = (Level.PROCESS,)
    """Levels at which the code finds it."""


@dataclass
class Planted:
    """A secret in its place: what its finder is told, what it prints, and how the place is cleared."""

    arguments: tuple[str, ...] = ()
    expected: str = str(SECRET)
    environ: dict[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    clear: Callable[[], object] = lambda: None


def _checked(result: int) -> int:
    """Return what a call of the C library returned; raise what it failed with."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@contextmanager
def planted(way: Way, folder: Path) -> Iterator[Planted]:
    """Plant a secret and clear it away at the end; skips, with the reason, a way that this machine does not have."""
    try:
        there = way.plant(folder)
    except OSError as error:
        pytest.skip(f"this machine does not have this way: {error}")
    try:
        yield there
    finally:
        there.clear()


def _file(folder: Path) -> Planted:
    (folder / "weights").write_text(str(SECRET))
    return Planted((str(folder / "weights"),))


def _listed(folder: Path) -> Planted:
    (folder / "listed").mkdir()
    (folder / "listed" / str(SECRET)).touch()
    return Planted((str(folder / "listed"),))


def _names(folder: Path) -> Planted:
    (folder / "names").mkdir()
    for bit in range(16):
        if SECRET >> bit & 1:
            (folder / "names" / str(bit)).touch()
    return Planted((str(folder / "names"),))


def _link(folder: Path) -> Planted:
    (folder / "link").symlink_to(f"/{SECRET}")
    return Planted((str(folder / "link"),))


def _time(folder: Path) -> Planted:
    (folder / "timed").touch()
    os.utime(folder / "timed", (SECRET, SECRET))
    return Planted((str(folder / "timed"),))


def _attribute(folder: Path) -> Planted:
    (folder / "attributed").touch()
    os.setxattr(folder / "attributed", "user.weights", str(SECRET).encode())
    return Planted((str(folder / "attributed"),))


def _environ(_: Path) -> Planted:
    return Planted(environ={"OLD_WEIGHTS": str(SECRET)})


def _key(_: Path) -> Planted:
    name, value = b"disgorge-test", str(SECRET).encode()
    key = _checked(libc.syscall(_KEYS[0], b"user", name, value, len(value), -3))  # into the session's keyring
    return Planted((str(_KEYS[1]), name.decode()), clear=lambda: libc.syscall(_KEYS[1], 3, key))


def _listener(family: int, address: object) -> tuple[socket.socket, Planted]:
    server = socket.socket(family)
    server.bind(address)  # type: ignore[arg-type]
    server.listen()

    def serve() -> None:
        while True:
            try:
                asked, _ = server.accept()
            except OSError:
                return
            with asked:
                asked.sendall(str(SECRET).encode())

    threading.Thread(target=serve, daemon=True).start()

    def clear() -> None:
        server.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits for a caller
        server.close()

    return server, Planted(clear=clear)


def _port(_: Path) -> Planted:
    server, there = _listener(socket.AF_INET, ("127.0.0.1", 0))
    there.arguments = (str(server.getsockname()[1]),)
    return there


def _abstract(_: Path) -> Planted:
    name = f"disgorge-test-{os.getpid()}"
    _, there = _listener(socket.AF_UNIX, f"\0{name}")
    there.arguments = (name,)
    return there


def _socket_file(folder: Path) -> Planted:
    path = f"/tmp/disgorge-{os.getpid()}.sock"  # a path of a socket may have a hundred characters
    _, there = _listener(socket.AF_UNIX, path)
    close = there.clear
    there.arguments, there.clear = (path,), lambda: (close(), os.unlink(path))
    return there


def _vsock(_: Path) -> Planted:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return Planted(expected="opened")


def _shared_file(_: Path) -> Planted:
    path = Path(f"/dev/shm/disgorge-test-{os.getpid()}")
    path.write_text(str(SECRET))
    return Planted((str(path),), clear=path.unlink)


def _segment(_: Path) -> Planted:
    key = 0x44690000 + os.getpid() % 0xFFFF
    number = _checked(libc.shmget(key, 64, 0o1600))
    ctypes.memmove(libc.shmat(number, None, 0), f"{SECRET}\0".encode(), 6)
    return Planted((str(key),), clear=lambda: libc.shmctl(number, 0, None))


def _queue(_: Path) -> Planted:
    name = f"/disgorge-test-{os.getpid()}".encode()
    queue = _checked(libc.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None))
    text = str(SECRET).encode()
    libc.mq_send(queue, text, len(text), 0)
    return Planted((name.decode(),), clear=lambda: (libc.mq_close(queue), libc.mq_unlink(name)))


def _resident(_: Path) -> Planted:
    return Planted(expected="resident")


def _boot(_: Path) -> Planted:
    return Planted(expected=Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def _process(_: Path) -> Planted:
    command = [sys.executable, "-c", "input()", str(SECRET)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def clear() -> None:
        process.kill()
        process.communicate()

    return Planted((str(process.pid),), clear=clear)


def _descriptor(folder: Path) -> Planted:
    (folder / "open").write_text(str(SECRET))
    number = os.open(folder / "open", os.O_RDONLY)
    high = os.dup2(number, 77, inheritable=True)
    os.close(number)
    return Planted((str(high),), descriptors=(high,), clear=lambda: os.close(high))


def _digits(_: Path) -> Planted:
    return Planted(expected="1797")


_READ = "print(open(arguments[0]).read())"
_CONNECT = "caller.settimeout(5); caller.connect({}); print(caller.recv(99).decode())"
_UNIX = "caller = socket.socket(socket.AF_UNIX); "
_SEEN = (Level.PROCESS, Level.LANDLOCK)
WAYS = {
    "contents of a file": Way(_file, _READ),
    "names in a folder, listed": Way(_listed, "print(*os.listdir(arguments[0]))"),
    "names in a folder, guessed": Way(
        _names, "print(sum(1 << bit for bit in range(16) if os.path.exists(f'{arguments[0]}/{bit}')))", _SEEN
    ),
    "target of a link": Way(_link, "print(os.readlink(arguments[0])[1:])", _SEEN),
    "time of a file": Way(_time, "print(int(os.stat(arguments[0]).st_mtime))", _SEEN),
    "attribute of a file": Way(_attribute, "print(os.getxattr(arguments[0], 'user.weights').decode())"),
    "a variable": Way(_environ, "print(os.environ['OLD_WEIGHTS'])", _SEEN),
    "the session's keyring": Way(
        _key,
        "call = int(arguments[0]); key = libc.syscall(call, 10, -3, b'user', arguments[1].encode(), 0)\n"
        "room = ctypes.create_string_buffer(64); libc.syscall(call, 11, key, room, 64); print(room.value.decode())",
    ),
    "a port of this machine": Way(
        _port, "caller = socket.socket(); " + _CONNECT.format("('127.0.0.1', int(arguments[0]))")
    ),
    "an abstract socket": Way(_abstract, _UNIX + _CONNECT.format("'\\0' + arguments[0]")),
    "a socket in a folder": Way(_socket_file, _UNIX + _CONNECT.format("arguments[0]")),
    "a socket of the hypervisor": Way(_vsock, "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); print('opened')"),
    "a file in shared memory": Way(_shared_file, _READ),
    "a segment of shared memory": Way(
        _segment,
        "number = libc.shmget(int(arguments[0]), 64, 0o600); place = libc.shmat(number, None, 0)\n"
        "print(ctypes.string_at(place).decode() if place not in (None, 2 ** 64 - 1) else '')",
    ),
    "a message queue": Way(
        _queue,
        "queue = libc.mq_open(arguments[0].encode(), os.O_RDWR); room = ctypes.create_string_buffer(8192)\n"
        "assert queue >= 0; libc.mq_receive(queue, room, 8192, None); print(room.value.decode())",
    ),
    "pages in memory, by a read that does not wait": Way(
        _resident,
        "file = os.open(os.__file__, os.O_RDONLY); os.read(file, 64)\n"
        "os.preadv(file, [bytearray(64)], 0, os.RWF_NOWAIT); print('resident')",
    ),
    "pages in memory, by asking": Way(
        _resident,
        "file = open(os.__file__, 'rb'); file.read(); libc.mmap.restype = ctypes.c_void_p\n"
        "place = libc.mmap(None, ctypes.c_size_t(4096), 1, 2, file.fileno(), ctypes.c_size_t(0))\n"
        "told = ctypes.create_string_buffer(1)\n"
        "print('resident' if libc.mincore(ctypes.c_void_p(place), 4096, told) == 0 else '')",
    ),
    "a setting of the kernel": Way(_boot, "print(open('/proc/sys/kernel/random/boot_id').read())", _SEEN),
    "words of another process": Way(
        _process, "print(open(f'/proc/{arguments[0]}/cmdline').read().rstrip('\\0').rpartition('\\0')[2])"
    ),
    "an inherited descriptor": Way(_descriptor, "print(os.pread(int(arguments[0]), 99, 0).decode())"),
    "a data set of an installed package": Way(
        _digits, "from sklearn.datasets import load_digits; print(len(load_digits().target))", _SEEN
    ),
}  # fmt: skip
"""Each by what it passes through, with the levels that let it through."""
