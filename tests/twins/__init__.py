"""One fault a file: what was done, what must be found, refused or named, and the public report that it follows.

A module's docstring is three lines, ``Done:``, ``Must:`` and ``Follows:``, of which :mod:`tests.summary` makes a table.
"""
