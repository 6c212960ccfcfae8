"""One file (or small folder) per paper; each registers itself by an entry point."""
