"""A planted job: it tries every known way to what was hidden from jobs, and returns what it found.

The control of confinement (:mod:`disgorge.examination.confinement_control`) hides an item, made for this and nothing
else, and orders this job as any other: what carries it out knows no difference. A way is the code that looks, and a
place to look in, which the recipe names; the item stands in no recipe. What a way finds is returned as its SHA-256, so
that no result holds the item.

>>> import tempfile
>>> from pathlib import Path
>>> place = Path(tempfile.mkdtemp()) / "weights"
>>> look("file", str(place)), place.write_text("found"), look("file", str(place))
(b'', 5, b'found')
"""

import ctypes
import hashlib
import os
import platform
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from disgorge.method import Items, Progress, no_progress

if TYPE_CHECKING:
    from disgorge.method import Tensors

FIELD = "item"
"""The field, and the tensor, that hold the item where it is an input."""
ITEM_BYTES = 32
ATTRIBUTE = "user.disgorge"
"""The extended attribute that may hold it."""
TIMED_FROM = 1_000_000_000
"""Seconds to which two bytes of the item are added, where times hold it."""
GIVEN = "given"
"""The kind of the job that is given the item as an input and has to find it there."""
_MOST = 1 << 20
_MOST_DESCRIPTORS = 1024
_SECONDS = 2.0
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_SESSION, _SEARCH, _READ = -3, 10, 11  # of keyctl


def look(kind: str, place: str) -> bytes:
    """Return what lies in a place by one kind of way, b"" if it cannot be reached."""
    with suppress(Exception):  # whatever stops it: it did not reach it
        return LOOKS[kind](place)
    return b""


def _file(place: str) -> bytes:
    with open(place, "rb") as file:
        return file.read(_MOST)


def _listed(place: str) -> bytes:
    return _in_order(name.split("-") for name in os.listdir(place))


def _guessed(place: str) -> bytes:
    """Try every name there could be: a folder need not be listed to tell whether one is there."""
    names = ([str(number), f"{byte:02x}"] for number in range(ITEM_BYTES) for byte in range(256))
    return _in_order(name for name in names if os.path.lexists(os.path.join(place, "-".join(name))))


def _in_order(names: Any) -> bytes:
    return bytes(int(byte, 16) for _, byte in sorted((int(number), byte) for number, byte in names))


def _link(place: str) -> bytes:
    return os.readlink(place).encode()


def _times(place: str) -> bytes:
    times = (int(os.stat(os.path.join(place, str(number))).st_mtime) for number in range(ITEM_BYTES // 2))
    return b"".join((time - TIMED_FROM).to_bytes(2, "big") for time in times)


def _attribute(place: str) -> bytes:
    return os.getxattr(place, ATTRIBUTE)


def _descriptor(place: str) -> bytes:
    """Read every open file there is, for one that begins as the place says."""
    for number in range(3, _MOST_DESCRIPTORS):
        with suppress(OSError):
            if (found := os.pread(number, _MOST, 0)).startswith(place.encode()):
                return found
    return b""


def _memory(place: str) -> bytes:
    """Read the memory of a process, by its number and an address."""
    process, address = place.split()
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), ITEM_BYTES, int(address))


def _variable(place: str) -> bytes:
    return os.environ[place].encode()


def _segment(place: str) -> bytes:
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.shmat.restype = ctypes.c_void_p
    address = kernel.shmat(int(place), None, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        return b""
    found = ctypes.string_at(address, ITEM_BYTES)
    kernel.shmdt(ctypes.c_void_p(address))
    return found


def _key(place: str) -> bytes:
    call, kernel = _KEYCTL[platform.machine()], ctypes.CDLL(None, use_errno=True)
    key = kernel.syscall(call, _SEARCH, _SESSION, b"user", place.encode(), 0)
    room = ctypes.create_string_buffer(ITEM_BYTES)
    return room.raw if key > 0 and kernel.syscall(call, _READ, key, room, ITEM_BYTES) == ITEM_BYTES else b""


def _socket(place: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as caller:
        return _answer(caller, f"\0{place}")


def _port(place: str) -> bytes:
    with socket.socket() as caller:
        return _answer(caller, ("127.0.0.1", int(place)))


def _answer(caller: socket.socket, address: Any) -> bytes:
    caller.settimeout(_SECONDS)
    caller.connect(address)
    return caller.recv(ITEM_BYTES)


LOOKS: Mapping[str, Callable[[str], bytes]] = {
    "file": _file, "listed names": _listed, "guessed names": _guessed, "link": _link, "times": _times,
    "attribute": _attribute, "descriptor": _descriptor, "memory": _memory, "variable": _variable, "segment": _segment,
    "key": _key, "socket": _socket, "port": _port,
}  # fmt: skip
"""Every kind of way, each code that returns what lies in a place and raises, or returns nothing, if it cannot."""


class Planted:
    """The job, in the shape of a method: of that it has what a runner calls."""

    name = "confinement-control"
    version = "1"
    libraries: tuple[str, ...] = ()

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        items: tuple[Items, ...],
        parts: "tuple[Tensors, ...]",
        *,
        progress: Progress = no_progress,
    ) -> "Tensors":
        """Return the SHA-256 of what was found, by name of the way or input."""
        if kind == GIVEN:
            found = {f"shard {number}": each.arrays[FIELD].tobytes() for number, each in enumerate(items)}
            found |= {f"component {number}": each[FIELD].tobytes() for number, each in enumerate(parts)}
        else:
            found = {name: look(*way) for name, way in parameters["ways"].items()}
        return {name: np.frombuffer(hashlib.sha256(data).digest(), np.uint8) for name, data in found.items()}


PLANTED = Planted()
ENTRY = "disgorge.training.sandbox.planted:PLANTED"
"""By which a worker loads it: it is registered nowhere."""
