"""Decisions: rules applied, deadlines counted, claims combined, holds respected, reviews and explanations."""
