"""Requests as the ledger records them: each case, what it selects, its private particulars, several as one.

What lies here rests on no folder inside. Lists of withdrawn items, holds, near-duplicates and the steps of a request
(``workflow``) rest on it, and each of them on those named before.
"""
