"""What methods share: settings, the shards and parts there are, tensors, the training loop, a classifier's answers."""
