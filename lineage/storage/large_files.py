"""Files of any size, hashed while they are copied: a few megabytes are in memory at a time.

>>> import hashlib, tempfile
>>> source = Path(tempfile.mkdtemp()) / "weights"
>>> _ = source.write_bytes(b"1234")
>>> copied(source, source.with_name("copy")) == hashlib.sha256(b"1234").hexdigest()
True
"""

import hashlib
import os
from pathlib import Path

from lineage.errors import BadInput, LineageError
from lineage.storage.objects import Objects, cached_sha256, sync_folder, written_aside

_AT_ONCE = 4 << 20
"""Bytes read at a time."""


def copied(source: Path, target: Path) -> str:
    """Copy a file's bytes over ``target`` and return their SHA-256, in hex; a link as ``source`` is an ``OSError``."""
    hashed = hashlib.sha256()
    descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as read, target.open("wb") as written:
        while data := read.read(_AT_ONCE):
            hashed.update(data)
            written.write(data)
        written.flush()
        os.fsync(written.fileno())
    return hashed.hexdigest()


def store_file(objects: Objects, source: Path, digest: str) -> None:
    """Store a file that has this SHA-256 as an object. Raises :class:`BadInput` if its bytes are other ones by now."""
    path = objects.path(digest)
    if path.is_file() and cached_sha256(path) == digest:
        objects.touch(digest)
        return
    try:
        with written_aside(path, b"") as aside:
            if copied(source, aside) != digest:
                raise BadInput(f"{source}: changed while it was read; let what writes it end, then repeat")
            os.replace(aside, path)
            sync_folder(path.parent)
    except OSError as problem:
        raise LineageError(
            f"{source}: cannot be stored in {objects.folder} ({problem.strerror}); make room or check permissions, "
            "then repeat"
        ) from problem
