"""Shards: added from files, validated, cut when items are withdrawn."""
