"""Policy: requests, rule packs and decisions, in the terms of the disgorgement taxonomy.

Here lie the values that all rooms share. ``vocabulary`` has the controlled words, ``packs`` the rules, ``judging``
decides requests by them, and ``cases`` tests packs; each imports only those before it.

Pure: a decision is a function of a request, an impact and the packs. Imports :mod:`lineage.records` and nothing else
of this project.
"""
