"""Rows of withdrawn items in files of any name, and in code and packages: found by marks of their values."""
