"""KLoM on margins: tells memory and shunning from retraining, of one model and of all that a removal makes."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.errors import WrongUse
from disgorge.evidence.checks import Check, Examination, ProbeCase, Verdict, models_trained, probes_named
from disgorge.evidence.probes.klom import MIN_REMOVED, MODELS, PROBE, Margins, divergence, judge
from disgorge.method import Items
from disgorge.request.stored_records import kept_record
from lineage.workspace import Workspace
from tests.disgorge.probe_cases import case_of
from tests.tier import amount, tally
from tests.toys import carry, granted_plan, person

Vector = np.ndarray[Any, np.dtype[np.float64]]


def margins(
    seed: int, *, n: int = 120, models: int = MODELS, memory: float = 6.0, after: float | None = 0.0,
    others: float | None = None, shift: float = 0.0,
) -> Margins:  # fmt: skip
    """Ease, plus noise, plus a shift by the seed, plus memory; ``after`` None is the model before."""
    generator = np.random.default_rng([seed, n])
    ease = generator.normal(2.0, 1.5, n)

    def model(memory: float) -> Vector:
        return ease + 0.6 * generator.normal(size=n) + 0.6 * shift * generator.normal() + memory

    before = model(memory)
    delivered = before if after is None else model(after)
    left = (memory if after is None else after) if others is None else others
    removed = [delivered, *(model(left) for _ in range(models - 1))]
    return Margins(before, np.array(removed), np.array([model(0.0) for _ in range(models)]))


def run(seed: int, **settings: Any) -> Check:
    """The check on one simulated removal."""
    return judge(margins(seed, **settings), release="toy", seed=seed)


class Answering:
    """A model that gives the margins it was made with."""

    def __init__(self, given: Vector, task: str = "classify") -> None:
        self.given, self.task = given, task

    def scores(self, items: Items) -> Vector:
        """What it was made with."""
        return self.given[: len(items)]


def answering(found: Margins, *, task: str = "classify", keep: int | None = None) -> ProbeCase:
    """A case of models that answer with these margins."""
    count = found.before.size if keep is None else keep
    items = Items(tuple(f"{row:064x}" for row in range(count)), {"row": np.arange(count)})
    before, (after, *removals), references = (
        Answering(found.before, task),
        [Answering(each, task) for each in found.removed],
        tuple(Answering(each, task) for each in found.references),
    )
    models: Any = (before, after, references, tuple(removals))
    return ProbeCase("toy", *models[:3], items, items, items, 7, models[3])


def test_the_divergence_is_that_of_normal_distributions() -> None:
    """Against an integral, where every item has the variance of all, so that drawing it towards the mean is nothing."""
    one, other = np.array([[1.0], [3.0], [5.0]]), np.array([[0.0], [1.0], [2.0]])
    t = np.linspace(-40, 40, 400_001)
    p, q = ((np.exp(-((t - m) ** 2) / (2 * s**2)) / (s * np.sqrt(2 * np.pi))) for m, s in ((3.0, 2.0), (1.0, 1.0)))
    log_ratio = (-((t - 3.0) ** 2) / 8 - np.log(2.0)) + (t - 1.0) ** 2 / 2
    assert divergence(one, other) == pytest.approx(float((p * log_ratio).sum() * (t[1] - t[0])), rel=1e-6)
    assert q.sum() * (t[1] - t[0]) == pytest.approx(1)
    assert divergence(np.repeat(one, 2, axis=1), np.repeat(other, 2, axis=1)) == pytest.approx(divergence(one, other))


def test_an_honest_removal_passes_with_both_controls_and_says_of_how_many() -> None:
    check = PROBE.run(answering(margins(1)))
    assert check.verdict is Verdict.PASS, check.answer
    assert [(control.name, control.held) for control in check.controls] == [("positive", True), ("negative", True)]
    assert f"{MODELS} removed models against {MODELS} never-trained ones" in check.answer
    assert "120 removed items" in check.answer
    assert (check.n, check.detail["removed_models"], check.detail["references"]) == (120, MODELS, MODELS)
    assert "retained data trained again" in check.detail["compared"]
    assert len(check.detail["references_halved"]) == 70


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"after": None}, "fits the items better"),
        ({"after": None, "others": 0.0}, "fits the items better"),  # the old model alone, behind an honest removal
        ({"after": 0.0, "others": 6.0}, "fits the items better"),  # what the removal does from every other seed
        ({"after": -6.0}, "which marks them too"),
        ({"after": -6.0, "others": 0.0}, "which marks them too"),
    ],
)
def test_nothing_done_and_over_forgetting_fail(settings: dict[str, Any], words: str) -> None:
    check = run(2, **settings)
    assert check.verdict is Verdict.FAIL
    assert words in check.answer


def test_margins_that_are_spread_otherwise_fail_though_their_means_agree() -> None:
    found = margins(3)
    middle = found.references.mean(axis=0)
    spread = middle + 6 * (found.removed - found.removed.mean(axis=0))
    check = judge(
        Margins(found.before, np.vstack([found.removed[:1], spread[1:]]), found.references), release="t", seed=0
    )
    assert check.detail["alone"] <= check.detail["flags"]["alone"]
    assert check.verdict is Verdict.FAIL


def test_half_forgotten_does_not_pass() -> None:
    found = Counter(run(seed, after=3.0).verdict.value for seed in range(amount(30, 300)))
    assert not found["pass"], found


@pytest.mark.parametrize(("models", "shift"), [(8, 0.0), (8, 0.5), (8, 1.0), (10, 0.5)])
def test_honest_removals_are_not_accused(models: int, shift: float) -> None:
    """At most one in a hundred, give or take sampling."""
    count = amount(100, 2000)
    found = Counter(run(seed, models=models, shift=shift).verdict.value for seed in range(count))
    name = f"klom, {models} models each, shift {shift:g}"
    tally("probes, honest", name, cases=count, passed=found["pass"], accused=found["fail"])
    assert found["fail"] <= max(1, 0.01 * count + 3 * (0.01 * count) ** 0.5), found
    if shift == 0:
        assert found["pass"] >= 0.9 * count, found


def test_without_a_positive_control_nothing_is_said() -> None:
    check = run(4, memory=0.0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "not even the model before removal" in check.answer


@pytest.mark.parametrize("place", range(MODELS))
def test_a_reference_that_saw_the_items_loses_the_negative_control(place: int) -> None:
    found = margins(5)
    stained = found.references.copy()
    stained[place] = found.before + 0.01
    check = judge(Margins(found.before, found.removed, stained), release="toy", seed=0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert not {control.name: control.held for control in check.controls}["negative"]


def test_too_few_models_or_items_are_inconclusive_and_say_so() -> None:
    few, found = margins(6, models=MODELS - 1), margins(6)
    for case, complaint in (
        (answering(few), f"there are {MODELS - 1} removed models and {MODELS - 1} never-trained references"),
        (answering(Margins(found.before, found.removed[:1], found.references)), "there are 1 removed models"),
        (answering(found, keep=MIN_REMOVED - 1), "removed items are too few"),
        (answering(found, keep=0), "0 removed items are too few"),
    ):
        check = PROBE.run(case)
        assert check.verdict is Verdict.INCONCLUSIVE
        assert complaint in check.answer


def test_margins_that_are_not_finite_are_inconclusive() -> None:
    found = margins(7)
    found.removed[2, 3] = np.nan
    check = judge(found, release="toy", seed=0)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "not finite" in check.answer


def test_a_generator_is_told_that_it_does_not_apply() -> None:
    check = PROBE.run(answering(margins(8), task="generate"))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "does not apply to a model that generates" in check.answer


def test_where_the_seed_changes_nothing_an_exact_removal_passes_and_the_old_model_fails() -> None:
    found = margins(9)
    same = np.repeat(found.references[:1], MODELS, axis=0)
    check = judge(Margins(found.before, same, same + 1e-12), release="toy", seed=0)
    assert check.verdict is Verdict.PASS, check.answer
    old = np.vstack([found.before[None], same[1:]])
    assert judge(Margins(found.before, old, same), release="toy", seed=0).verdict is Verdict.FAIL


def test_a_toy_trained_again_passes_and_the_model_before_does_not(tmp_path: Path) -> None:
    """On trained models: a shard of a toy is removed, and references and removed models differ in their seeds."""
    case = case_of("tangent_composition", tmp_path, references=2 * MODELS - 1)
    references, removals = case.references[:MODELS], case.references[MODELS:]
    given = (references, case.removed, case.retained, case.held_out, case.seed, removals)
    assert PROBE.run(ProbeCase("toy", case.before, case.after, *given)).verdict is not Verdict.FAIL
    assert PROBE.run(ProbeCase("toy", case.before, case.before, *given)).verdict is not Verdict.PASS


def test_a_plan_that_names_it_trains_as_many_removed_models_as_references(workspace: Workspace) -> None:
    plan = granted_plan(workspace, [person(workspace, "shard-3", n) for n in range(3)], named=["klom"])
    assert plan.probes == ("klom",)
    assert carry(workspace, references=3).verdict == "certified"
    (*_, last) = workspace.ledger.facts("examination")
    (check,) = (
        check
        for check in kept_record(workspace, Examination, last.body["examination"]).checks
        if check.name == "klom"
    )  # fmt: skip
    assert check.verdict is not Verdict.FAIL
    assert (check.detail["removed_models"], check.detail["references"]) == (MODELS, MODELS)
    seeds = [*check.detail["reference_seeds"], *check.detail["removal_seeds"]]
    assert (len(seeds), len(set(seeds))) == (2 * MODELS - 1, 2 * MODELS - 1)
    assert models_trained(plan.probes) == 2 * MODELS - 1


def test_probes_are_asked_for_by_name(workspace: Workspace) -> None:
    assert "klom" in probes_named(["all"])
    assert probes_named(["klom", "membership"]) == {"klom", "membership"}
    with pytest.raises(WrongUse, match=r"^unknown probe 'kolm': name one of .*klom.*, or all$"):
        granted_plan(workspace, [person(workspace, "shard-3", 0)], named=["kolm"])
