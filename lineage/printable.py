"""Text that a terminal, a log or XML can be given on one line."""

from unicodedata import category

_UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Unicode categories that a terminal or XML may not get: controls, formats, surrogates, private, unassigned."""


def printable(text: str) -> str:
    r"""Return ``text`` on one line, with U+FFFD for every character that could move a cursor or break XML.

    >>> printable("a\x1b[31mb\nc")
    'a�[31mb c'
    """
    spaced = " ".join(text.split())
    return "".join("�" if category(char) in _UNPRINTABLE else char for char in spaced)
