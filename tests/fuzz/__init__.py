"""Generated cases against everything that reads what others wrote: files, documents, names, stored bytes, reports.

A *kind* (:class:`tests.fuzz.kind.Kind`) is one way in: known hostile cases and a Hypothesis strategy for more. Kinds
that may hang, crash or eat memory run in a process of their own (:mod:`tests.fuzz.harness`), so that a library's native
abort, an endless loop or a claim for all memory is one failed kind, named with its case, and not the end of the tests.
One kind alone::

    python -m tests.fuzz.harness FOLDER csv
"""
