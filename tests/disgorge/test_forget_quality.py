"""Kolmogorov-Smirnov on removed items: tells memory and shunning from retraining, and says what it could not see."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import Check, ProbeCase, Verdict
from disgorge.evidence.probes.forget_quality import MIN_REMOVED, PROBE, critical, gap, judge
from disgorge.method import Items
from tests.tier import amount, tally

Vector = np.ndarray[Any, np.dtype[np.float64]]


def scores(
    seed: int, *, n: int = 120, references: int = 3, memory: float = 5.0, after: float | None = 0.0, shift: float = 0.0
) -> tuple[Vector, Vector, tuple[Vector, ...]]:
    """Before, after (None: the same as before) and references: ease, plus noise, plus a shift, plus memory."""
    generator = np.random.default_rng([seed, n])
    ease = generator.normal(2.0, 1.5, n)

    def model(memory: float) -> Vector:
        return ease + 0.6 * generator.normal(size=n) + 0.6 * shift * generator.normal() + memory

    before = model(memory)
    return before, before if after is None else model(after), tuple(model(0.0) for _ in range(references))


def run(seed: int, **settings: Any) -> Check:
    """The check on one simulated removal."""
    return judge(*scores(seed, **settings), release="toy", seed=seed)


class Answering:
    """A model that gives the scores it was made with."""

    task = "classify"

    def __init__(self, given: Vector) -> None:
        self.given = given

    def scores(self, items: Items) -> Vector:
        """What it was made with."""
        return self.given[: len(items)]


def case(seed: int, *, n: int = 120, keep: int | None = None, **settings: Any) -> ProbeCase:
    """A case of models that answer with simulated scores."""
    before, after, references = scores(seed, n=n, **settings)
    count = n if keep is None else keep
    removed = Items(tuple(f"{row:064x}" for row in range(count)), {"row": np.arange(count)})
    models: Any = [Answering(each) for each in (before, after, *references)]
    return ProbeCase("toy", models[0], models[1], tuple(models[2:]), removed, removed, removed, seed)


def test_an_honest_removal_passes_and_says_what_it_could_not_have_seen() -> None:
    check = PROBE.run(case(1))
    assert check.verdict is Verdict.PASS, check.answer
    assert [(control.name, control.held) for control in check.controls] == [("positive", True), ("negative", True)]
    assert "absence of evidence" in check.answer
    assert "120 removed items" in check.answer
    assert f"under {check.detail['least_detectable']:.2f}" in check.answer
    assert check.value <= check.threshold < check.detail["least_detectable"] <= 1


@pytest.mark.parametrize(
    ("after", "words"), [(None, "fits them better"), (5.0, "fits them better"), (-6.0, "which marks them as well")]
)
def test_nothing_done_and_over_forgetting_fail(after: float | None, words: str) -> None:
    check = run(2, after=after)
    assert check.verdict is Verdict.FAIL
    assert words in check.answer


def test_half_forgotten_does_not_pass() -> None:
    found = Counter(run(seed, after=2.5).verdict.value for seed in range(amount(30, 300)))
    assert not found["pass"], found


@pytest.mark.parametrize(("references", "shift"), [(3, 0.0), (3, 0.5), (4, 1.0), (8, 0.5)])
def test_honest_removals_are_not_accused(references: int, shift: float) -> None:
    """At most one in two hundred, give or take sampling."""
    count = amount(200, 2000)
    found = Counter(run(seed, references=references, shift=shift).verdict.value for seed in range(count))
    name = f"forget-quality, {references} references, shift {shift:g}"
    tally("probes, honest", name, cases=count, passed=found["pass"], accused=found["fail"])
    assert found["fail"] <= max(1, 0.005 * count + 3 * (0.005 * count) ** 0.5), found
    if shift == 0:
        assert found["pass"] >= 0.9 * count, found


def test_references_that_lie_symmetrically_do_not_make_a_narrow_band() -> None:
    """Four references whose distances are all the same have no spread; twice the distance still counts."""
    rows = np.linspace(-3, 3, 200)
    references = tuple(rows + by for by in (-0.3, -0.3, 0.3, 0.3))
    check = judge(rows + 4, rows + 0.45, references, release="toy", seed=0)
    assert np.ptp(check.detail["reference_distances"]) < 0.02
    assert check.threshold >= 2 * max(check.detail["reference_distances"])
    assert check.verdict is not Verdict.FAIL


def test_without_a_positive_control_nothing_is_said() -> None:
    check = run(3, memory=0.0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "not even the model before removal" in check.answer


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_reference_that_saw_the_items_loses_the_controls(place: int) -> None:
    before, after, references = scores(4)
    stained = (*references[:place], before + 0.01, *references[place + 1 :])
    assert judge(before, after, stained, release="toy", seed=0).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"references": 1}, "there are 1 never-trained references"),
        ({"references": 0}, "there are 0 never-trained references"),
        ({"keep": MIN_REMOVED - 1}, "removed items are too few"),
        ({"keep": 0}, "0 removed items are too few"),
    ],
)
def test_too_little_is_inconclusive_and_says_so(settings: dict[str, Any], complaint: str) -> None:
    check = PROBE.run(case(5, **settings))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert complaint in check.answer


def test_scores_that_are_not_numbers_are_inconclusive() -> None:
    before, after, references = scores(6)
    after[3] = np.nan
    check = judge(before, after, references, release="toy", seed=0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "not finite" in check.answer


def test_where_the_seed_changes_nothing_an_exact_removal_passes() -> None:
    before, after, _ = scores(7)
    check = judge(before, after, (after, after + 1e-13, after), release="toy", seed=0)
    assert (check.value, check.verdict) == (0, Verdict.PASS)


def test_the_distance_is_its_definition() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 9, 40) / 2.0, generator.integers(1, 10, 70) / 2.0
    slow = max(abs((one <= t).mean() - (other <= t).mean()) for t in np.concatenate([one, other]))
    assert abs(gap(one, other)) == pytest.approx(slow)
    assert gap(one + 5, one) > 0 > gap(one - 5, one)


@pytest.mark.parametrize("level", [0.95, 0.998])
def test_critical_values_hold_for_independent_samples(level: float) -> None:
    n, generator = 150, np.random.default_rng(1)
    beyond = np.mean(
        [abs(gap(generator.normal(size=n), generator.normal(size=n))) > critical(n, level) for _ in range(2000)]
    )
    assert beyond <= 1 - level + 0.01


def test_the_least_detectable_distance_is_seen_four_times_in_five() -> None:
    """A model moved until its true distance is the least detectable one is flagged in at least 80 %."""
    n, count, flagged = 150, amount(100, 1000), 0
    for seed in range(count):
        generator = np.random.default_rng([seed, 9])
        references = tuple(generator.normal(size=n) for _ in range(3))
        before = generator.normal(2.0, 1, n)
        least = judge(before, before, references, release="toy", seed=0).detail["least_detectable"]
        rows = generator.random(n)  # true distance least: that share of the items is moved to the top
        after = np.where(rows < least, 9.0, generator.normal(size=n))
        check = judge(before, after, references, release="toy", seed=0)
        flagged += check.value > check.threshold
    assert flagged >= 0.75 * count
