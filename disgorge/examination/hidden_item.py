"""An item hidden wherever a job must not reach: what the control of confinement has a planted job look for.

The item is 32 random bytes, of nobody's data. It is put, as a row, as a tensor or as text, into every store of a
workspace and every other place of this machine where old weights could lie, and at the end it is taken away again.
What a killed control left, the next one deletes: the file in the private folder names the item, from which every other
name follows. Until then it is harmless, for no fact names it. The caller holds the workspace lock.
"""

import ctypes
import hashlib
import os
import platform
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import disgorge
from disgorge.locations.mlflow import FOLDERS
from disgorge.training.sandbox.installed import cache_folder
from disgorge.training.sandbox.landlock import OURS
from disgorge.training.sandbox.namespace import package_folders
from disgorge.training.sandbox.planted import ATTRIBUTE, FIELD, ITEM_BYTES, TIMED_FROM
from lineage.records import Item, shard_digest
from lineage.storage.content import item_digests, write_content
from lineage.storage.manifest import write_manifest
from lineage.storage.objects import write_atomically
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace

Way = tuple[str, str]
"""A kind of :data:`~disgorge.training.sandbox.planted.LOOKS`, and the place to look in."""
OWED = ("content of a shard", "manifest of a shard", "stored object", "private file")
"""What every workspace has: a control that could not hide the item there shows nothing."""
DVC, MLFLOW = "cache of DVC", tuple(f"artifacts of MLflow, {folder}" for folder in FOLDERS)
SEEN_UNDER_LANDLOCK = frozenset(
    ("names of files, guessed", "target of a link", "times of files", "attribute of a file")
)
"""Ways that Landlock does not close, and does not claim to."""
_NOTE = "confinement-control.txt"
_WORDS = "Planted by disgorge to control the confinement of jobs, and of no other use: "
_VARIABLE = "DISGORGE_CONTROL_ITEM"
_ADD_KEY, _KEYCTL = {"x86_64": 248, "aarch64": 217}, {"x86_64": 250, "aarch64": 219}
_SESSION, _UNLINK, _SET_TIMEOUT = -3, 9, 15  # of keyctl
_KEY_SECONDS = 600
"""After which the kernel deletes the key that a killed control left."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """An item in its places: the shard and the component that hold it, and by name each way to it."""

    item: bytes
    shard: str
    component: str
    ways: Mapping[str, Way]


@contextmanager
def hidden(workspace: Workspace) -> Iterator[Hidden]:
    """Hide an item for as long as the block runs. A place that is not there, or not for us to write to, is left out."""
    clear_hidden(workspace)
    item = _Item(secrets.token_bytes(ITEM_BYTES))
    with ExitStack() as stack:
        stack.callback(clear_hidden, workspace)
        note = workspace.private.folder / _NOTE
        write_atomically(note, item.text, mode=0o600)
        files = _files(workspace, item)
        write_content(workspace.content_path(item.shard), [item.digest], item.arrays)
        write_manifest(workspace.manifest_path(item.shard), [item.row])
        workspace.objects.put(item.tensors)
        os.utime(workspace.objects.path(item.component), (1, 1))  # not taken for one that is about to be recorded
        row = workspace.content_path(item.shard).read_bytes()
        for name, path in files.items():
            if name not in OWED and path.parent.is_dir():
                with suppress(OSError):  # data where only data is kept: a search for residues reads it
                    path.write_bytes(row if name == DVC else item.tensors if name in MLFLOW else item.text)
        ways = {name: ("file", str(path)) for name, path in files.items() if path.is_file()}
        hides: tuple[Callable[[], Mapping[str, Way]], ...] = (
            lambda: _beside(_folder(workspace, item), item),
            lambda: _in_variable(stack, item.data),
            lambda: _in_descriptor(stack, item),
            lambda: _in_memory(stack, item.data),
            lambda: _in_segment(stack, item.data),
            lambda: _in_keyring(stack, item),
            lambda: _behind_sockets(stack, item),
        )
        for hide in hides:
            with suppress(OSError, AttributeError, KeyError):  # another system, or one that refuses it
                ways |= hide()
        yield Hidden(item.data, item.shard, item.component, ways)


def clear_hidden(workspace: Workspace) -> None:
    """Delete what a control hid in files, were it one that was killed."""
    note = workspace.private.folder / _NOTE
    try:
        item = _Item(bytes.fromhex(note.read_text(encoding="utf-8").split()[-1]))
    except (OSError, ValueError, IndexError):
        note.unlink(missing_ok=True)
        return
    for path in _files(workspace, item).values():
        if path != note:
            with suppress(OSError):  # a folder that is not there, or where nobody may write
                path.unlink()
    shutil.rmtree(_folder(workspace, item), ignore_errors=True)
    note.unlink(missing_ok=True)


class _Item:
    """An item in the forms in which it is hidden, and the names that follow from it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.name = f".disgorge-control-{hashlib.sha256(b'name' + data).hexdigest()[:16]}"
        """Says nothing of the item to a job that is told where to look."""
        self.text = f"{_WORDS}{data.hex()}\n".encode()
        self.arrays = {FIELD: np.frombuffer(data, np.uint8)[None]}  # (1, bytes)
        (self.digest,) = item_digests(self.arrays)
        self.shard = shard_digest([self.digest])
        self.row = Item(self.digest, data.hex(), None, None, None, len(data))
        self.tensors = save_tensors({FIELD: self.arrays[FIELD][0]})
        self.component = hashlib.sha256(self.tensors).hexdigest()


def _files(workspace: Workspace, item: _Item) -> dict[str, Path]:
    """Return by name each file that holds the item, or would if its folder were there."""
    root = workspace.root
    found = {
        "content of a shard": workspace.content_path(item.shard),
        "manifest of a shard": workspace.manifest_path(item.shard),
        "stored object": workspace.objects.path(item.component),
        "private file": workspace.private.folder / _NOTE,
        "report": root / "reports" / item.name,
        DVC: root / ".dvc" / "cache" / item.name,
        "workspace folder": root / item.name,
        "file in shared memory": Path("/dev/shm") / item.name,
    }
    found |= {name: root / folder / item.name for name, folder in zip(MLFLOW, FOLDERS, strict=True)}
    for name, folder in _OF_THE_USER.items():
        with suppress(RuntimeError, OSError):  # there is none
            if not _is_code(place := folder()):
                found[name] = place / item.name
    return found


_OF_THE_USER: Mapping[str, Callable[[], Path]] = {
    "temporary folder": lambda: Path(tempfile.gettempdir()),
    "working folder": Path.cwd,
    "home folder": Path.home,
    "cache folder": cache_folder,
}


def _is_code(folder: Path) -> bool:
    """Whether a folder lies in this program or among installed packages, which jobs may read."""
    ours = Path(disgorge.__file__).absolute().parents[1]
    return any(map(folder.absolute().is_relative_to, (*(ours / name for name in OURS), *package_folders())))


def _folder(workspace: Workspace, item: _Item) -> Path:
    """Return a folder beside those of jobs, which is deleted with them."""
    return workspace.home / f"apart-{item.name.rpartition('-')[2]}"


def _beside(folder: Path, item: _Item) -> dict[str, Way]:
    """Hide it as if it were the input of another job, and in what can be learned of files without opening them."""
    data, names, timed = item.data, folder / "names", folder / "timed"
    names.mkdir(parents=True)
    timed.mkdir()
    for number, byte in enumerate(data):
        (names / f"{number}-{byte:02x}").touch()
    for number in range(ITEM_BYTES // 2):
        (timed / str(number)).touch()
        time = TIMED_FROM + int.from_bytes(data[2 * number : 2 * number + 2], "big")
        os.utime(timed / str(number), (time, time))
    (folder / "link").symlink_to(f"/{data.hex()}")
    (folder / "input").write_bytes(item.text)
    ways = {
        "input of another job": ("file", str(folder / "input")),
        "names of files, listed": ("listed names", str(names)),
        "names of files, guessed": ("guessed names", str(names)),
        "times of files": ("times", str(timed)),
        "target of a link": ("link", str(folder / "link")),
    }
    with suppress(OSError, AttributeError):  # a file system that keeps none
        os.setxattr(names, ATTRIBUTE, data)
        ways["attribute of a file"] = ("attribute", str(names))
    return ways


def _in_variable(stack: ExitStack, data: bytes) -> dict[str, Way]:
    os.environ[_VARIABLE] = data.hex()
    stack.callback(os.environ.pop, _VARIABLE, None)
    return {"variable of this program": ("variable", _VARIABLE)}


def _in_descriptor(stack: ExitStack, item: _Item) -> dict[str, Way]:
    """Hide it in a file that is open here, and that processes started from here inherit unless it is closed."""
    number = os.memfd_create(item.name, 0)
    stack.callback(os.close, number)
    os.write(number, item.text)
    return {"inherited descriptor": ("descriptor", _WORDS)}


def _in_memory(stack: ExitStack, data: bytes) -> dict[str, Way]:
    kept = ctypes.create_string_buffer(data, ITEM_BYTES)
    stack.callback(ctypes.memset, kept, 0, ITEM_BYTES)  # it is kept until then
    return {"memory of this program": ("memory", f"{os.getpid()} {ctypes.addressof(kept)}")}


def _in_segment(stack: ExitStack, data: bytes) -> dict[str, Way]:
    """Hide it in System V shared memory, which the kernel deletes when this process ends."""
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.shmat.restype = ctypes.c_void_p
    number = kernel.shmget(0, ITEM_BYTES, 0o1600)  # a new one, of this user alone
    address = kernel.shmat(number, None, 0) if number >= 0 else None
    if address in (None, ctypes.c_void_p(-1).value):
        return {}
    stack.callback(kernel.shmdt, ctypes.c_void_p(address))
    kernel.shmctl(number, 0, None)  # from now on it is there for as long as it is attached
    ctypes.memmove(address, data, ITEM_BYTES)
    return {"segment of shared memory": ("segment", str(number))}


def _in_keyring(stack: ExitStack, item: _Item) -> dict[str, Way]:
    """Hide it in the keyring of the session."""
    add, control = _ADD_KEY[platform.machine()], _KEYCTL[platform.machine()]
    kernel = ctypes.CDLL(None, use_errno=True)
    key = kernel.syscall(add, b"user", item.name.encode(), item.data, ITEM_BYTES, _SESSION)
    if key <= 0:
        return {}
    stack.callback(kernel.syscall, control, _UNLINK, key, _SESSION)
    kernel.syscall(control, _SET_TIMEOUT, key, _KEY_SECONDS)
    return {"keyring of the session": ("key", item.name)}


def _behind_sockets(stack: ExitStack, item: _Item) -> dict[str, Way]:
    """Serve it from this process, to whatever reaches it."""
    _serve(stack, socket.socket(socket.AF_UNIX), f"\0{item.name}", item.data)
    ways = {"abstract socket": ("socket", item.name)}
    port = _serve(stack, socket.socket(), ("127.0.0.1", 0), item.data)
    return {**ways, "port of this machine": ("port", str(port[1]))}


def _serve(stack: ExitStack, server: socket.socket, address: Any, data: bytes) -> Any:
    stack.callback(server.close)
    server.bind(address)
    server.listen()

    def answer() -> None:
        while True:
            try:
                caller, _ = server.accept()
            except OSError:  # closed
                return
            with caller, suppress(OSError):
                caller.sendall(data)

    threading.Thread(target=answer, daemon=True).start()
    stack.callback(server.shutdown, socket.SHUT_RDWR)  # closing alone does not wake what waits for a caller
    return server.getsockname()
