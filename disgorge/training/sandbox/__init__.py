"""Confinement of a training process: its inputs, its file system, its system calls."""
