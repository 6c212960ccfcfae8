"""Execution of a plan step by step, from containment to the purge."""
