"""Questions about lineage, answered by a DuckDB projection of the facts that can be rebuilt at any time."""
