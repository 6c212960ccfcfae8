"""The command line: one file per group of verbs; nobody imports it."""
