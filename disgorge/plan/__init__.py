"""Plans as values: which remedy each component gets, in which order, at which cost. Pure."""
