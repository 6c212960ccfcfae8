"""Kinds of facts."""

from lineage.ledger import losses

LINEAGE_KINDS = (
    "shard",
    "shard-withdrawn",
    "component",
    "component-retired",
    "composition",
    "release",
    "release-contained",
    "release-withdrawn",
    "purged",
    losses.KIND,
)
"""Kinds of facts that change lineage: a plan goes stale when one is appended."""
