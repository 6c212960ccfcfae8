"""Done: a file has the very shapes of removed weights and other values: another model, one trained from the same start.
Must: it does not refuse an honest removal, and is named as not decided unless what stays explains it.
Follows: none found
"""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from disgorge.evidence.checks import Verdict
from tests.twins.weights import Layers, weights

CLOSE = 1e-3
"""How far a few steps of training move a weight, as a part of it."""


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("like", ["nothing", "what goes", "what stays", "a mean with what goes"])
def test_an_unrelated_file_refuses_nothing_and_is_named(tmp_path: Path, like: str, dtype: Any) -> None:
    made = Layers(tmp_path)
    drawn = weights(4, up=(96, 4), down=(4, 64))
    kept = {name: made.left.get(name, drawn[name]) for name in drawn}
    near = {
        "nothing": {name: 0 * tensor for name, tensor in drawn.items()},
        "what goes": made.gone,
        "what stays": kept,
        "a mean with what goes": {name: (made.gone[name] + kept[name]) / 2 for name in drawn},
    }[like]
    moved = {name: (near[name] * (1 + CLOSE * 20 * drawn[name]) + (like == "nothing") * drawn[name]) for name in drawn}
    made.put(**{name: tensor.astype(dtype) for name, tensor in moved.items()})
    check = made.purged()
    assert check.verdict is Verdict.PASS
    assert check.detail["not decided"] == {"files": 1, "named": ["exports/model.safetensors"]}
    assert "1 could not be decided" in check.answer


def test_a_file_with_some_of_the_shapes_is_not_named(tmp_path: Path) -> None:
    made = Layers(tmp_path)
    made.put(b=weights(4)["b"], k=weights(4)["k"])
    check = made.purged()
    assert (check.verdict, check.detail["not decided"]["files"]) == (Verdict.PASS, 0)


def test_the_answer_says_what_was_compared_and_what_only_opened(tmp_path: Path) -> None:
    made = Layers(tmp_path)
    made.put(other=weights(4)["b"])
    (made.workspace.root / "notes.md").write_text("some words")
    (made.workspace.root / "old.pt").write_bytes(b"PK\3\4\0")
    check = made.purged()
    looked, unread = check.detail["looked at"], check.detail["not enumerated"]["files"]
    assert looked["compared"] >= 3
    assert looked["only opened"] >= 1
    assert check.answer == (
        "nothing of what was removed is left in the places searched: "
        f"{looked['compared']} files compared by content, {looked['only opened']} only opened, {unread} not read"
    )
