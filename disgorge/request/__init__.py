"""A request's life before and beside the removal: filed, decided, planned, approved, held, changed."""
