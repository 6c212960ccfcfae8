"""Done: removed weights were merged into others: a mean of members, a weighted sum, an adapter added to its base.
Must: the merged file is found after the weights are gone; sums and means of what stays are not.
Follows: huggingface/peft#3498
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from disgorge.evidence.checks import Verdict
from tests.twins.weights import Layers

SUMS: dict[str, Callable[[Layers], Any]] = {
    "mean": lambda made: (made.gone["w"] + made.left["w"] + made.right["w"]) / 3,
    "weighted, of two": lambda made: 0.2 * made.gone["w"] + 0.8 * made.left["w"],
    "weighted, rounded": lambda made: (0.2 * made.gone["w"] + 0.8 * made.left["w"]).astype(ml_dtypes.bfloat16),
    "weighted, transposed": lambda made: (0.2 * made.gone["w"] + 0.8 * made.left["w"]).T,
    "difference": lambda made: made.left["w"] - made.gone["w"],
    "of a bias": lambda made: (made.gone["b"] + made.left["b"]) / 2,
    "of a kernel": lambda made: (made.gone["k"] + made.left["k"]) / 2,
    "adapter on its base": lambda made: made.left["w"] + 0.5 * made.gone["up"] @ made.gone["down"],
    "adapter on its base, rounded": lambda made: (made.left["w"] + 8 * made.gone["up"] @ made.gone["down"]).astype(
        np.float16
    ),
}


@pytest.mark.parametrize("how", SUMS)
def test_a_sum_with_what_stays_is_found(tmp_path: Path, how: str) -> None:
    made = Layers(tmp_path)
    made.put(x=SUMS[how](made))
    check = made.purged()
    assert check.verdict is Verdict.FAIL
    assert "holds removed weights in another form: 'x' comes from" in check.detail["residual"][0]


def test_sums_of_what_stays_are_no_trace(tmp_path: Path) -> None:
    made = Layers(tmp_path)
    for number, dtype in enumerate((np.float32, np.float16, ml_dtypes.bfloat16)):
        mean = {name: ((made.left[name] + made.right[name]) / 2).astype(dtype) for name in made.left}
        made.put(f"exports/{number}.safetensors", **mean)
    check = made.purged()
    assert check.verdict is Verdict.PASS
    assert check.detail["not decided"]["files"] == 0, "all of it is explained by what stays"
