"""Loss of use: when a person has to accept it, and what a check says that nothing is demanded of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disgorge.errors import CertificateRefused
from disgorge.evidence.checks import Utility, Verdict
from disgorge.evidence.utility import NO_FLOOR, chance_level, headlines, reading_of, utility_check
from disgorge.layout import is_emptied
from disgorge.method import Items, Toy, method_named
from disgorge.request.workflow.approval import approve_plan
from lineage.records import Member, Selector, Shard
from lineage.workspace import Workspace
from tests.toys import carry, granted_plan, populate, served, toy_of, train


def measures(before: float, after: float, metric: str = "accuracy") -> tuple[Utility, ...]:
    """What was measured on thirty held-out items."""
    return (Utility("toy", "held-out", metric, 30, before, after),)


def test_without_a_floor_nothing_is_passed() -> None:
    check = utility_check("toy", measures(1.0, 0.9), None, accepted=False)
    assert check.threshold == NO_FLOOR
    assert check.answer.endswith("went from 1.0000 to 0.9000 (30 items); no floor demanded")
    assert (check.verdict, reading_of(check)) == (Verdict.PASS, "no floor demanded")


@pytest.mark.parametrize(
    ("before", "after", "chance", "asks"),
    [(0.9, 0.4, 0.5, True), (0.9, 0.5, 0.5, True), (0.9, 0.51, 0.5, False), (0.5, 0.4, 0.5, False),
     (0.9, 0.1, None, False)],
)  # fmt: skip
def test_at_or_below_chance_a_person_must_accept_the_loss(
    before: float, after: float, chance: float | None, asks: bool
) -> None:
    check = utility_check("toy", measures(before, after), None, accepted=False, chance=chance)
    assert check.verdict is (Verdict.FAIL if asks else Verdict.PASS)
    assert ("a person must accept the loss first" in check.answer) == asks
    accepted = utility_check("toy", measures(before, after), None, accepted=True, chance=chance)
    assert accepted.verdict is Verdict.PASS
    assert reading_of(accepted) == ("loss accepted" if asks else "no floor demanded")


@pytest.mark.parametrize("utility", [measures(0.9, 0.9), measures(-0.3, -0.3, "neg_denoising_loss"), ()])
def test_an_empty_release_needs_the_approvers_word_however_good_it_is(utility: tuple[Utility, ...]) -> None:
    check = utility_check("toy", utility, None, accepted=False, emptied=True)
    assert check.verdict is Verdict.FAIL
    assert "nothing that was trained on removable data is left" in check.answer
    assert utility_check("toy", utility, None, accepted=True, emptied=True).verdict is Verdict.PASS


def test_a_floor_is_judged_as_it_was() -> None:
    verdicts = [utility_check("toy", measures(0.9, after), 0.9, accepted=False).verdict for after in (0.82, 0.8)]
    assert verdicts == [Verdict.PASS, Verdict.FAIL]
    low = utility_check("toy", measures(0.9, 0.5), 0.9, accepted=True)
    assert (low.verdict, low.threshold, low.detail["accepted"]) == (Verdict.PASS, 0.9, True)
    assert low.answer.endswith("below the floor of 90% of what it was; the approver accepted the loss")


def test_chance_is_the_share_of_the_most_frequent_label() -> None:
    items = Items(tuple("abcd"), {"label": np.array([2, 2, 2, 0])})
    unlabeled = Items(tuple("abcd"), {"x": np.zeros((4, 2))})
    assert chance_level("classify", "accuracy", items) == 0.75
    assert chance_level("generate", "neg_denoising_loss", items) is None
    assert chance_level("classify", "accuracy", unlabeled) is None
    assert chance_level("classify", "accuracy", Items((), {"label": np.array([])})) is None


@pytest.mark.parametrize(
    "method", ["averages", "tangent_composition", "shard_graph", "compartmental_diffusion"]
)  # fmt: skip
def test_every_method_is_emptied_by_removing_every_shard_and_by_nothing_less(method: str) -> None:
    toy = toy_of(method, 1)
    there = {
        name: Shard(f"{n:064x}", name, None, None, None, len(items), core=name in toy.spec.core,
                    fields=tuple(items.arrays))
        for n, (name, items) in enumerate(toy.items.items())
    }  # fmt: skip
    known = method_named(method)
    before = [Member(f"{toy.spec.release}/{b.name}", b.name, b.weight) for b in known.layout(toy.spec, there)]
    without = {name: shard for name, shard in there.items() if name not in toy.spec.shards}
    assert is_emptied(toy.spec, before, known.layout(toy.spec, without))
    one = {name: shard for name, shard in there.items() if name == toy.spec.shards[0] or name not in toy.spec.shards}
    assert not is_emptied(toy.spec, before, known.layout(toy.spec, one))
    nothing = [member for member in before if not member.weight]
    assert not is_emptied(toy.spec, nothing, known.layout(toy.spec, without))


def test_each_release_speaks_by_its_measure_on_held_out_data() -> None:
    found = (
        Utility("a", "retained", "accuracy", 9, 1.0, 1.0),
        Utility("a", "held-out", "accuracy", 9, 0.9, 0.8),
        Utility("b", "retained", "accuracy", 9, 0.7, 0.6),
    )
    assert [(each.release, each.after) for each in headlines(found)] == [("a", 0.8), ("b", 0.6)]


def mislabeled(toy: Toy) -> Toy:
    """The toy with two shards: one as it is, and three items of another whose labels are all wrong."""
    few = toy.items["shard-2"]
    wrong = {"x": few.arrays["x"][:3], "label": (few.arrays["label"][:3] + 1) % 3}
    items = {name: toy.items[name] for name in ("core", "shard-1", "held-out")}
    spec = replace(toy.spec, shards=("shard-1", "shard-2"))
    return Toy(spec, items | {"shard-2": Items(few.digests[:3], wrong)})


def test_a_release_that_falls_to_chance_is_adopted_only_once_a_person_accepts_it(tmp_path: Path) -> None:
    workspace, toy = Workspace.init(tmp_path / "workspace"), mislabeled(toy_of("averages", 3))
    populate(workspace, toy, tmp_path / "sources")
    train(workspace, toy)
    before = served(workspace, toy.spec.release)
    plan = granted_plan(workspace, [Selector("shard", "shard-1")])
    assert plan.warnings == ()
    with pytest.raises(CertificateRefused) as refusal:
        carry(workspace)
    said = str(refusal.value)
    assert "no better than always answering the most frequent label" in said
    assert (
        f"accept the loss with `disgorge request approve R-1 {plan.digest[:12]} --by NAME --accept-utility-loss` "
        in said
    )
    assert "and resume, or have it destroyed with `disgorge request plan R-1 --withdraw toy-averages`" in said
    assert served(workspace, toy.spec.release) == before
    approve_plan(workspace, "R-1", plan.digest, approver="ann", accept_utility_loss=True)
    done = carry(workspace)
    assert done.verdict == "certified"
    assert "the approver accepted the loss" in (done.bundle / "report.html").read_text()
    assert served(workspace, toy.spec.release) != before
