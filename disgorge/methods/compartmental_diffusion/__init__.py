"""Compartmental diffusion: one adapter per shard on a public backbone, mixed by densities; :mod:`.method` says how."""

from disgorge.methods.compartmental_diffusion.method import METHOD

__all__ = ["METHOD"]
