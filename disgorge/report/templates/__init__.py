"""Jinja templates of the pages."""
