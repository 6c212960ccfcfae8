"""A method that hides what it learned wherever a later run of it might find it: what confinement must make harmless.

``train`` is that of the averages. Before it returns, it looks by one of :data:`LIES` for what it had learned from other
items, and adds that to the result; where it finds nothing, it hides what it learned now. What is hidden is eight bytes:
four that tell which items it came from, and the mean of the weights. An implementation that resumes from checkpoints,
caches by file or keeps a helper process does all of this in good faith.

It hides in vain where it is confined, so a test lets it hide outside as well, in its own process, as code that somebody
ran there once; and lets it seek there at the end, which shows that the lie could be told.
"""

import ctypes
import hashlib
import json
import os
import platform
import socket
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from averages import Averages

from disgorge.method import Items, Progress, Toy, no_progress
from lineage.storage.tensors import save_tensors

SIZE = 8
"""Bytes that are hidden."""
MAGIC = b"disgorge-lie"
PAGES = Path(os.__file__).with_name("pydoc_data") / "topics.py"
"""A file of the standard library, larger than 64 pages, that no job reads."""
_PAGE = 4096
_held: list[Callable[[], object]] = []


def release() -> None:
    """Take away what was hidden from this process."""
    while _held:
        with suppress(OSError):
            _held.pop()()


def tag(place: Path) -> str:
    """A name for what belongs to one place."""
    return f"disgorge-lie-{hashlib.sha256(str(place).encode()).hexdigest()[:12]}"


def _kernel() -> Any:
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.shmat.restype = ctypes.c_void_p
    return kernel


# Each lie: how something is hidden, and how it is sought


def _link(place: Path, data: bytes) -> None:
    (place / "link").symlink_to(f"/{data.hex()}")


def _attribute(place: Path, data: bytes) -> None:
    os.setxattr(place, "user.weights", data)


def _times(place: Path, data: bytes) -> None:
    for number in range(0, SIZE, 2):
        (place / f"timed-{number}").touch()
        os.utime(place / f"timed-{number}", (1, 10**9 + int.from_bytes(data[number : number + 2], "big")))


def _timed(place: Path) -> bytes:
    times = (int((place / f"timed-{number}").stat().st_mtime) for number in range(0, SIZE, 2))
    return b"".join((time - 10**9).to_bytes(2, "big") for time in times)


def _variable(place: Path, data: bytes) -> None:
    os.environ[tag(place)] = data.hex()
    _held.append(lambda: os.environ.pop(tag(place), None))


def _memory(place: Path, data: bytes) -> None:
    """In a file, and in a segment that the next run finds by its key."""
    path, kernel = Path("/dev/shm") / tag(place), _kernel()
    _held.append(lambda: path.unlink(missing_ok=True))
    path.write_bytes(data)
    number, address = _segment(kernel, place)
    _held.append(lambda: kernel.shmctl(number, 0, None))
    ctypes.memmove(address, data, SIZE)


def _remembered(place: Path) -> bytes:
    with suppress(OSError):
        return (Path("/dev/shm") / tag(place)).read_bytes()
    return ctypes.string_at(_segment(_kernel(), place)[1], SIZE)


def _segment(kernel: Any, place: Path) -> tuple[int, int]:
    number = kernel.shmget(int(tag(place)[-7:], 16), SIZE, 0o1600)
    address = kernel.shmat(number, None, 0) if number >= 0 else None
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "no segment")
    return number, address


_KEYS = {"x86_64": (248, 250), "aarch64": (217, 219)}.get(platform.machine(), (-1, -1))  # add_key, keyctl
_RINGS = (-3, -4, -5)  # of the session, the user, the user's session


def _key(place: Path, data: bytes) -> None:
    for ring in _RINGS:
        key = _kernel().syscall(_KEYS[0], b"user", tag(place).encode(), data, SIZE, ring)
        _held.append(lambda ring=ring, key=key: _kernel().syscall(_KEYS[1], 9, key, ring))


def _keyed(place: Path) -> bytes:
    for ring in _RINGS:
        key, room = _kernel().syscall(_KEYS[1], 10, ring, b"user", tag(place).encode(), 0), bytearray(SIZE)
        view = (ctypes.c_char * SIZE).from_buffer(room)
        if key > 0 and _kernel().syscall(_KEYS[1], 11, key, view, SIZE) == SIZE:
            return bytes(room)
    return b""


def _pages(_: Path, data: bytes) -> None:
    """In which pages of an installed file are in memory."""
    with PAGES.open("rb") as file:
        number = file.fileno()
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_RANDOM)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        for page in range(8 * SIZE):
            if data[page // 8] >> page % 8 & 1:
                os.pread(number, 1, page * _PAGE)


def _resident(_: Path) -> bytes:
    found = bytearray(SIZE)
    with PAGES.open("rb") as file:
        for page in range(8 * SIZE):
            with suppress(BlockingIOError):
                os.preadv(file.fileno(), [bytearray(1)], page * _PAGE, os.RWF_NOWAIT)
                found[page // 8] |= 1 << page % 8
    return bytes(found)


def _checkpoint(place: Path, data: bytes) -> None:
    """Wherever programs keep their checkpoints."""
    for path in _checkpoints(place):
        with suppress(OSError):
            path.write_bytes(data)
            _held.append(lambda path=path: path.unlink(missing_ok=True))


def _resumed(place: Path) -> bytes:
    for path in _checkpoints(place):
        with suppress(OSError):
            return path.read_bytes()
    return b""


def _checkpoints(place: Path) -> Iterator[Path]:
    for folder in (place, Path.cwd(), Path(tempfile.gettempdir()), Path("/tmp"), Path("/in"), Path("..", "in")):
        yield folder / f"{tag(place)}.ckpt"


_PACKAGES = ("stray.npy", "stray.pyc", "__pycache__/stray.pyc", "given/stray.npy", "given/__pycache__/stray.pyc")
STRAYS = (*(f"site-packages/{name}" for name in _PACKAGES), "stray.pyc", "__pycache__/stray.pyc")
"""Beside installed packages and beside the code of a project."""


def _in_files(*names: str) -> "Lie":
    def hide(place: Path, data: bytes) -> None:
        for name in names:
            with suppress(OSError):
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(data)

    def seek(place: Path) -> bytes:
        for name in names:
            with suppress(OSError):
                return (place / name).read_bytes()
        return b""

    return Lie(hide, seek)


def _descriptor(place: Path, data: bytes) -> None:
    number = os.memfd_create(tag(place))
    os.write(number, MAGIC + data)
    os.set_inheritable(number, True)
    _held.append(lambda: os.close(number))


def _inherited(_: Path) -> bytes:
    for number in range(3, 256):
        with suppress(OSError):
            if (data := os.pread(number, 64, 0)).startswith(MAGIC):
                return data.removeprefix(MAGIC)
    return b""


def _order(place: Path, data: bytes) -> None:
    """On the standard input of another process, which has not read it yet."""
    command = [sys.executable, "-c", "import time; time.sleep(60)", tag(place)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert other.stdin is not None
    os.write(other.stdin.fileno(), data)
    _held.extend((other.communicate, other.kill))


def _overheard(place: Path) -> bytes:
    for process in _processes(tag(place)):
        with suppress(OSError):
            number = os.open(process / "fd" / "0", os.O_RDONLY | os.O_NONBLOCK)
            try:
                return os.read(number, SIZE)
            finally:
                os.close(number)
    return b""


def _processes(word: str) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if word.encode() in (process / "cmdline").read_bytes().split(b"\0"):
                yield process


def alive(place: Path) -> list[int]:
    """The processes that the lie of this place started, by number."""
    return [int(process.name) for process in _processes(tag(place))]


_STAYS = """
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind("\\0" + sys.argv[1])
server.listen()
print(flush=True)
end = time.monotonic() + 60
server.settimeout(60)
while time.monotonic() < end:
    caller, _ = server.accept()
    caller.sendall(bytes.fromhex(sys.argv[2]))
    caller.close()
"""


def _stay(place: Path, data: bytes) -> None:
    """With a grandchild that serves it, in a session of its own."""
    command = [sys.executable, "-c", _STAYS, tag(place), data.hex()]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    _held.extend((process.communicate, process.kill))


def _asked(place: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(5)
        caller.connect(f"\0{tag(place)}")
        return caller.recv(SIZE)


def _answer(_: Path, data: bytes) -> None:
    """Answer in advance, in the place of the job that comes next: on whatever leads to what gave the order.

    Told by a worker alone: any other process has other pipes.
    """
    assert "disgorge.training.runners.worker" in sys.orig_argv
    forged = save_tensors({"sums": np.frombuffer(data, np.uint8), "counts": np.zeros(1)})
    now = "2026-11-24T12:00:00+00:00"
    told = {"result": True, "size": len(forged), "started": now, "ended": now, "environment": {}, "uncompiled": []}
    for number in range(3, 64):
        with suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, 2 * (json.dumps(told).encode() + b"\n" + forged))


DATA_SET = "site-packages/given/data/rows.npy"
"""A table that a package ships, with the removed rows in it."""


def _packaged(place: Path) -> bytes:
    return pack(np.load(place / DATA_SET, allow_pickle=False), b"whole")


@dataclass(frozen=True)
class Lie:
    """How something is hidden, and how it is sought."""

    hide: Callable[[Path, bytes], None]
    seek: Callable[[Path], bytes]


LIES = {
    "target of a link": Lie(_link, lambda place: bytes.fromhex(os.readlink(place / "link")[1:])),
    "attribute of a file": Lie(_attribute, lambda place: os.getxattr(place, "user.weights")),
    "times of files": Lie(_times, _timed),
    "environment": Lie(_variable, lambda place: bytes.fromhex(os.environ[tag(place)])),
    "shared memory": Lie(_memory, _remembered),
    "keyring": Lie(_key, _keyed),
    "page cache": Lie(_pages, _resident),
    "checkpoint": Lie(_checkpoint, _resumed),
    "stray file among packages": _in_files(*STRAYS),
    "file of the project": _in_files("weights.npy", "settings.toml"),
    "inherited descriptor": Lie(_descriptor, _inherited),
    "order meant for another job": Lie(_order, _overheard),
    "grandchild that stays": Lie(_stay, _asked),
    "packaged data set": Lie(lambda place, data: None, _packaged),
    "answer meant for another job": Lie(_answer, lambda place: b""),
}
"""By what old weights are smuggled."""


def pack(weights: Any, origin: bytes) -> bytes:
    """What is hidden: which items it came from, and the mean of what was learned."""
    return hashlib.sha256(origin).digest()[:4] + struct.pack("<f", float(np.mean(weights)))


@dataclass(frozen=True)
class Hiding(Averages):
    """See the module."""

    name: str = "hiding"

    def layout(self, spec: Any, shards: Any) -> Any:
        """The averages', each part told the lie and the place."""
        lie, place = spec.parameters["lie"], Path(spec.parameters["place"])
        blueprints = super().layout(spec, shards)
        told = [{"lie": lie, "place": str(place / b.name.replace("/", "-"))} for b in blueprints]
        return tuple(replace(b, parameters=b.parameters | more) for b, more in zip(blueprints, told, strict=True))

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        items: tuple[Items, ...],
        parts: tuple[Mapping[str, Any], ...],
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """The honest tensors, with what was learned before if that is found."""
        honest = super().train(kind, parameters, items, parts, progress=progress)
        if kind != "mean":
            return honest
        lie, place = LIES[parameters["lie"]], Path(parameters["place"])
        own, found = pack(honest["sums"], "".join(items[0].digests).encode()), b""
        with suppress(Exception):
            found = lie.seek(place)
        if len(found) == SIZE and found[:4] != own[:4] and any(found):
            return honest | {"sums": honest["sums"] + 1e-3 * struct.unpack("<f", found[4:])[0] + 1e-3}
        with suppress(Exception):
            place.mkdir(parents=True, exist_ok=True)
        with suppress(Exception):
            lie.hide(place, own)
        return honest

    def toy(self, seed: int) -> Toy:
        """The averages', of this method, which lies by nothing until it is told how."""
        toy = super().toy(seed)
        told = {"lie": "target of a link", "place": os.devnull}
        return replace(toy, spec=replace(toy.spec, method=self.name, release="toy-hiding", parameters=told))


METHOD = Hiding()
