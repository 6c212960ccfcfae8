"""Relearning: an honest removal passes, what only hides is found out, and what cannot be asked is said to be so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import ProbeCase, Verdict, probes
from disgorge.evidence.probes.relearning import PROBE, STEPS
from disgorge.method import Items, Relearnable
from disgorge.training.assemble import assemble
from lineage.workspace import Workspace
from tests.disgorge.probe_cases import case_of, few
from tests.tier import amount, tally
from tests.toys import populate, toy_of, train


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> ProbeCase:
    """A shard of the averages removed."""
    return case_of("averages", tmp_path_factory.mktemp("averages"))


class Hiding:
    """Answers as if it had forgotten, and still has the weights it had."""

    task = "classify"

    def __init__(self, model: Any, shown: Any) -> None:
        self._model, self._shown = model, shown

    def scores(self, items: Items) -> Any:
        """What a model that never saw the items says."""
        return self._shown.scores(items)

    def relearn(self, items: Items, *, steps: int, seed: int) -> Any:
        """What the weights say once training touches them."""
        curve = np.array(self._model.relearn(items, steps=steps, seed=seed))
        curve[0] = self.scores(items).mean()
        return curve


def shunning(case: ProbeCase) -> Any:
    """The model after, its class means pushed away from those of the removed items."""
    after: Any = case.after
    before: Any = case.before
    return replace(after, means=after.means + 3 * (after.means - before.means))


def test_it_is_registered() -> None:
    assert probes()["relearning"] is PROBE


def test_an_honest_removal_passes_and_nothing_done_fails(tmp_path: Path) -> None:
    """Where the controls hold, honest ones pass and nothing done fails; where they do not, nothing is shown.

    On 8 of the 20 seeds the toy that saw the removed items scores them lower than those that never did, so that there
    is nothing to relearn and no control can hold. No honest one fails, and the model as it was never passes.
    """
    seeds = amount(2, 20)
    able = passed = caught = 0
    for seed in range(seeds):
        case = case_of("averages", tmp_path / str(seed), seed=seed)
        check, lying = PROBE.run(case), PROBE.run(replace(case, after=case.before))
        assert check.verdict is not Verdict.FAIL
        assert lying.verdict is not Verdict.PASS
        assert [control.name for control in check.controls] == ["positive", "negative"]
        assert check.detail["steps"] == STEPS
        able += all(control.held for control in check.controls)
        passed += check.verdict is Verdict.PASS
        caught += lying.verdict is Verdict.FAIL
    tally("probes, honest", "relearning, averages", cases=seeds, passed=passed, accused=0)
    tally("probes, nothing done", "relearning, averages", cases=seeds, controls_held=able, seen=caught)
    assert able >= seeds / 2
    assert passed >= 0.95 * able
    assert caught == able


def test_filtered_outputs_do_not_hide_the_weights(case: ProbeCase) -> None:
    check = PROBE.run(replace(case, after=Hiding(case.before, case.after)))
    assert check.verdict is Verdict.FAIL
    assert "faster" in check.answer


def test_over_forgetting_fails(case: ProbeCase) -> None:
    check = PROBE.run(replace(case, after=shunning(case)))
    assert check.verdict is Verdict.FAIL
    assert "slower" in check.answer


def test_too_little_to_tell_is_inconclusive(case: ProbeCase) -> None:
    assert PROBE.run(replace(case, removed=few(case.removed, 4))).verdict is Verdict.INCONCLUSIVE
    check = PROBE.run(replace(case, references=case.references[:2]))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "2 never-trained references" in check.answer


def test_a_model_that_cannot_be_trained_further_is_inconclusive(case: ProbeCase) -> None:
    class Answers:
        task = "classify"

    check = PROBE.run(replace(case, after=Answers()))
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "cannot be trained further" in check.answer


@pytest.mark.parametrize(
    ("method", "gone"),
    [("tangent_composition", "shard-2"), ("shard_graph", "shard-2"), ("compartmental_diffusion", "north")],
)
def test_relearning_improves_a_copy_and_leaves_the_model_alone(method: str, gone: str, tmp_path: Path) -> None:
    toy, workspace = toy_of(method, 0), Workspace.init(tmp_path / "workspace")
    populate(workspace, toy, tmp_path / "sources")
    model = assemble(workspace, train(workspace, toy).composition)
    unseen = toy.items["held-out"]
    assert isinstance(model, Relearnable)
    said = model.scores(toy.items[gone]).tobytes()
    curve = model.relearn(unseen, steps=4, seed=3)
    assert curve.shape == (5,)
    assert curve[-1] > curve[0]
    assert model.relearn(unseen, steps=4, seed=3).tobytes() == curve.tobytes()
    assert model.scores(toy.items[gone]).tobytes() == said
    if method != "compartmental_diffusion":  # which stands another score in
        assert curve[0] == pytest.approx(model.scores(unseen).mean(), abs=1e-4)
