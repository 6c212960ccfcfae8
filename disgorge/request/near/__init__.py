"""Near-duplicates of what a request removes: found, shown to a person, judged."""
