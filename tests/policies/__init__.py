"""Tests of what is owed: packs, conditions, deadlines, decisions."""
