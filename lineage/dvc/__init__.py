"""What DVC keeps: tracked files, caches, remotes and outputs derived from a shard."""
