"""Pages for people, as Jinja templates."""
