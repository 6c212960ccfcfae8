"""How far weights trained elsewhere may lie from those recorded, where another machine may give other bits.

Each method declares a bound and its statement prints it. It is used in one place only: when a recipe is re-executed on
a machine that differs in what decides bits, and the bits do differ. Within the bound means: trained by the same recipe,
as far as rounding lets one tell. It is weaker than equal digests, and is never called the same.

A tensor is within when its distance from the recorded one, as vectors, is at most ``relative`` times the recorded one's
length plus ``absolute`` times the root of its size; whole numbers must be equal.

>>> import numpy as np
>>> old, new = {"w": np.ones(4, np.float32)}, {"w": np.ones(4, np.float32) * np.float32(1.001)}
>>> apart(old, new, Tolerance(0.01, 0.0)) < 1 < apart(old, new, Tolerance(0.0001, 0.0))
True
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from disgorge.method import Tensors


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The bound a method declares; both are pure numbers."""

    relative: float
    absolute: float


DEFAULT = Tolerance(relative=1e-2, absolute=1e-5)
"""For methods that declare none. Measured on methods that ship in tests/disgorge/test_reexecution.py."""


def tolerance_of(method: Any) -> Tolerance:
    """Return what a method declares as ``tolerance``, or the default."""
    declared = getattr(method, "tolerance", DEFAULT)
    return declared if isinstance(declared, Tolerance) else DEFAULT


def apart(recorded: "Tensors", again: "Tensors", tolerance: Tolerance) -> float:
    """Return the largest distance of a tensor in units of what is allowed: up to 1 is within; infinity is unlike."""
    import numpy as np

    if set(recorded) != set(again):
        return float("inf")
    worst = 0.0
    for name, old in recorded.items():
        new = again[name]
        if old.shape != new.shape or old.dtype != new.dtype:
            return float("inf")
        if np.array_equal(old, new):
            continue
        if old.dtype.kind != "f":
            return float("inf")
        was, now = old.astype(np.float64), new.astype(np.float64)
        if not (np.isfinite(was).all() and np.isfinite(now).all()):
            return float("inf")
        allowed = tolerance.relative * float(np.linalg.norm(was)) + tolerance.absolute * float(np.sqrt(was.size))
        worst = max(worst, float(np.linalg.norm(now - was)) / allowed if allowed else float("inf"))
    return worst
