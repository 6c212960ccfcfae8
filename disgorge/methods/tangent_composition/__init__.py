"""Tangent composition: one tangent vector per shard at one pre-trained point; :mod:`.method` says how."""

from disgorge.methods.tangent_composition.method import METHOD

__all__ = ["METHOD"]
