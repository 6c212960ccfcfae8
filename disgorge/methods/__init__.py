"""Training methods, a folder for each paper; further ones register under the entry point `disgorge.methods`."""
