"""One workspace per format version, as that version wrote it: what later versions must read, or refuse by name."""
