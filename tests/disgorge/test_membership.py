"""The probe on models whose leakage is known: it flags memory, passes honest retraining, and fails both kinds of liar.

Rates are measured over 200 simulated removals a setting, seeds 0 to 199, and compared with bounds that follow from the
probe's own level: an honest model lies outside a 95 % band at most one time in twenty, give or take sampling.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest

from disgorge.evidence import Check, Probe, ProbeCase, Verdict, probes
from disgorge.method import Items
from disgorge.probes import attack
from disgorge.probes.membership import MIN_REFERENCES, PROBE

HELD_OUT = 120


@dataclass(frozen=True)
class Recalling:
    """A model whose score on an item is the item's own ease, plus a seed's noise, plus what it remembers of it.

    Noise and memory are in units of each item's own sensitivity. ``shift`` is common to all removed items: what a model
    makes of a cohort it never saw depends on its seed as a whole.
    """

    seed: int
    memory: float = 0.0
    shift: float = 0.0
    task: Literal["classify", "generate"] = "classify"

    def scores(self, items: Items) -> np.ndarray[Any, np.dtype[Any]]:
        """Ease plus noise plus memory; a generator's are negative and small."""
        ease, sensitivity, removed = (items.arrays[name] for name in ("ease", "sensitivity", "removed"))
        generator = np.random.default_rng([self.seed, len(items), int(removed.any())])
        cohort = self.shift * np.random.default_rng([self.seed, 1]).normal()
        noise = generator.normal(size=len(items)) + removed * (cohort + self.memory)
        score = ease + sensitivity * noise
        return score if self.task == "classify" else -np.exp(-0.5 * score - 2)

    def utility(self, items: Items) -> dict[str, float]:
        """Not looked at by the probe."""
        return {"accuracy": 1.0}

    def predict(self, items: Items) -> np.ndarray[Any, np.dtype[Any]]:
        """Not looked at by the probe."""
        raise NotImplementedError

    def sample(self, count: int, *, seed: int) -> np.ndarray[Any, np.dtype[Any]]:
        """Not looked at by the probe."""
        raise NotImplementedError


def items(seed: int, count: int, *, removed: bool) -> Items:
    """Items with an ease and a sensitivity each; removed ones are harder on average."""
    generator = np.random.default_rng([seed, count, int(removed)])
    arrays = {
        "ease": generator.normal(2.4 if removed else 3.0, 1.5, count),
        "sensitivity": generator.gamma(2.0, 0.3, count),
        "removed": np.full(count, float(removed)),
    }
    return Items(tuple(f"{number:064x}" for number in range(count)), arrays)


def case(
    seed: int, *, removed: int = 120, references: int = 4, memory: float = 6.0, after: float = 0.0, shift: float = 0.0,
    task: Literal["classify", "generate"] = "classify",
) -> ProbeCase:  # fmt: skip
    """A removal: ``memory`` is what the model before remembers, ``after`` what the one after does."""
    models = itertools.count(1000 * seed + 1)

    def model(memory: float) -> Recalling:
        return Recalling(next(models), memory, shift, task)

    return ProbeCase(
        release="toy",
        before=model(memory),
        after=model(after),
        references=tuple(model(0.0) for _ in range(references)),
        removed=items(seed, removed, removed=True),
        retained=items(seed, 50, removed=False),
        held_out=items(seed, HELD_OUT, removed=False),
        seed=seed,
    )


def verdicts(count: int, **settings: Any) -> Counter[str]:
    """The verdicts over many simulated removals."""
    return Counter(PROBE.run(case(seed, **settings)).verdict.value for seed in range(count))


def test_it_is_registered_as_a_probe() -> None:
    assert isinstance(PROBE, Probe)
    assert probes()["membership"] is PROBE


@pytest.mark.parametrize("task", ["classify", "generate"])
def test_a_model_that_remembers_is_flagged_and_an_honest_one_passes(task: Literal["classify", "generate"]) -> None:
    check = PROBE.run(case(1, task=task))
    assert check.verdict is Verdict.PASS, check.answer
    assert [(control.name, control.held) for control in check.controls] == [("positive", True), ("negative", True)]
    assert check.detail["before"]["auc"] > 0.9
    assert check.n == 120
    low, high = check.threshold
    assert low <= check.value <= high


@pytest.mark.parametrize(("shift", "references"), [(0.0, 4), (0.5, 8)])
def test_honest_retraining_passes_at_the_stated_rate(shift: float, references: int) -> None:
    """With and without a shift that the whole cohort shares, for which a band from items alone would be too narrow."""
    checks = [PROBE.run(case(seed, shift=shift, references=references)) for seed in range(200)]
    found = Counter(check.verdict.value for check in checks)
    inside = sum(check.threshold[0] <= check.value <= check.threshold[1] for check in checks)
    assert inside >= 0.91 * 200
    assert found["pass"] >= 0.88 * 200, found
    assert found["fail"] <= 0.03 * 200, found


def test_seven_items_pass_or_stay_open_but_are_not_accused() -> None:
    found = verdicts(100, removed=7, references=8)
    assert found["pass"] >= 60, found
    assert found["fail"] <= 3, found


def test_a_liar_who_did_nothing_is_failed() -> None:
    honest = case(3)
    check = PROBE.run(replace(honest, after=honest.before))
    assert check.verdict is Verdict.FAIL
    assert "still behaves as if trained" in check.answer


def test_a_liar_who_hides_outputs_is_failed() -> None:
    """Pushing the scores of removed items far down is no removal: it marks them."""
    check = PROBE.run(case(3, after=-15.0))
    assert check.verdict is Verdict.FAIL
    assert "worse than a model that never saw them" in check.answer


@pytest.mark.parametrize("removed", [7, 120])
@pytest.mark.parametrize("after", [6.0, -15.0])
def test_liars_never_pass(removed: int, after: float) -> None:
    found = verdicts(30, removed=removed, references=8, after=after)
    assert found["pass"] == 0, found
    assert found["fail"] >= 22, found


def test_without_a_positive_control_nothing_is_said() -> None:
    check = PROBE.run(case(4, memory=0.0))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "did not recognize even the model before removal" in check.answer


def test_without_a_negative_control_nothing_is_said() -> None:
    """A reference that saw the items after all is not taken for one that never did."""
    honest = case(5, references=6)
    stained = (Recalling(77, memory=9.0), *honest.references[1:])
    check = PROBE.run(replace(honest, references=stained))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert {control.name: control.held for control in check.controls}["negative"] is False


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"references": 0}, "there are 0 never-trained references"),
        ({"references": MIN_REFERENCES - 1}, f"at least {MIN_REFERENCES} are needed"),
        ({"removed": 4}, "4 removed and 120 held-out items are too few"),
    ],
)
def test_too_little_is_inconclusive_and_says_so(settings: dict[str, Any], complaint: str) -> None:
    check = PROBE.run(case(6, **settings))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert complaint in check.answer


def test_no_held_out_item_is_inconclusive() -> None:
    check = PROBE.run(replace(case(6), held_out=items(6, 0, removed=False)))
    assert check.verdict is Verdict.INCONCLUSIVE


class Broken(Recalling):
    """A model that answers with something that is not a number."""

    def scores(self, items: Items) -> np.ndarray[Any, np.dtype[Any]]:
        """Not numbers."""
        return np.full(len(items), np.nan)


def test_scores_that_are_not_numbers_are_inconclusive() -> None:
    check = PROBE.run(replace(case(7), after=Broken(1)))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "not finite" in check.answer


def test_the_same_seed_gives_the_same_check() -> None:
    def timeless(check: Check) -> Check:
        return replace(check, seconds=0.0)

    assert timeless(PROBE.run(case(8))) == timeless(PROBE.run(case(8)))


@pytest.mark.parametrize("task", ["classify", "generate"])
def test_where_the_seed_changes_nothing_an_exact_removal_passes(task: Literal["classify", "generate"]) -> None:
    honest = case(9, references=3, task=task)
    twin = Recalling(5, task=task)
    check = PROBE.run(replace(honest, after=twin, references=(twin, twin, twin)))
    assert check.detail["reference_aucs"] == [check.value] * 3
    assert check.verdict is Verdict.PASS
    if task == "generate":  # each item is compared with itself alone: all tie
        assert check.value == 0.5


def test_what_few_held_out_items_cannot_resolve_is_said() -> None:
    rates = PROBE.run(case(10)).detail["after"]["tpr_at_fpr"]
    assert rates["0.001"] == {"value": None, "why": "needs 1000 held-out items, there are 120"}
    assert 0 <= rates["0.01"]["value"] <= 1


def test_the_fast_ranks_are_the_pairwise_definition() -> None:
    """Equation (3) pair by pair, ties counting half, against the sorted form."""
    generator = np.random.default_rng(0)
    ratio, population = generator.integers(0, 9, 40) / 3.0, generator.integers(0, 9, 60) / 3.0
    slow = [np.mean([1.0 if r > z else 0.5 if r == z else 0.0 for z in population]) for r in ratio]
    np.testing.assert_allclose(attack.population_scores(ratio, population), slow)


def test_extreme_scores_overflow_nowhere() -> None:
    with np.errstate(all="raise", under="ignore"):
        for task in ("classify", "generate"):
            signal = attack.signal(np.array([-1e308, -800.0, 0.0, 800.0, 1e308]), task=task)
            assert np.isfinite(signal).all()
