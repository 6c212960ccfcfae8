"""The facts: a hash-chained, append-only file, and the state they fold into."""
