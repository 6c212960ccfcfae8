"""Membership inference attacks and how they are scored."""
