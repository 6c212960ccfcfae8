"""Text in files of any kind: read piece by piece, and hashed to be compared with what is looked for."""
