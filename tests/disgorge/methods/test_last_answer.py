"""What a model computed for a set of items serves everything that the set is asked for, and no other set."""

import numpy as np

from disgorge.method import Items
from disgorge.methods.shared.last_answer import LastAnswer


def test_a_set_is_computed_once_and_another_anew() -> None:
    computed: list[Items] = []

    def compute(items: Items) -> np.ndarray:
        computed.append(items)
        return np.array([len(computed)])

    one, same = (Items(("ab" * 32,), {"x": np.zeros(1)}) for _ in range(2))
    last = LastAnswer()
    assert [int(last.about(items, compute)[0]) for items in (one, one, same, same, one)] == [1, 1, 2, 2, 3]
    assert [each is one for each in computed] == [True, False, True]
