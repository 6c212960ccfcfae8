"""What a model computed for the items that it was asked about last."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from disgorge.method import Items

if TYPE_CHECKING:
    from disgorge.method import Array


class LastAnswer:
    """Keeps one set of items with what was computed for it: a set is asked for several things, one after the other."""

    def __init__(self) -> None:
        self._items: Items | None = None
        self._answer: Array | None = None

    def about(self, items: Items, compute: "Callable[[Items], Array]") -> "Array":
        """Return what ``compute`` says of these very items, computed unless they are the last ones."""
        if self._answer is None or items is not self._items:
            self._items, self._answer = items, compute(items)
        return self._answer
