"""Re-execution: equal everywhere passes, one difference fails and is named, nothing to compare proves nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from disgorge.errors import ExecutionFailed
from disgorge.evidence.checks import ReexecutionCase, Verdict
from disgorge.evidence.probes.never_trained import never_trained
from lineage.records import Component, Cost, Json, canonical, digest_of


def component(name: str, *, recipe: dict[str, Json] | None = None, seconds: float = 0.0) -> Component:
    """A component whose digest is that of its recipe, as an honest training would have it."""
    recipe = {"name": name} if recipe is None else recipe
    return Component(digest_of(["weights", recipe]), name, "toy", (), recipe, Cost(seconds=seconds))


def honest(one: Component) -> str:
    """What running the recipe gives."""
    return digest_of(["weights", one.recipe])


def controlled(**changes: Any) -> ReexecutionCase:
    """Two parts, of which ``b`` was another before the removal, and a machine that repeats what it does."""
    components = (component("a", seconds=2.0), component("b", seconds=1.0))
    case = ReexecutionCase("toy", components, honest, {}, learned={"b": "0" * 64}, again=honest)
    return replace(case, **changes)


def test_all_equal_passes() -> None:
    check = never_trained(controlled())
    assert check.verdict is Verdict.PASS
    assert check.value == "2 of 2 shown"
    assert check.n == 2
    assert [(control.name, control.held) for control in check.controls] == [("positive", True), ("negative", True)]


def test_a_part_that_is_no_longer_there_is_recognized_too() -> None:
    check = never_trained(controlled(learned={"gone": "0" * 64, "b": "1" * 64}))
    assert check.verdict is Verdict.PASS
    assert check.controls[0].value == 2


@pytest.mark.parametrize("learned", [{}, {"b": component("b").digest}, {"a": component("a").digest, "b": "0" * 64}])
def test_where_the_old_parts_pass_too_nothing_is_shown(learned: dict[str, str]) -> None:
    check = never_trained(controlled(learned=learned))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "The model before removal must be recognized" in check.answer


def test_the_cheapest_part_runs_once_more_and_where_it_differs_nothing_is_shown() -> None:
    ran: list[str] = []

    def otherwise(one: Component) -> str:
        ran.append(one.name)
        return "9" * 64

    check = never_trained(controlled(again=otherwise))
    assert ran == ["b"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert [control.held for control in check.controls] == [True, False]
    assert "Training without the data must pass against itself" in check.answer


def test_a_part_whose_making_was_attested_ran_twice_already() -> None:
    def refuse(one: Component) -> str:
        raise AssertionError(one.name)

    check = never_trained(controlled(attested_before=frozenset("a"), again=refuse))
    assert check.verdict is Verdict.PASS
    assert "a, executed twice" in check.controls[1].words


def test_one_that_was_attested_and_differs_is_no_control_that_held() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    check = never_trained(controlled(components=(component("a"), lying), attested_before=frozenset("b"), learned={}))
    assert check.verdict is Verdict.FAIL
    assert not check.controls[1].held


def test_without_a_second_run_nothing_is_shown() -> None:
    check = never_trained(controlled(again=None))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "No part was executed twice" in check.answer


def test_a_machine_that_does_not_repeat_is_no_excuse_for_a_difference() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    check = never_trained(controlled(components=(component("a"), lying), again=lambda one: "9" * 64, learned={}))
    assert check.verdict is Verdict.FAIL


def test_one_that_differs_fails_and_is_named() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    check = never_trained(ReexecutionCase("toy", (component("a"), lying), honest, {}))
    assert check.verdict is Verdict.FAIL
    assert check.value == "1 of 2 shown"
    assert check.detail["differ"] == ["b"]
    assert "b differs from what its recipe makes" in check.answer
    assert "a differs" not in check.answer


def test_what_was_proved_is_not_run_again() -> None:
    def refuse(one: Component) -> str:
        raise AssertionError(one.name)

    one = component("a")
    case = controlled(
        components=(one,), reexecute=refuse, standing={one.recipe_digest: one.digest}, learned={"b": "0" * 64}
    )
    check = never_trained(case)
    assert check.verdict is Verdict.PASS
    assert check.detail["components"][0]["attested"] is True


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


def test_what_differs_is_measured_in_weights() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    stored = {lying.digest: {"w": np.array([1.0, 2.0])}, honest(lying): {"w": np.array([1.0, 2.25])}}
    check = never_trained(ReexecutionCase("toy", (component("a"), lying), honest, {}, tensors=stored.get))
    assert check.verdict is Verdict.FAIL
    assert "weights by 0.112 of their size" in check.answer


@pytest.mark.parametrize("again", [np.array([[1.0, 2.0]]), np.array([np.nan, 2.0]), np.array([np.inf, 2.0])])
def test_what_cannot_be_subtracted_is_never_a_small_difference(again: np.ndarray) -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    stored = {lying.digest: {"w": np.array([1.0, 2.0])}, honest(lying): {"w": again}}
    check = never_trained(ReexecutionCase("toy", (lying,), honest, {}, tensors=stored.get))
    assert "in shape or to no finite number" in check.answer
    canonical(check)


def test_weights_that_are_gone_are_not_compared() -> None:
    lying = Component("f" * 64, "b", "toy", (), {"name": "b"})
    check = never_trained(ReexecutionCase("toy", (lying,), honest, {}, tensors=lambda digest: None))
    assert check.verdict is Verdict.FAIL
    assert "weights by" not in check.answer
