"""Tolerance: how far weights trained in another environment may lie from those recorded.

A bound of a method, printed in its statement. It decides in one place only: when an outsider re-executes a recipe in an
environment that differs in what decides bits, and the bits do differ. Within the bound means: trained by the same
recipe, as far as rounding lets one tell. It is weaker than equal digests, and is never called the same.

Two relative distances count, each as vectors: of all weights of the component together (``whole``), and of each tensor
by itself (``tensor``), so that a small tensor cannot hide among large ones. Whole numbers must be equal. A method
declares another bound as ``tolerance = (whole, tensor)``, with its reason: an optimizer that divides by the gradient's
size moves weights without gradient by rounding alone, and those lie anywhere.

>>> import numpy as np
>>> old, new = {"w": np.ones(4, np.float32)}, {"w": np.ones(4, np.float32) * np.float32(1.001)}
>>> apart(old, new, Tolerance(0.01, 0.01)) < 1 < apart(old, new, Tolerance(0.0001, 0.01))
True
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from disgorge.method import Tensors


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest relative distance of a whole component, and of any one of its tensors; pure numbers."""

    whole: float
    tensor: float


DEFAULT = Tolerance(whole=1e-3, tensor=1e-2)
"""For methods that declare none. Holding torch to no vector instructions moved shard graphs by 8e-6 and 1e-4, tangents
by 1e-6; leaving three of 48 items out moved components by 0.06 to 0.4."""

DISTANCE = Tolerance(whole=1.0, tensor=1.0)
"""What a relative distance is in units of."""
_SMALL_FLOATS = ("bfloat16", "float8")
"""Types that numpy has from elsewhere, and counts among no floats."""
_LEAST = 1e-6  # root mean square below which a tensor counts as zero: float32 at a weight's usual size


def tolerance_of(method: Any) -> Tolerance:
    """Return what a method declares as ``tolerance``, or the default."""
    declared = getattr(method, "tolerance", None)
    return Tolerance(*declared) if declared is not None else DEFAULT


def apart(recorded: "Tensors", again: "Tensors", tolerance: Tolerance = DISTANCE) -> float:
    """Return the largest distance in units of what is allowed: up to 1 is within; infinity is unlike altogether.

    By default it is the relative distance itself.
    """
    import numpy as np

    if set(recorded) != set(again):
        return float("inf")
    moved, length, worst = 0.0, 0.0, 0.0
    for name, old in recorded.items():
        new = again[name]
        if old.shape != new.shape or old.dtype != new.dtype:
            return float("inf")
        if old.dtype.kind != "f" and not old.dtype.name.startswith(_SMALL_FLOATS):
            if not np.array_equal(old, new):
                return float("inf")
            continue
        was, now = old.astype(np.float64), new.astype(np.float64)
        if not (np.isfinite(was).all() and np.isfinite(now).all()):
            return float("inf")
        distance, size = float(np.linalg.norm(now - was)), float(np.linalg.norm(was))
        moved, length = float(np.hypot(moved, distance)), float(np.hypot(length, size))
        worst = max(worst, distance / max(size, _LEAST * was.size**0.5, 1e-30))
    return max(worst / max(tolerance.tensor, 1e-30), moved / max(length, 1e-30) / max(tolerance.whole, 1e-30))
