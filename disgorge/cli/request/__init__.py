"""The verbs of `disgorge request` and `disgorge purge`, a file per group."""
