"""Items from a folder of files: images, ``.npy`` arrays or ``.txt`` texts, one file an item.

The key is the file's path within the folder. If the files lie in sub-folders, the name of the sub-folder is the item's
``label``. Files and folders whose names begin with a dot are left alone; any other file must be of the one kind that
the folder holds, so that nothing is skipped in silence. Pictures are taken as their pixels (:mod:`.decoding.picture`).

Taken ``whole``, files may be of any kind and size: an item is a ``file``, its bytes, and its ``suffix``, such as
``.wav``, which tells its format.

A file ``metadata.csv`` or ``metadata.jsonl`` at the top is no item: it has a line for each file, whose columns play
parts or are content beside the file's own (:mod:`lineage.formats.metadata`).

A folder received from others may hold links: one that leads out of it would read a file of this machine, and is
refused, unless it leads into a cache of DVC, which is where DVC's own links lead.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.columns import Choice, Columns, Text
from lineage.formats.decoding.picture import read_picture
from lineage.formats.metadata import NAMES, Metadata, read_metadata, refuse_unread
from lineage.formats.npz_file import parse_npy
from lineage.formats.stand_ins import refuse_stand_in, refuse_unfetched
from lineage.plural import counted
from lineage.storage.content import as_objects, as_text
from lineage.storage.size_limits import too_large

_SUFFIXES = {
    ".png": "image", ".jpg": "image", ".jpeg": "image", ".bmp": "image", ".gif": "image", ".tif": "image",
    ".tiff": "image", ".webp": "image", ".pgm": "image", ".ppm": "image", ".npy": "array", ".txt": "text",
}  # fmt: skip


def read_folder(
    path: Path,
    choice: Choice,
    *,
    limit: int,
    whole: bool = False,
    in_place: bool = False,
    names: Collection[str] | None = None,
    kinds: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> Columns:
    """Return the items of a folder; raises ``BadInput`` naming the first file that does not fit.

    ``whole`` takes files as their bytes; with ``in_place`` these are paths, read one at a time when they are needed.
    ``names`` leaves out every file but these, which must be there. ``kinds`` says what fields were when they were read
    before; ``encoding`` and ``delimiter`` are those of its ``metadata.csv``.
    """
    origin = str(path)
    metadata = read_metadata(path, encoding=encoding, delimiter=delimiter)
    try:
        found = files_below(path, path.resolve(), whole=whole, top=True) if names is None else _named(path, names)
        files = sorted(found, key=lambda file: file.relative_to(path).as_posix())
    except RecursionError:
        raise BadInput(f"{origin}: folders lie too deep in one another; bring the files up") from None
    if not files:
        raise BadInput(f"{origin}: holds no file; put images, .npy or .txt files in it")
    kind = "file" if whole else _kind(files)
    keys = [file.relative_to(path).as_posix() for file in files]
    told = metadata.cells if metadata else {}
    rows = metadata.rows_of(keys, every=names is None) if metadata else []
    labels = ["" if file.parent == path else file.parent.relative_to(path).as_posix() for file in files]
    if "label" in told:
        labels = []
    own = [kind, *(["suffix"] if whole else []), *(["label"] if any(labels) else [])]
    choice, named = _with_path(choice, metadata)
    settled = choice.settle([*named, *own, *told], origin)
    if any(labels) and not all(labels) and "label" in (*(settled.fields or ()), *settled.roles().values()):
        raise BadInput(f"{keys[labels.index('')]}: lies beside sub-folders of {origin}; put it into one, as its label")
    applied = Counter[str]()
    if whole:
        content = {kind: _whole(files, limit, in_place=in_place)}
        content["suffix"] = as_text("suffix", [file.suffix.lower() for file in files])
    else:
        content = {kind: _texts(files, keys, limit) if kind == "text" else _stacked(files, keys, kind, limit, applied)}
    if any(labels):
        content["label"] = as_text("label", labels)
    text: dict[str, Text] = {}
    for role, name in settled.roles().items():
        if name == kind:
            raise BadInput(f"{origin}: '{name}' cannot be the {role}; in a folder that can be 'key' or 'label'")
        if name not in told:
            own_text = {"label": labels} | dict.fromkeys(named, keys)
            text[role] = tuple(own_text[name] if name != "suffix" else content[name].tolist())
    notes = tuple(f"{counted(times, 'picture')} {rule}" for rule, times in applied.items())
    if metadata:
        more, texts = _beside(metadata, rows, settled, kinds or {})
        content, text = content | more, text | texts
    content = {name: content[name] for name in settled.fields or ()}
    return Columns(origin, content, text, tuple(keys), settled.roles(), notes=notes)


def _with_path(choice: Choice, metadata: Metadata | None) -> tuple[Choice, list[str]]:
    """Return the choice, and what the column is called that has the files' paths; none where another has the keys."""
    told = metadata.cells if metadata else {}
    if metadata and choice.key == metadata.column:
        return (choice, [metadata.column]) if "key" in told else (replace(choice, key="key"), ["key"])
    return choice, ["key"] if "key" not in told and choice.key in (None, "key") else []


def _beside(
    metadata: Metadata, rows: list[int], settled: Choice, kinds: Mapping[str, str]
) -> tuple[dict[str, NDArray[Any]], dict[str, Text]]:
    """Return the content and the other parts that metadata has for some files, which ``rows`` are about."""
    fields = [name for name in settled.fields or () if name in metadata.cells]
    content = {name: array[rows] for name, array in metadata.content(fields, kinds).items()}
    text: dict[str, Text] = {}
    for role, name in settled.roles().items():
        if name in metadata.cells:
            values = metadata.text(name)
            text[role] = tuple(values[row] for row in rows)
    return content, text


def files_below(path: Path, root: Path, *, whole: bool, top: bool = False) -> Iterator[Path]:
    """Yield every file at or below ``path``; a link to a folder is refused, since following it may never end.

    The first file of no known kind ends it: ``/`` given by mistake is not walked to its end.
    """
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if top and entry.name in NAMES:
                continue  # which is no item
            if entry.name != os.fsencode(entry.name).decode("utf-8", "replace"):
                raise BadInput(f"{entry.path!r}: its name is not UTF-8, so it cannot be a key; rename the file")
            if entry.is_dir(follow_symlinks=False):
                yield from files_below(Path(entry.path), root, whole=whole)
            elif entry.is_file():
                if entry.is_symlink() and _leads_out(Path(entry.path), root):
                    raise BadInput(f"{entry.path}: is a link that leads out of the folder; copy in what it stands for")
                refuse_stand_in(Path(entry.path))
                refuse_unread(Path(entry.path))
                if not whole and Path(entry.name).suffix.lower() not in _SUFFIXES:
                    known = f"{', '.join(_SUFFIXES)} files"
                    raise BadInput(
                        f"{entry.path}: of no known kind; move it out, {root} may hold {known}, or take files "
                        "whole, as their bytes (--files)"
                    )
                yield Path(entry.path)
            else:
                refuse_unfetched(Path(entry.path))
                raise BadInput(f"{entry.path}: neither a file nor a folder of its own; copy in what it stands for")


def _named(path: Path, names: Collection[str]) -> Iterator[Path]:
    for name in names:
        if not (path / name).is_file():
            raise BadInput(f"{path / name}: is not there; put it back")
        yield path / name


def _leads_out(link: Path, root: Path) -> bool:
    target = link.resolve()
    return not target.is_relative_to(root) and ("files", "md5") not in pairwise(target.parts)


def _kind(files: list[Path]) -> str:
    first = _SUFFIXES[files[0].suffix.lower()]
    for file in files:
        kind = _SUFFIXES[file.suffix.lower()]
        if kind != first:
            raise BadInput(
                f"{file}: is {kind} where {files[0].name} is {first}; put each kind into a folder of its own"
            )
    return first


def _stacked(files: list[Path], keys: list[str], kind: str, limit: int, applied: Counter[str]) -> NDArray[Any]:
    """Return the files' arrays in one, shape (items, ...), and count the rules ``applied`` to pictures."""
    arrays: list[NDArray[Any]] = []
    for file, key in zip(files, keys, strict=True):
        if kind == "array" and file.stat().st_size > limit:
            raise too_large(str(file), file.stat().st_size, limit)
        if kind == "array":
            array = parse_npy(file.read_bytes(), str(file))
        else:
            picture = read_picture(file, limit)
            array = picture.pixels
            applied.update(picture.rules)
        first = arrays[0] if arrays else array
        if array.shape != first.shape or array.dtype != first.dtype:
            raise BadInput(
                f"{file}: is {_told(array)} where {keys[0]} is {_told(first)}; bring all {kind}s to one size and type, "
                "or take files whole, as their bytes (--files)"
            )
        if array.nbytes * (len(arrays) + 1) > limit:
            raise too_large(f"{file.parent}: up to '{key}'", array.nbytes * (len(arrays) + 1), limit)
        arrays.append(array)
    return np.stack(arrays)


def _whole(files: list[Path], limit: int, *, in_place: bool) -> NDArray[Any]:
    """Return the files' bytes, or their paths, shape (items,)."""
    if in_place:
        return as_objects([file.absolute() for file in files])
    total = sum(file.stat().st_size for file in files)
    if total > limit:
        raise too_large(str(files[0].parent), total, limit)
    return as_objects([file.read_bytes() for file in files])


def _texts(files: list[Path], keys: list[str], limit: int) -> NDArray[Any]:
    texts, total = [], 0
    for file in files:
        total += file.stat().st_size
        if total > limit:
            raise too_large(str(file.parent), total, limit)
        try:
            texts.append(file.read_bytes().decode("utf-8"))
        except UnicodeDecodeError as problem:
            raise BadInput(f"{file}: byte {problem.start} is not UTF-8; save the file as UTF-8") from problem
    return as_text("text", texts)


def _told(array: NDArray[Any]) -> str:
    return f"{'x'.join(map(str, array.shape))} {array.dtype}"
