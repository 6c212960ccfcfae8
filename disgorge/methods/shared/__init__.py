"""What several methods use: parameter checks and tensors."""
