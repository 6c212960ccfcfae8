"""A content-addressed store: weights and reports under the SHA-256 of their bytes.

``objects/<aa>/<digest>``, where ``aa`` are the digest's first two characters. Writing is atomic (aside, fsync, rename)
and idempotent; reading checks the bytes, so a file changed on disk is never taken for what it was. What may be large is
written piece by piece (:class:`Incoming`) and checked without being read into memory (:meth:`Objects.checked`).

>>> import tempfile
>>> objects = Objects(Path(tempfile.mkdtemp()))
>>> objects.get(objects.put(b"weights"))
b'weights'
"""

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from lineage.errors import BadInput, DigestMismatch, LineageError, UnknownRecord

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ASIDE = ".aside-"
PIECE = 1 << 20
"""Bytes that are read or written at a time of what may be large."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""With which opening a link is an error, where the system has that."""
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


def sha256_of(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_stamp(path: Path | str) -> tuple[int, ...]:
    """Return the inode, size and times (ns) of a file: what changes when its bytes do."""
    found = os.stat(path)
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def cached_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes, computed once in this process while its :func:`file_stamp` stays the same.

    A file that changed a moment ago is hashed each time: a second change might leave the same times.
    """
    stamp = file_stamp(path)
    changed = max(stamp[2:])
    needed = _SETTLED_NS if changed % _SECOND_NS else _SETTLED_IN_SECONDS_NS
    settled = time.time_ns() - changed > needed
    return _sha256_as_stamped(path, stamp) if settled else sha256_of(path)


@lru_cache(maxsize=65_536)
def _sha256_as_stamped(path: Path | str, stamp: tuple[int, ...]) -> str:
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


class Incoming:
    """An object that is written piece by piece, aside, until :meth:`keep` gives it its name.

    Raises :class:`~lineage.errors.LineageError` where the disk is full, or the folder cannot be written.
    """

    def __init__(self, objects: "Objects") -> None:
        self._objects = objects
        self.aside = objects.folder / f"{_ASIDE}{secrets.token_hex(8)}"
        self._hash = hashlib.sha256()
        self.size = 0
        with self._explaining():
            objects.folder.mkdir(parents=True, exist_ok=True)
            self._file = self.aside.open("xb", buffering=0)

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        """Add a piece."""
        with self._explaining():
            view = memoryview(data)
            while len(view):
                view = view[self._file.write(view) :]
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        """The SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def copy(self, source: Path) -> None:
        """Write the bytes of a file, piece by piece.

        Raises :class:`~lineage.errors.LineageError` if it cannot be read, or is a link.
        """
        try:
            with os.fdopen(os.open(source, os.O_RDONLY | NO_LINK), "rb") as file:
                while piece := file.read(PIECE):
                    self.write(piece)
        except OSError as problem:
            raise LineageError(f"{source}: cannot be read ({problem.strerror})") from problem
        self.finish()

    def fill(self, write: Callable[[Path], None]) -> None:
        """Have all of it written by ``write``, which is given the path of the file."""
        with self._explaining():
            write(self.aside)
            self._file.close()
            self._file = self.aside.open("rb+", buffering=0)
            while piece := self._file.read(PIECE):
                self._hash.update(piece)
                self.size += len(piece)
        self.finish()

    def finish(self) -> None:
        """Write no more: what is written is on the disk, and no file stays open. Twice does no harm."""
        if not self._file.closed:
            with self._explaining():
                os.fsync(self._file.fileno())
                self._file.close()

    def keep(self) -> str:
        """Store what was written and return its digest; an object that is there and whole stays.

        Until :meth:`discard` it can be stored again, should a purge delete it before a fact names it.
        """
        self.finish()
        digest, path = self.digest, self._objects.path(self.digest)
        if self._objects.is_whole(digest):
            self._objects.touch(digest)
            return digest
        with self._explaining():
            path.parent.mkdir(parents=True, exist_ok=True)
            link = path.with_name(self.aside.name)
            os.link(self.aside, link)
            os.replace(link, path)
            sync_folder(path.parent)
        return digest

    def discard(self) -> None:
        """Let go of it; what was not kept is deleted. Twice does no harm."""
        self._file.close()
        self.aside.unlink(missing_ok=True)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            with contextlib.suppress(AttributeError):  # where the file could not be opened
                self.discard()
            raise LineageError(
                f"{self._objects.folder}: cannot be written ({problem.strerror}); nothing was recorded, make room or "
                "check the folder's permissions and repeat"
            ) from problem


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

    def put_file(self, source: Path, *, expected: str | None = None) -> str:
        """Store the bytes of a file, piece by piece, and return their digest.

        With the one that is ``expected``, what is stored already is not read again, and other bytes are a
        :class:`~lineage.errors.BadInput`.
        """
        if expected is not None and self.is_whole(expected):
            self.touch(expected)
            return expected
        incoming = Incoming(self)
        try:
            incoming.copy(source)
            if expected not in (None, incoming.digest):
                raise BadInput(f"{source}: changed while it was read; let what writes it end, then repeat")
            return incoming.keep()
        finally:
            incoming.discard()

    def touch(self, digest: str) -> None:
        """Make an object young again, so that no purge takes it for one that no fact will name."""
        path = self.path(digest)
        with contextlib.suppress(OSError):  # the file of another user, which only they may touch
            if time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
                os.utime(path)

    def is_whole(self, digest: str) -> bool:
        """Whether an object is there and its bytes are what its digest says; reads them piece by piece."""
        try:
            self.checked(digest)
        except LineageError:
            return False
        return True

    def checked(self, digest: str) -> Path:
        """Return the path of an object whose bytes are right, checked piece by piece; raises what :meth:`get` does."""
        path = self.path(digest)
        try:
            stamp = file_stamp(path)
            wrong = self._checked.get(digest) != stamp and cached_sha256(path) != digest
        except FileNotFoundError:
            raise self._missing(digest) from None
        except OSError as problem:
            raise LineageError(f"{path}: cannot be read ({problem.strerror})") from problem
        if wrong:
            raise _changed(path)
        self._checked[digest] = stamp
        return path

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
            raise self._missing(digest) from None
        except OSError as problem:
            raise LineageError(f"{path}: cannot be read ({problem.strerror})") from problem
        if self._checked.get(digest) != stamp and hashlib.sha256(data).hexdigest() != digest:
            raise _changed(path)
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

    def _missing(self, digest: str) -> UnknownRecord:
        return UnknownRecord(
            f"no object {digest} in {self.folder}: it was purged, or never copied to this machine; "
            f"restore it from a copy, or train again what needs it"
        )


def _changed(path: Path) -> DigestMismatch:
    return DigestMismatch(
        f"{path}: its bytes changed since they were stored; restore the file from a copy or train it again"
    )
