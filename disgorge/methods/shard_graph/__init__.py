"""Shard graphs: adapters on a frozen encoder that read their neighbors' shards too; :mod:`.method` says how."""

from disgorge.methods.shard_graph.method import METHOD

__all__ = ["METHOD"]
