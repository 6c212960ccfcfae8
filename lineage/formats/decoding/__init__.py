"""What bytes of one kind hold, whichever format they stand in: compressed text, pictures, Arrow's extension types."""
