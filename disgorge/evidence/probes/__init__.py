"""Checks and probes of a release: the two that every plan has, and those of the entry-point group `disgorge.probes`."""
