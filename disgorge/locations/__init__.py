"""Locations where data or weights may lie: what is searched for in each, and what a purge deletes there."""
