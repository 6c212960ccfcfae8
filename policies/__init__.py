"""What is owed: requests, rule packs and decisions, in the terms of the disgorgement taxonomy.

Pure: a decision is a function of a request, an impact and the packs. Imports :mod:`lineage.records` and nothing else
of this project.
"""
