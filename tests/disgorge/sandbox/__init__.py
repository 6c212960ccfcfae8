"""Confinement of jobs: what each level lets through, and what it does not."""
