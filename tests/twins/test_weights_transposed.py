"""Done: removed weights were converted for another framework: transposed, rounded or not, or in one row.
Must: the file is found after the weights are gone.
Follows: huggingface/transformers#47031
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import Verdict
from tests.twins.weights import Layers

CONVERTED: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda gone: gone["w"].T,
    "transposed and rounded": lambda gone: gone["w"].T.astype(np.float16),
    "kernel of another framework": lambda gone: gone["k"].transpose(2, 3, 1, 0),
    "in one row, as float64": lambda gone: gone["k"].astype(np.float64).ravel(),
}


@pytest.mark.parametrize("how", CONVERTED)
def test_a_converted_tensor_is_found(tmp_path: Path, how: str) -> None:
    made = Layers(tmp_path)
    made.put(x=CONVERTED[how](made.gone))
    check = made.purged()
    assert check.verdict is Verdict.FAIL
    assert "exports/model.safetensors holds removed weights in another form: 'x'" in check.detail["residual"][0]
