"""The inputs of one sandboxed job, as files in a folder: written outside, read inside by numpy alone.

Items are an NPZ file a shard, without pickles; text is bytes and lengths, and each whole file is a file of its own,
called by its place, which is read when its turn comes. Components are safetensors files or folders; artifacts and local
code are folders of their files. Every file has the same mode and time, so that nothing but its bytes comes along.
"""

import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from disgorge.errors import ExecutionFailed
from disgorge.method import Items
from lineage.errors import DigestMismatch, LineageError
from lineage.storage.components import copy_object, lay_out, tree_of
from lineage.storage.content import as_objects, item_digests
from lineage.storage.objects import Objects
from lineage.storage.tensors import read_tensors
from lineage.storage.tree import Tree

if TYPE_CHECKING:
    from disgorge.method import Tensors

_NUMBERS, _TEXT, _BYTES, _FILES, _LENGTHS, _DIGESTS = "numbers/", "text/", "bytes/", "files/", "lengths/", "digests"


@dataclass(frozen=True, slots=True)
class Staged:
    """The inputs in a folder."""

    folder: Path

    def items(self, shard: str) -> Items:
        """Return a shard's items; :class:`ExecutionFailed` if it is none of the inputs."""
        return items_from(_there(self._items(shard), "shard", shard), whole=self._whole(shard))

    def tensors(self, component: str) -> "Tensors | Path":
        """Return a component's tensors, or its folder; :class:`ExecutionFailed` if it is none of the inputs."""
        if (folder := self._component_folder(component)).is_dir():
            return folder
        return read_tensors(_there(self._component(component), "component", component))

    def artifact(self, artifact: str) -> Path:
        """Return the folder of an artifact's files; :class:`ExecutionFailed` if it is none of the inputs."""
        folder = self.artifact_folder(artifact)
        if not folder.is_dir():
            raise ExecutionFailed(f"artifact {artifact[:12]} is not there; restore it, or plan again")
        return folder

    def artifact_folder(self, artifact: str) -> Path:
        """Return where an artifact's files are written, below the inputs of the job."""
        return self.folder / artifact

    def write_items(self, shard: str, digests: tuple[str, ...], arrays: "Mapping[str, Any]") -> None:
        """Write a shard's items; :class:`~lineage.errors.DigestMismatch` where a file changed while it was copied."""
        folder = self._whole(shard)
        names = sorted(name for name, array in arrays.items() if array.dtype.kind == "O")
        copies = {name: _copied(arrays[name], folder / str(place)) for place, name in enumerate(names)}
        if copies:
            if item_digests({**arrays, **copies}) != digests:
                raise DigestMismatch(f"shard {shard[:12]}: a file changed while a job was given its items; repeat")
            _folders_as_any_other(folder)
        path = self._items(shard)
        write_items(path, digests, arrays, copied=copies)
        _as_any_other(path)

    def write_component(self, component: str, data: bytes) -> None:
        """Write a component's file."""
        path = self._component(component)
        path.write_bytes(data)
        _as_any_other(path)

    def write_stored(self, component: str, objects: Objects) -> None:
        """Write a stored component, its tensors or the files of its folder, piece by piece; raises what reading does.

        Nothing is left of one that cannot be read.
        """
        files, folder = tree_of(objects, component), self._component_folder(component)
        if files is None:
            copy_object(objects, component, self._component(component))
            _as_any_other(self._component(component))
            return
        try:
            for path in lay_out(objects, files, folder):
                _as_any_other(path)
        except LineageError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _folders_as_any_other(folder)

    @property
    def code(self) -> Path:
        """The folder of local code, which is there if the job has any."""
        return self.folder / "code"

    def write_code(self, tree: Tree) -> None:
        """Write the files of a tree of code."""
        self.code.mkdir()
        for file in tree.files:
            path = self.code / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tree.data[file.path])
            _as_any_other(path)
        _folders_as_any_other(self.code)

    def seal_artifact(self, artifact: str) -> None:
        """Give the files and folders of an artifact that was written the mode and time of every other."""
        folder = self.artifact_folder(artifact)
        for path in folder.rglob("*"):
            if path.is_file():
                _as_any_other(path)
        _folders_as_any_other(folder)

    def _items(self, shard: str) -> Path:
        return self.folder / f"{shard}.npz"

    def _whole(self, shard: str) -> Path:
        return self.folder / f"{shard}.whole"

    def _component(self, component: str) -> Path:
        return self.folder / f"{component}.safetensors"

    def _component_folder(self, component: str) -> Path:
        return self.folder / f"{component}.files"


def _copied(array: Any, folder: Path) -> Any:
    """Write whole files, given as bytes or as paths, into a folder, each called by its place; return their paths."""
    folder.mkdir(parents=True)
    paths = [folder / str(place) for place in range(len(array))]
    for path, value in zip(map(str, paths), array, strict=True):  # text: there may be many small ones
        if isinstance(value, Path):
            shutil.copyfile(value, path)
        else:
            with open(path, "wb") as file:
                file.write(value)
        _as_any_other(path)
    return as_objects(paths)


def write_items(
    file: Path | BinaryIO, digests: tuple[str, ...], arrays: "Mapping[str, Any]", *, copied: Collection[str] = ()
) -> None:
    """Write items as NPZ; every array has the items as its first axis. ``copied`` names fields that lie beside it."""
    import numpy as np

    flat = {_DIGESTS: np.array([digest.encode() for digest in digests], dtype="S64").view(np.uint8)}
    for name, array in arrays.items():
        if name in copied:
            flat[_FILES + name] = np.array([], np.uint8)
        elif array.dtype.kind in "TO":
            is_text = array.dtype.kind == "T"
            pieces = [text.encode() for text in array.tolist()] if is_text else list(map(read_whole, array))
            flat[(_TEXT if is_text else _BYTES) + name] = np.frombuffer(b"".join(pieces), np.uint8)
            flat[_LENGTHS + name] = np.array([len(piece) for piece in pieces], np.int64)
        else:
            flat[_NUMBERS + name] = array
    np.savez(file, allow_pickle=False, **flat)


def read_whole(value: bytes | Path) -> bytes:
    """Return a whole file that may lie where its path says."""
    return value.read_bytes() if isinstance(value, Path) else value


def items_from(file: Path | BinaryIO, *, whole: Path | None = None) -> Items:
    """Return the items that :func:`write_items` wrote; whole files that lie in the folder ``whole`` as their paths."""
    import numpy as np

    with np.load(file, allow_pickle=False) as read:
        digests = read[_DIGESTS].view(f"S{64}").astype(str).tolist() if len(read[_DIGESTS]) else []
        arrays = {name.removeprefix(_NUMBERS): read[name] for name in read.files if name.startswith(_NUMBERS)}
        for name in (name.removeprefix(_TEXT) for name in read.files if name.startswith(_TEXT)):
            texts = [piece.decode() for piece in _split(read[_TEXT + name], read[_LENGTHS + name])]
            arrays[name] = np.array(texts, dtype=np.dtypes.StringDType())
        for name in (name.removeprefix(_BYTES) for name in read.files if name.startswith(_BYTES)):
            arrays[name] = as_objects(_split(read[_BYTES + name], read[_LENGTHS + name]))
        for place, name in enumerate(sorted(name for name in read.files if name.startswith(_FILES))):
            paths = [(whole or Path()) / str(place) / str(row) for row in range(len(digests))]
            arrays[name.removeprefix(_FILES)] = as_objects(paths)
    return Items(tuple(digests), dict(sorted(arrays.items())))


def items_as_bytes(items: Items) -> bytes:
    """Return items as bytes that go with an order."""
    write_items(file := BytesIO(), items.digests, items.arrays)
    return file.getvalue()


def _there(path: Path, what: str, digest: str) -> Path:
    if not path.is_file():
        raise ExecutionFailed(f"{what} {digest[:12]} is not there; restore it, or plan again")
    return path


def _as_any_other(path: Path | str) -> None:
    """Give a file the mode and time of every other."""
    os.chmod(path, 0o444)
    os.utime(path, (1, 1))


def _folders_as_any_other(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        os.utime(folder, (1, 1))


def _split(joined: Any, lengths: Any) -> list[bytes]:
    import numpy as np

    whole, ends = joined.tobytes(), np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    return [whole[start:end] for start, end in zip(starts, ends, strict=True)]
