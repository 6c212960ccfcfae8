"""What was trained on what: shards, components, and the facts that connect them.

Knows no request, no law and no torch. Start at :mod:`lineage.records` for the nouns and at
:class:`lineage.workspace.Workspace` for the one place that holds them.
"""
