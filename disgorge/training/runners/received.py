"""What a job sends of a component: pieces of bytes, aside in the object store until the job's result is taken.

Tensors come as one safetensors file, a folder as its listing and then the bytes of each file. Nothing is taken on
trust: names are those that a component may have, the digests are computed here, and a result that names files sends
them, so that none can come from another component. No more is held in memory than a piece.
"""

import errno
import json
import shutil
from collections.abc import Mapping
from typing import Any

from disgorge.training.runners.output import Output
from lineage.errors import BadInput, LineageError
from lineage.storage.components import is_safetensors, keep_listing, refuse_names
from lineage.storage.objects import PIECE, Incoming, Objects
from lineage.storage.tree import TreeFile

ENDED = "the worker process ended; run the command again to go on"
_MOST_OF_A_LISTING = 64 << 20


class Received:
    """A component that a job sent; use :meth:`keep`, and in any case :meth:`discard`."""

    def __init__(self, objects: Objects, *, files: bool) -> None:
        self.files = files
        self._objects = objects
        self._parts: dict[str, Incoming] = {}

    def keep(self) -> str:
        """Store it and return its digest; :class:`LineageError` for what is no component."""
        if self.files:
            stored = [TreeFile(path, part.size, part.keep()) for path, part in self._parts.items()]
            return keep_listing(self._objects, stored)
        (tensors,) = self._parts.values()
        if not is_safetensors(tensors.aside):
            raise LineageError("what it sent is neither tensors nor a folder; look at what the method returns")
        return tensors.keep()

    def discard(self) -> None:
        """Let go of what was not kept. Twice does no harm."""
        for part in self._parts.values():
            part.discard()

    def take(self, output: Output, path: str, size: int) -> None:
        """Read one part; :class:`LineageError` where the job ends before it is whole."""
        part = self._parts[path] = Incoming(self._objects)
        while part.size < size:
            if not (piece := output.read(min(PIECE, size - part.size))):
                raise LineageError(ENDED) from OSError(errno.EPIPE, ENDED)
            part.write(piece)
        part.finish()


def receive(output: Output, message: Mapping[str, Any], objects: Objects) -> Received:
    """Read the component that a message announces; :class:`LineageError` says what is the matter with it."""
    size = message.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise LineageError(ENDED) from OSError(errno.EPIPE, ENDED)
    received = Received(objects, files=message.get("files") is True)
    try:
        if not received.files:
            _require_room(objects, size)
            received.take(output, "", size)
            return received
        files = _listing(output.read(min(size, _MOST_OF_A_LISTING)))
        _require_room(objects, sum(each for _, each in files))
        for path, each in files:
            received.take(output, path, each)
    except BaseException:
        received.discard()
        raise
    return received


def _listing(data: bytes) -> list[tuple[str, int]]:
    try:
        files = [(str(path), int(size)) for path, size in json.loads(data)]
    except (ValueError, TypeError) as error:
        raise LineageError("the listing of the folder that it sent cannot be read; look at what it writes") from error
    refuse_names(path for path, _ in files)
    if any(size < 0 for _, size in files):
        raise BadInput("the listing of the folder that it sent has a negative size; look at what it writes")
    return files


def _require_room(objects: Objects, size: int) -> None:
    """Raise :class:`LineageError` unless there is room for so many bytes."""
    place = next(folder for folder in (objects.folder, *objects.folder.parents) if folder.is_dir())
    if size > (free := shutil.disk_usage(place).free):
        raise LineageError(
            f"{objects.folder}: what it made takes {size:,} bytes and {free:,} are free; make room and run this again"
        ) from OSError(errno.ENOSPC, "no space left on device")
