"""Private lists of withdrawn items: per plan and per request that lost items to another, until it is over."""
