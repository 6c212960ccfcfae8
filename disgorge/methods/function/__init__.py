"""A user's own functions as a method: a model file names the code that trains and answers; :mod:`.method` says how."""

from disgorge.methods.function.method import METHOD

__all__ = ["METHOD"]
