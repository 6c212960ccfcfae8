"""Removed weights in another file: known by the bytes of single tensors, whatever they are called and beside what.

A digest over a whole file changes with a tensor's name or a line of metadata; that of a tensor's own bytes does not. So
before a purge the digests of the tensors that go are noted, and afterwards files that hold one of them are found too.
Tensors that something live holds as well - a frozen part, say - are no trace of anything and are not looked for, nor
are those too small or too plain to be anybody's.

Not found: weights that were rounded, quantized, scaled or cut into pieces, and files that are no safetensors.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

LEAST_BYTES = 64
"""Bytes a tensor must have to be looked for: smaller ones are equal by chance."""
_LENGTH_BYTES = 8  # of a safetensors header's length, little-endian, with which the file begins


def tensors_of(paths: Iterable[Path]) -> frozenset[str]:
    """Return the digests of the tensors in all of these files."""
    return frozenset[str]().union(*(tensor_digests(path) for path in paths))


def holds_any(path: Path, tensors: Collection[str]) -> bool:
    """Whether a file is safetensors with one of these tensors."""
    return bool(tensors) and not tensor_digests(path).isdisjoint(tensors)


def tensor_digests(path: Path) -> frozenset[str]:
    """Return digests of a file's tensors by their bytes alone, those too small or all of one number left out.

    Empty for a file that is no safetensors, or none at all.
    """
    if not _may_be_safetensors(path):
        return frozenset()
    import safetensors

    read: Any = safetensors.deserialize  # of any dtype, bfloat16 too, which numpy lacks
    try:
        held = [bytes(tensor["data"]) for _, tensor in read(path.read_bytes())]
    except (safetensors.SafetensorError, ValueError):
        return frozenset()
    return frozenset(hashlib.sha256(data).hexdigest() for data in held if len(data) >= LEAST_BYTES and not _plain(data))


def _plain(data: bytes) -> bool:
    """Whether bytes repeat with a period of a number's width: zeros, ones."""
    return data[8:] == data[:-8]


def _may_be_safetensors(path: Path) -> bool:
    """Whether a file begins like one: most files that are none are known without reading them."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_LENGTH_BYTES + 1)
    return head[_LENGTH_BYTES:] == b"{" and int.from_bytes(head[:_LENGTH_BYTES], "little") < path.stat().st_size
