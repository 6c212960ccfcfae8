"""What was trained on what, under test."""
