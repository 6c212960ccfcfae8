"""Tensors are known in another form beyond chance, and a file of any shape and values is compared without harm."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.storage.other_forms import OtherForms
from lineage.storage.tensor_samples import TensorSample, sample_of
from lineage.storage.tensors import save_tensors

SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 8, 16, 40]), max_size=4).map(tuple)
VALUES = {"normal": 1.0, "nan": np.nan, "infinite": np.inf, "large": 1e300, "zero": 0.0, "tiny": 1e-310}
TYPES: tuple[Any, ...] = (np.float32, np.float16, ml_dtypes.bfloat16)


def drawn(shape: tuple[int, ...], seed: int, values: str = "normal", dtype: Any = np.float32) -> Any:
    """Return a tensor of a shape."""
    with np.errstate(all="ignore"):
        return (np.random.default_rng(seed).standard_normal(shape) * VALUES[values]).astype(dtype)


def sample(tensor: Any, name: str = "w") -> TensorSample:
    """Return a sample as it is kept before a purge."""
    return sample_of(tensor, name=name, digest="d", of="c")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(SHAPES.filter(len), min_size=1, max_size=3), st.lists(SHAPES, min_size=1, max_size=3),
    st.sampled_from(sorted(VALUES)), st.sampled_from(sorted(VALUES)), st.sampled_from(TYPES),
)  # fmt: skip
def test_nothing_is_found_in_unrelated_numbers(
    tmp_path: Path, sought: list[Any], there: list[Any], of: str, values: str, dtype: Any
) -> None:
    samples = [sample(drawn(shape, number, of), str(number)) for number, shape in enumerate(sought)]
    tensors = {str(number): drawn(shape, 9 + number, values, dtype) for number, shape in enumerate(there)}
    (tmp_path / "file").write_bytes(save_tensors(tensors))
    (tmp_path / "kept").write_bytes(save_tensors({"r": drawn(sought[0], 99)}))
    assert OtherForms(samples, [tmp_path / "kept"]).look(tmp_path / "file").found == ()


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_sums_are_told_from_what_is_only_close(tmp_path: Path, dtype: Any) -> None:
    """Of each kind a hundred; a model moved by a thousandth of its values is another model, in whatever type."""
    gone, kept = drawn((48, 32), 1), drawn((48, 32), 2)
    (tmp_path / "kept").write_bytes(save_tensors({"w": kept}))
    forms = OtherForms([sample(gone)], [tmp_path / "kept"])

    def is_found(tensor: Any) -> bool:
        (tmp_path / "file").write_bytes(save_tensors({"w": tensor.astype(dtype)}))
        return bool(forms.look(tmp_path / "file").found)

    part = np.random.default_rng(3).uniform(0.2, 1, 100)
    assert sum(is_found(share * gone + (1 - share) * kept) for share in part) == 100
    moved = [1 + 1e-3 * drawn((48, 32), seed) for seed in range(100)]
    assert sum(is_found(gone * by) for by in moved) == 0
    assert sum(is_found((gone + kept) / 2 * by) for by in moved) == 0
    assert sum(is_found(kept * by) for by in moved) == 0


MEASURED = """
import resource
import sys
from pathlib import Path
from lineage.storage.other_forms import OtherForms
from lineage.storage.tensor_samples import sample_of

import numpy, ml_dtypes
path = Path(sys.argv[1])
samples = [sample_of(numpy.ones((1024, 1024)), name="w", digest="d", of="c")]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
OtherForms(samples, [path]).look(path)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Of a file of 256 MB no more than some tensors of 4 MB are held."""
    tensor = drawn((1024, 1024), 1)
    (tmp_path / "file").write_bytes(save_tensors({str(number): tensor for number in range(64)}))
    run = [sys.executable, "-c", MEASURED, str(tmp_path / "file")]
    grown = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert grown < 40 << 10
