"""Done: a removed tensor was cut along an axis for several devices, or joined with others, as q, k and v are.
Must: the file is found after the weights are gone, rounded or transposed as well.
Follows: pytorch/torchtitan#3656
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import Verdict
from tests.twins.weights import Layers

OTHERS = np.random.default_rng(9).standard_normal((50, 64)).astype(np.float32)
CHANGED: dict[str, Callable[[Any], Any]] = {
    "half": lambda gone: gone["w"][:48],
    "from anywhere": lambda gone: gone["w"][37:59],
    "columns": lambda gone: gone["w"][:, 16:32],
    "columns, transposed and rounded": lambda gone: gone["w"][:, 16:32].T.astype(np.float16),
    "of a bias": lambda gone: gone["b"][24:72],
    "channels of a kernel": lambda gone: gone["k"][:, 2:6],
    "joined": lambda gone: np.concatenate([OTHERS, gone["w"], OTHERS[:7]]),
    "joined, transposed and rounded": lambda gone: np.concatenate([OTHERS, gone["w"]]).T.astype(np.float16),
    "two of one component": lambda gone: np.concatenate([gone["w"], gone["up"] @ gone["down"]]),
    "stacked": lambda gone: np.stack([np.zeros((96, 64), np.float32), gone["w"]]),
}


@pytest.mark.parametrize("how", CHANGED)
def test_a_piece_or_what_has_it_as_a_piece_is_found(tmp_path: Path, how: str) -> None:
    made = Layers(tmp_path)
    made.put(x=CHANGED[how](made.gone))
    check = made.purged()
    assert check.verdict is Verdict.FAIL
    assert "holds removed weights in another form: 'x' comes from" in check.detail["residual"][0]


def test_the_same_done_with_what_stays_is_no_trace(tmp_path: Path) -> None:
    made = Layers(tmp_path)
    for number, how in enumerate(name for name in CHANGED if name != "two of one component"):
        made.put(f"exports/{number}.safetensors", x=CHANGED[how](made.left))
    assert made.purged().verdict is Verdict.PASS
