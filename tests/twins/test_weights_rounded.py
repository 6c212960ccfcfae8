"""Done: removed weights were exported in half precision, or as float64, under other names.
Must: the file is found after the weights are gone; in MLflow it is named and left for a person.
Follows: victorchall/EveryDream-trainer#19
"""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from disgorge.evidence.checks import Verdict
from tests.twins.weights import Layers

TYPES = [np.float16, ml_dtypes.bfloat16, np.float64]


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", ["w", "b", "k"])
def test_a_rounded_tensor_is_found(tmp_path: Path, dtype: Any, name: str) -> None:
    made = Layers(tmp_path)
    path = made.put(x=made.gone[name].astype(dtype))
    check = made.purged()
    assert check.verdict is Verdict.FAIL
    (words,) = check.detail["residual"]
    assert words.startswith("exports/model.safetensors holds removed weights in another form: 'x' comes from")
    assert f"comes from '{name}'" in words
    assert path.exists(), "it is the user's"


def test_one_that_went_through_half_precision_and_back_is_found(tmp_path: Path) -> None:
    made = Layers(tmp_path)
    made.put(x=made.gone["w"].astype(np.float16).astype(np.float32))
    assert made.purged().verdict is Verdict.FAIL


def test_in_mlflow_it_is_named_and_left(tmp_path: Path) -> None:
    made = Layers(tmp_path)
    path = made.put("mlartifacts/run/half.safetensors", **{n: t.astype(np.float16) for n, t in made.gone.items()})
    (words,) = made.purged().detail["residual"]
    assert words.startswith(f"MLflow artifact {path} holds removed weights in another form: ")
    assert words.endswith(" and 4 more")
    assert path.exists(), "what has another form may hold others' weights too"
