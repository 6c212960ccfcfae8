"""Whole-system campaigns: adversarial methods, kills, damage, laws of removal, privacy, offline runs."""
