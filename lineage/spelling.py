"""One spelling of a person's name: how somebody is written decides nothing about who it is.

Names come from files, forms and keyboards: composed or decomposed accents, another case, full-width letters, a space at
the end, an invisible character. All of these are one person; a request that missed half of them would be a false
removal. Negative consequence: account names that differ in case only are one person too, and are removed together.
"""

import unicodedata


def one_spelling(name: str) -> str:
    r"""Return a name without what is not seen or not meant: case, width, spaces, invisible characters.

    What nothing is left of stays as it was, so that nobody is everybody.

    >>> one_spelling(" Ann\u200b  LEE ") == one_spelling("ann lee")
    True
    >>> one_spelling("Zoe\u0308") == one_spelling("ZO\u00cb")
    True
    """
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split()) or name
