"""The digest of a component's tensors, by which parts are ordered; needs no torch."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from disgorge.method import Tensors


def tensors_digest(tensors: "Tensors") -> str:
    """Return the SHA-256 of tensors: names, shapes and bytes, by name."""
    body = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        body.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        body.update(array.tobytes())
    return body.hexdigest()
