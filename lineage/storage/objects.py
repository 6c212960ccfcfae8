"""A content-addressed store: weights and reports under the SHA-256 of their bytes.

``objects/<aa>/<digest>``, where ``aa`` are the digest's first two characters. Writing is atomic (aside, fsync, rename)
and idempotent; reading checks the bytes, so a file changed on disk is never taken for what it was. Tensors are
safetensors with sorted names and no metadata: equal tensors make equal bytes, and nothing is ever unpickled.

>>> import numpy as np
>>> a = save_tensors({"w": np.ones(3, np.float32), "b": np.zeros(1, np.float32)})
>>> a == save_tensors({"b": np.zeros(1, np.float32), "w": np.ones(3, np.float32)})
True
>>> sorted(load_tensors(a))
['b', 'w']
"""

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.errors import BadInput, DigestMismatch, LineageError, UnknownRecord

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ASIDE = ".aside-"
_YOUNG_SECONDS = 10
"""Seconds within which a file that is stored again keeps its time; a purge spares what is younger than a minute."""
_SECOND_NS = 1_000_000_000
_SETTLED_NS = 50_000_000
"""Nanoseconds after which a second change of a file shows in its times, where those have parts of a second."""
_SETTLED_IN_SECONDS_NS = 3 * _SECOND_NS
"""The same where they have none: network file systems tick once a second, FAT every two."""


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write ``data`` to ``path`` so that a reader, or a crash, sees the old content or the new, never a part.

    Raises :class:`~lineage.errors.LineageError` if the disk is full or the folder cannot be written; ``path`` is then
    as it was.
    """
    try:
        with written_aside(path, data, mode=mode) as aside:
            os.replace(aside, path)
            sync_folder(path.parent)
    except OSError as problem:
        raise LineageError(
            f"{path}: cannot be written ({problem.strerror}); nothing was changed, make room or check the folder's "
            "permissions and repeat"
        ) from problem


@contextmanager
def written_aside(path: Path, data: bytes, *, mode: int = 0o644) -> Iterator[Path]:
    """Write ``data``, with fsync, to a new file beside ``path`` and give its path; it is removed unless renamed."""
    aside = path.with_name(f"{_ASIDE}{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def is_digest(name: str) -> bool:
    """Return whether a name is one that an object can have."""
    return _DIGEST.fullmatch(name) is not None


def remove_asides(folder: Path) -> None:
    """Delete what killed writers left aside in a folder; the caller holds the lock under which files are written."""
    for aside in folder.glob(f"{_ASIDE}*"):
        aside.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_stamp(path: Path) -> tuple[int, ...]:
    """Return the inode, size and times (ns) of a file: what changes when its bytes do."""
    found = path.stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def cached_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, computed once in this process while its :func:`file_stamp` stays the same.

    A file that changed a moment ago is hashed each time: a second change might leave the same times.
    """
    stamp = file_stamp(path)
    changed = max(stamp[2:])
    needed = _SETTLED_NS if changed % _SECOND_NS else _SETTLED_IN_SECONDS_NS
    settled = time.time_ns() - changed > needed
    return _sha256_as_stamped(path, stamp) if settled else sha256_of(path)


@lru_cache(maxsize=65_536)
def _sha256_as_stamped(path: Path, stamp: tuple[int, ...]) -> str:
    return sha256_of(path)


def sync_folder(folder: Path) -> None:
    """Make a rename or a removal in ``folder`` outlive a power cut, where the system allows it."""
    if os.name == "nt":  # Windows opens no folders; its renames are journaled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Objects:
    """The objects in one folder, which is made on the first write."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._checked: dict[str, tuple[int, ...]] = {}

    def path(self, digest: str) -> Path:
        """Return where the object is or would be; :class:`~lineage.errors.UnknownRecord` if that is not a digest."""
        if not is_digest(digest):
            raise UnknownRecord(f"{digest!r} is not a digest: an object's name is 64 hexadecimal characters")
        return self.folder / digest[:2] / digest

    def exists(self, digest: str) -> bool:
        """Return whether the object is there; says nothing about its bytes."""
        return self.path(digest).is_file()

    def put(self, data: bytes) -> str:
        """Store ``data`` and return its digest. A file already there is kept, or replaced if its bytes are wrong."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if not path.is_file() or path.read_bytes() != data:
            write_atomically(path, data)
        else:
            self.touch(digest)
        return digest

    def touch(self, digest: str) -> None:
        """Make an object that is stored again young, so that no purge takes it for one that no fact will name."""
        path = self.path(digest)
        if time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
            with contextlib.suppress(OSError):  # the file of another user, which only they may touch
                os.utime(path)

    def get(self, digest: str) -> bytes:
        """Return an object's bytes, checked once while the file's inode, size and times stay as they are.

        Raises :class:`~lineage.errors.UnknownRecord` if there is none and :class:`~lineage.errors.DigestMismatch` if
        the bytes are not what the digest says.
        """
        path = self.path(digest)
        try:
            stamp = file_stamp(path)
            data = path.read_bytes()
        except FileNotFoundError:
            raise UnknownRecord(
                f"no object {digest} in {self.folder}: it was purged, or never copied to this machine; "
                f"restore it from a copy, or train again what needs it"
            ) from None
        except OSError as problem:
            raise LineageError(f"{path}: cannot be read ({problem.strerror})") from problem
        if self._checked.get(digest) != stamp and hashlib.sha256(data).hexdigest() != digest:
            raise DigestMismatch(
                f"{path}: its bytes changed since they were stored; restore the file from a copy or train it again"
            )
        self._checked[digest] = stamp
        return data

    def delete(self, digest: str) -> bool:
        """Remove an object from the disk and return whether it was there."""
        path = self.path(digest)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as problem:
            raise LineageError(f"{path}: cannot be deleted ({problem.strerror}); check its permissions") from problem
        sync_folder(path.parent)
        return True

    def digests(self) -> Iterator[str]:
        """Yield the digest of every object there is, sorted."""
        for path in sorted(self.folder.glob("??/*")):
            if is_digest(path.name) and path.parent.name == path.name[:2]:
                yield path.name

    def check(self) -> list[str]:
        """Return the digests of objects whose bytes changed on disk."""
        bad = []
        for digest in self.digests():
            with self.path(digest).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    bad.append(digest)
        return bad


def save_tensors(tensors: "Mapping[str, Array]") -> bytes:
    """Return the safetensors bytes of ``tensors``: the same values under the same names make the same bytes.

    Raises :class:`~lineage.errors.BadInput` for no tensor at all, or one that safetensors cannot hold.
    """
    import numpy as np
    from safetensors.numpy import save

    if not tensors:
        raise BadInput("no tensor to save: give at least one, by name")
    flat: dict[str, Array] = {}
    for name in sorted(tensors):
        tensor = np.asarray(tensors[name])
        if tensor.dtype.kind not in "biufc":
            raise BadInput(f"tensor {name!r} holds {tensor.dtype}, which safetensors cannot: give it numbers")
        little = tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
        flat[name] = little if little.flags.c_contiguous else np.ascontiguousarray(little)
    try:
        return bytes(save(flat))
    except Exception as problem:  # safetensors raises KeyError, SafetensorError and more for dtypes it lacks
        raise BadInput(f"safetensors cannot hold these tensors: {problem}") from problem


def load_tensors(data: bytes) -> "dict[str, Array]":
    """Return the tensors that :func:`save_tensors` wrote; :class:`~lineage.errors.BadInput` if it did not."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(data))
    except (SafetensorError, KeyError, ValueError) as problem:
        raise BadInput(f"not a safetensors file: {problem}") from problem
