"""Laws: two rows share a digest only where a stated rule makes them equal; a row has its values in any types."""

import csv
import re
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import BadInput
from lineage.formats.read import Intake, read_file
from lineage.shards.values import value_digests
from lineage.storage.content import item_digests

WORDS = ("", "nan", "NaN", "n/a", "1", "1.0", "1.10", "1.1", "+1", "007", "7", "-0", "0", "1e3", "1000", str(2**53 + 1))
CELLS = st.one_of(
    st.sampled_from(WORDS),
    st.integers(-(2**64), 2**64).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=6),
)
TABLES = st.integers(1, 3).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=2, max_size=4))


def taken(rows: list[tuple[str, ...]]) -> Intake | None:
    """Rows as CSV, read; None where the file is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            header = ("key", *(f"x{place}" for place in range(len(rows[0]))))
            csv.writer(file).writerows([header, *((f"row-{number}", *row) for number, row in enumerate(rows))])
        try:
            return read_file(path)
        except BadInput:
            return None


def is_one(cell: str, other: str, *, numbers: bool) -> bool:
    """The stated rules: in a column of numbers a number is its value, and what is missing is missing."""
    if cell == other:
        return True
    if not numbers:
        return False
    missing = [re.fullmatch(r"\s*[+-]?(nan)?\s*", each, re.IGNORECASE) is not None for each in (cell, other)]
    return all(missing) if any(missing) else float(cell) == float(other)


@given(TABLES)
def test_two_rows_of_text_share_a_digest_only_by_a_stated_rule(rows: list[tuple[str, ...]]) -> None:
    if (found := taken(rows)) is None:
        return
    numbers = [found.content[f"x{place}"].dtype.kind in "if" for place in range(len(rows[0]))]
    digests = item_digests(found.content)
    for one in range(len(rows)):
        for other in range(one):
            if digests[one] == digests[other]:
                for cell, twin, is_number in zip(rows[one], rows[other], numbers, strict=True):
                    assert is_one(cell, twin, numbers=is_number)


@given(TABLES, st.sampled_from(["", "n/a", "0.5", "text"]))
def test_a_row_has_its_values_whatever_stands_beside_it(rows: list[tuple[str, ...]], beside: str) -> None:
    """A cell in another row makes numbers floats or texts; the digest of the values stays."""
    alone, together = taken(rows), taken([*rows, tuple([beside] * len(rows[0]))])
    if alone is None or together is None:
        return
    for name, array in alone.content.items():
        if array.dtype.kind == "i" and together.content[name].dtype.kind == "f":
            assert (np.abs(array) < 2**53).all(), "floats hold them"
    assert [*value_digests(alone.content)] == [*value_digests(together.content)][: len(rows)]
