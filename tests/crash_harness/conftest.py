"""Keeps the collector from importing what listens to a process for good."""

collect_ignore = ["offline"]
