"""A number with its noun, as sentences for people have it."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun; ``many`` is the plural where it is not ``one`` with an s.

    >>> counted(1, "item"), counted(1200, "item"), counted(0, "person", "people")
    ('1 item', '1,200 items', '0 people')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
