"""Tensor fingerprints: find removed weights in any file by the bytes of single tensors.

A digest over a whole file changes with a tensor's name or a line of metadata; that of a tensor's own bytes does not. So
before a purge the digests of the tensors that go are noted, and afterwards files that hold one of them are found too.
Tensors that something live holds as well - a frozen part, say - are no trace of anything and are not looked for, nor
are those too small or too plain to identify a model.

Files are read as they are needed, never as a whole: a large one costs no memory.

Weights that were rounded, transposed, cut, joined or summed are found by samples (:mod:`lineage.storage.other_forms`).
Not found: quantized weights, and files other than safetensors.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from lineage.errors import BadInput
from lineage.storage.file_types import Reading
from lineage.storage.tensors import places_of

LEAST_BYTES = 64
"""Bytes a tensor must have to be looked for: smaller ones are equal by chance."""


def tensors_of(paths: Iterable[Path]) -> frozenset[str]:
    """Return the digests of the tensors in all of these files."""
    return frozenset[str]().union(*(tensor_digests(path) for path in paths))


def holds_any(path: Path, tensors: Collection[str]) -> bool:
    """Whether a file is safetensors with one of these tensors; ``ValueError`` for one that is damaged."""
    return bool(tensors) and not _digests(path).isdisjoint(tensors)


def tensor_digests(path: Path) -> frozenset[str]:
    """Return digests of a file's tensors by their bytes alone, those too small or all of one number left out.

    Empty for a file that is missing or not safetensors.
    """
    try:
        return _digests(path)
    except ValueError:
        return frozenset()


def digests_by_name(path: Path) -> dict[str, str]:
    """Return the digests of a file's tensors by name; empty as above, ``ValueError`` for a damaged one."""
    if not path.is_file() or Reading.of(path) is not Reading.SAFETENSORS:
        return {}
    import numpy as np

    try:
        places, _ = places_of(path)
    except BadInput as problem:
        raise ValueError(f"{path}: damaged safetensors ({problem})") from problem
    found = dict[str, str]()
    for place in places:
        if (size := place.stop - place.start) >= LEAST_BYTES:  # mapped one by one, so that each frees its memory
            mapped: Any = np.memmap(path, np.uint8, "r", offset=place.start, shape=(size,))
            with memoryview(mapped) as data:
                if not _plain(data):
                    found[place.name] = hashlib.sha256(data).hexdigest()
    return found


def _digests(path: Path) -> frozenset[str]:
    return frozenset(digests_by_name(path).values())


def _plain(data: memoryview) -> bool:
    """Whether bytes repeat with a period of a number's width: zeros, ones."""
    with data[8:] as rest, data[:-8] as before:
        return rest == before
