"""What is done, and the proof, under test."""
