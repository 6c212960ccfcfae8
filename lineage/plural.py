"""A number with its noun, a time, and a list of things, as sentences for people have them."""

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


def seconds(value: float, *, whole: bool = False) -> str:
    """Return a time in words; ``whole`` leaves out parts of a second.

    >>> seconds(0.04), seconds(12.34), seconds(75), seconds(12.34, whole=True)
    ('0.0 s', '12.3 s', '1 min 15 s', '12 s')
    """
    if value < 60 and not whole:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
