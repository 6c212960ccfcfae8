"""Stories that run, each under test."""
