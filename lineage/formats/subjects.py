"""Whether a column of subjects holds names or ids, and columns of numbers that were written as floats.

Names fold: "Ann Lee" and " ann  LEE" are one person, or a removal would miss half of a person's rows. Ids do not:
"AbCdE" and "AbCde" are two accounts, and a removal of one would take the other's rows. Which of both a column holds the
caller may say. Else it is guessed, in one place, here, and said: ids where more than half of the different values are
one word with a digit in it. Mail addresses and UUIDs are read as names, since no system that uses them tells capital
letters from small ones.

>>> is_of_ids(["0035e00000AbCdE", "0035e00000AbCde"]), is_of_ids(["patient-1", None]), is_of_ids(["1027", "0007"])
(True, True, True)
>>> is_of_ids(["Ann Lee", "bob"]), is_of_ids(["ann3@mail.org"]), is_of_ids(["6FA459EA-EE8A-3CA4-894E-DB77E160355E"])
(False, False, False)

A wrong guess is heard of again, whichever it is: the impact of a request says in how many ways a name is written, and
filing one by an id says how many items have an id that differs in case or spaces alone.

>>> whole_numbers(["7.0", None, "12.0"]), whole_numbers(["7.5", "8.0"]), whole_numbers(["7", "8"])
(('7', None, '12'), None, None)
"""

import re
from collections.abc import Sequence

_WORD_WITH_DIGIT = re.compile(r"(?=[^\d]*\d)[^\s@]+")
_UUID = re.compile(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]+(\.0)?")


def is_of_ids(values: Sequence[str | None]) -> bool:
    """Return whether a column reads as one of ids, so that case and spaces tell persons apart."""
    given = {value.strip() for value in values if value is not None}
    ids = sum(bool(_WORD_WITH_DIGIT.fullmatch(value)) and not _UUID.fullmatch(value) for value in given)
    return 2 * ids > len(given)


def whole_numbers(values: Sequence[str | None]) -> tuple[str | None, ...] | None:
    """Return a column of whole numbers that a program wrote as floats, ``7.0`` for ``7``; None if it is none.

    Programs do that to a column of which a value is missing, so the same ids are ``7`` in one file and ``7.0`` in
    another.
    """
    if any(value is not None and not _WHOLE.fullmatch(value) for value in values):
        return None
    if not any(value is not None and value.endswith(".0") for value in values):
        return None
    return tuple(value and value.removesuffix(".0") for value in values)
