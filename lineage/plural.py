"""A number with its noun, and a list of things, as sentences for people have them."""

from collections.abc import Iterable


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun; ``many`` is the plural where it is not ``one`` with an s.

    >>> counted(1, "item"), counted(1200, "item"), counted(0, "person", "people")
    ('1 item', '1,200 items', '0 people')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Return things as a sentence lists them.

    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', 'nothing')
    """
    *most, last = [*parts] or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last
