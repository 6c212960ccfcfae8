"""The places where data or weights may rest: what is searched for in each, and what a purge deletes there."""
