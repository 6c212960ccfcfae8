"""Tensor fingerprints: find removed weights in any file by the bytes of single tensors.

A digest over a whole file changes with a tensor's name or a line of metadata; that of a tensor's own bytes does not. So
before a purge the digests of the tensors that go are noted, and afterwards files that hold one of them are found too.
Tensors that something live holds as well - a frozen part, say - are no trace of anything and are not looked for, nor
are those too small or too plain to identify a model.

Not found: weights that were rounded, quantized, scaled or cut into pieces, and files other than safetensors.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from lineage.storage.file_types import Reading

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


def _digests(path: Path) -> frozenset[str]:
    if not path.is_file() or Reading.of(path) is not Reading.SAFETENSORS:
        return frozenset()
    import safetensors

    read: Any = safetensors.deserialize  # of any dtype, bfloat16 too, which numpy lacks
    try:
        held = [bytes(tensor["data"]) for _, tensor in read(path.read_bytes())]
    except safetensors.SafetensorError as problem:
        raise ValueError(f"{path}: damaged safetensors ({problem})") from problem
    return frozenset(hashlib.sha256(data).hexdigest() for data in held if len(data) >= LEAST_BYTES and not _plain(data))


def _plain(data: bytes) -> bool:
    """Whether bytes repeat with a period of a number's width: zeros, ones."""
    return data[8:] == data[:-8]
