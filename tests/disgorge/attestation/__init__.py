"""Attestations: what they say, who signs them, and whether a component stands on them."""
