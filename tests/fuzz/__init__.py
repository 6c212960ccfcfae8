"""Generated cases against everything that reads what others wrote: files, documents, names, stored bytes, reports.

A *kind* is one way in (:data:`tests.fuzz.kinds.KINDS`). Its case number N is always the same case: first come the known
hostile ones, then cases drawn from a seed. Cases run in a child process (:mod:`tests.fuzz.child`), so that a library's
native abort, an endless loop or a claim for all memory is one failed case, named by kind and number, and not the end of
the tests. One case alone::

    python -m tests.fuzz.child FOLDER csv:17:18
"""
