"""Verification of a report by an outsider: the bundle, its facts, and re-execution."""
