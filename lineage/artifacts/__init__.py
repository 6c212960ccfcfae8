"""Artifacts: recording what is frozen and came from elsewhere, and finding its files again, unchanged."""
