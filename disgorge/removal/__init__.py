"""Execution of a plan step by step, from containment to the purge, and the end of a request without one of its own."""
