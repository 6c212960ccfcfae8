"""One file per audit: looks, never changes."""
