"""An approximate removal that changes no byte of what learned from the data is refused, wherever the bytes stand."""

import pytest

from disgorge.evidence.checks import Verdict
from disgorge.examination.weights_changed import weights_changed
from lineage.records import Component

LEARNED = {"r/a": "a" * 64, "r/b": "b" * 64}
BEFORE = {**LEARNED, "r/c": "c" * 64}


def parts(found: dict[str, str]) -> tuple[Component, ...]:
    """Components by name and digest."""
    return tuple(Component(digest, name, "part", (), {}) for name, digest in found.items())


@pytest.mark.parametrize(
    ("after", "exact", "unchanged"),
    [
        (BEFORE, (), "r/a, r/b"),  # nothing of it
        (BEFORE | {"r/a": "1" * 64}, (), "r/b"),  # half of it
        ({"r/a": "1" * 64, "r/b2": "b" * 64, "r/c": "c" * 64}, (), "r/b2"),  # under a new name
        ({"r/a": "b" * 64, "r/b": "a" * 64, "r/c": "c" * 64}, (), "r/a, r/b"),  # one under the other's
        (BEFORE | {"r/a": "1" * 64, "r/b": "2" * 64}, (), ""),
        ({"r/c": "c" * 64}, (), ""),  # dropped
        (BEFORE, ("r/a", "r/b"), ""),  # both retrained exactly
        (BEFORE | {"r/a": "1" * 64}, ("r/b",), ""),
        (BEFORE | {"r/b": "1" * 64}, ("r/b",), "r/a"),
    ],
)
def test_what_learned_must_come_out_with_other_bytes(
    after: dict[str, str], exact: tuple[str, ...], unchanged: str
) -> None:
    (check,) = weights_changed("r", parts(BEFORE), parts(after), learned=LEARNED, exact=exact)
    assert check.verdict is (Verdict.FAIL if unchanged else Verdict.PASS)
    assert f"changed no byte of {unchanged};" in check.answer if unchanged else "left as it was" in check.answer
    assert (check.value, check.n) == (len(unchanged.split(", ")) if unchanged else 0, len(set(LEARNED) - set(exact)))


def test_a_part_that_learned_nothing_may_have_the_bytes_of_one_that_did() -> None:
    twins = BEFORE | {"r/c": "a" * 64}
    (check,) = weights_changed("r", parts(twins), parts({"r/c": "a" * 64}), learned=LEARNED, exact=())
    assert check.verdict is Verdict.PASS


def test_it_is_not_asked_where_all_is_exact() -> None:
    assert weights_changed("r", parts(BEFORE), parts(BEFORE), learned=LEARNED, exact=None) == ()
