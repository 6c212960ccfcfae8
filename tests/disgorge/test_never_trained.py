"""Re-execution: equal everywhere passes, one difference fails and is named, nothing to compare proves nothing."""

import numpy as np
import pytest

from disgorge.errors import ExecutionFailed
from disgorge.evidence import ReexecutionCase, Verdict
from disgorge.probes.never_trained import never_trained, weights_apart
from lineage.records import Component, Json, digest_of


def component(name: str, *, recipe: dict[str, Json] | None = None) -> Component:
    """A component whose digest is that of its recipe, as an honest training would have it."""
    recipe = {"name": name} if recipe is None else recipe
    return Component(digest_of(["weights", recipe]), name, "toy", (), recipe)


def honest(one: Component) -> str:
    """What running the recipe gives."""
    return digest_of(["weights", one.recipe])


def test_all_equal_passes() -> None:
    check = never_trained(ReexecutionCase("toy", (component("a"), component("b")), honest, {}))
    assert check.verdict is Verdict.PASS
    assert check.value == "2 of 2 equal"
    assert check.n == 2
    assert not check.controls


def test_one_that_differs_fails_and_is_named() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    check = never_trained(ReexecutionCase("toy", (component("a"), lying), honest, {}))
    assert check.verdict is Verdict.FAIL
    assert check.value == "1 of 2 equal"
    assert check.detail["differ"] == ["b"]
    assert "b differs from what its recipe makes" in check.answer
    assert "a differs" not in check.answer


def test_what_was_proved_is_not_run_again() -> None:
    def refuse(one: Component) -> str:
        raise AssertionError(one.name)

    one = component("a")
    check = never_trained(ReexecutionCase("toy", (one,), refuse, {one.recipe_digest: one.digest}))
    assert check.verdict is Verdict.PASS
    assert check.detail["components"][0]["earlier"] is True


def test_an_earlier_run_that_reached_something_else_fails() -> None:
    one = component("a")
    check = never_trained(ReexecutionCase("toy", (one,), honest, {one.recipe_digest: "0" * 64}))
    assert check.verdict is Verdict.FAIL


def test_an_empty_recipe_cannot_be_shown() -> None:
    foreign = component("foreign", recipe={})
    proved = {foreign.recipe_digest: foreign.digest}
    check = never_trained(ReexecutionCase("toy", (component("a"), foreign), honest, proved))
    assert check.verdict is Verdict.FAIL
    assert "foreign has no recipe and cannot be trained again" in check.answer


def test_no_component_proves_nothing() -> None:
    assert never_trained(ReexecutionCase("toy", (), honest, {})).verdict is Verdict.INCONCLUSIVE


def test_a_machine_that_fails_is_no_evidence() -> None:
    def fail(one: Component) -> str:
        raise ExecutionFailed("out of memory")

    with pytest.raises(ExecutionFailed, match="out of memory"):
        never_trained(ReexecutionCase("toy", (component("a"),), fail, {}))


def test_progress_reaches_its_end() -> None:
    seen: list[tuple[int, int]] = []
    never_trained(
        ReexecutionCase("toy", (component("a"), component("b")), honest, {}),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_what_differs_is_measured_in_weights_and_in_scores() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    stored = {lying.digest: {"w": np.array([1.0, 2.0])}, honest(lying): {"w": np.array([1.0, 2.25])}}
    scores = {lying.digest: np.array([0.5, 1.0, 2.0]), honest(lying): np.array([0.5, 1.0, 1.0])}
    case = ReexecutionCase(
        "toy", (component("a"), lying), honest, {}, tensors=stored.get, outputs=lambda names: scores[names["b"]]
    )
    check = never_trained(case)
    assert check.verdict is Verdict.FAIL
    assert check.detail["components"][1]["weights"]["max"] == 0.25
    assert check.detail["outputs"] == {"max": 1.0, "n": 3}
    assert "weights by up to 0.25" in check.answer
    assert "3 held-out items differ by up to 1." in check.answer


def test_shapes_that_differ_are_said_and_never_subtracted() -> None:
    found = weights_apart({"w": np.zeros(3), "v": np.ones(1)}, {"w": np.zeros((3, 3)), "u": np.zeros(2)})
    assert found["shapes"] == {"u": [None, [2]], "v": [[1], None], "w": [[3], [3, 3]]}


@pytest.mark.parametrize("hidden", [np.nan, np.inf])
def test_a_number_that_is_none_is_never_a_small_difference(hidden: float) -> None:
    assert weights_apart({"w": np.array([hidden, 1.0])}, {"w": np.array([1.0, 1.5])}) == {
        "max": 0.5, "tensor": "w", "shapes": {}, "undefined": ["w"],
    }  # fmt: skip


def test_a_second_model_that_cannot_be_made_is_said() -> None:
    def broken(names: object) -> None:
        raise KeyError("head")

    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    check = never_trained(ReexecutionCase("toy", (lying,), honest, {}, tensors=lambda digest: None, outputs=broken))
    assert check.verdict is Verdict.FAIL
    assert "make no model" in check.detail["outputs"]["why"]
    assert "no longer there" in check.detail["components"][0]["weights"]["why"]
