"""Components attested when nobody waits: what is run, what is recorded of it, what is said and left alone."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.attestation.record import attested_facts
from disgorge.attestation.standing import Attested, Standing, standing
from disgorge.audit.rules import audit
from disgorge.errors import BadModel, ReleaseContained, WrongUse
from disgorge.method import ModelSpec
from disgorge.release.attest import Outcome, attest_releases, beside
from disgorge.release.recorded.attest import attest_component
from disgorge.request.holds.hold import hold_request
from disgorge.training.recipe import Done, Job, OnProgress, unseen
from disgorge.training.sandbox.levels import Level
from disgorge.workspace_lock import turn
from lineage.errors import UnknownRecord, WorkspaceBusy
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import (
    ComponentFact,
    CompositionFact,
    ReleaseContainedFact,
    ReleaseFact,
    ShardWithdrawnFact,
)
from lineage.records import Json, Use
from lineage.workspace import Workspace
from tests import toys
from tests.disgorge.attestation.by_hand import elsewhere, retire, serve
from tests.in_process import InProcessRunner
from tests.toys import RELEASE, component_of, composition_of, live_shards

PARTS = ["scale", *(f"mean/shard-{n}" for n in range(1, 5))]
SPEC = toys.toy_of("averages", 3).spec
OTHER = b"other bytes"


class Counting(InProcessRunner):
    """A runner that claims a level and notes what it ran; ``stop_after`` runs it is killed, before that is recorded."""

    def __init__(self, workspace: Workspace, level: Level = Level.NAMESPACE, *, stop_after: int | None = None) -> None:
        super().__init__(workspace, claims=level)
        self.ran: list[str] = []
        self.stop_after = stop_after

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Yield each job as it is done."""
        for done in super().run(jobs, on_progress=on_progress, **how):
            if self.stop_after == len(self.ran):
                raise toys.StoppedError
            self.ran.append(done.job.name.removeprefix(f"{RELEASE}/"))
            yield done


class Drifting(Counting):
    """A runner whose training never repeats: each run reaches bytes of its own."""

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Yield each job as it is done."""
        for done in super().run(jobs, on_progress=on_progress, **how):
            yield replace(done, digest=self.workspace.objects.put(OTHER + str(len(self.ran)).encode()))


@pytest.fixture(scope="module")
def bare(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained toy as if its components had been recorded by hand, under the recipes that make them."""
    folder = Path(shutil.copytree(trained, tmp_path_factory.mktemp("bare") / "workspace"))
    toys.rewrite(Workspace.open(folder), lambda fact: None if fact.kind in ("attested", "signing-key") else fact.body)
    return folder


@pytest.fixture
def by_hand(bare: Path, tmp_path: Path) -> Workspace:
    """A copy of it."""
    return Workspace.open(Path(shutil.copytree(bare, tmp_path / "workspace")), clock=lambda: toys.NOW)


def attest(
    workspace: Workspace, runner: Counting | None = None, release: str | None = None, **how: bool
) -> tuple[Outcome, list[str]]:
    """Attest and return what came of it and which components were run, in order."""
    runner = runner or Counting(workspace)
    return attest_releases(workspace, runner, release, level=Level.NAMESPACE, **how), runner.ran


def judged(workspace: Workspace, name: str) -> Standing:
    """Whether a component of the toy stands at level namespace."""
    component = component_of(workspace, f"{RELEASE}/{name}")
    return standing(Attested.of(workspace), component, accepts=Level.NAMESPACE)


def problems(outcome: Outcome) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What is the matter with components, by name, and how the environment differs."""
    return {
        part.component.name.removeprefix(f"{RELEASE}/"): (part.problem.words, part.problem.elsewhere)
        for part in outcome.parts
        if part.problem
    }


def unattested(workspace: Workspace) -> list[str]:
    """What the audit says of components without attestation, or of bad ones."""
    return [each.words for each in audit(workspace) if each.id in ("DSG021", "DSG023")]


def test_what_was_recorded_by_hand_is_run_and_attested_inputs_first(by_hand: Workspace) -> None:
    before = composition_of(by_hand)
    assert not judged(by_hand, "mean/shard-2").stands
    outcome, ran = attest(by_hand)
    assert (ran[0], sorted(ran)) == ("scale", sorted(PARTS))
    assert [(part.runs, part.standing.level, part.standing.hermetic) for part in outcome.parts] == [
        (1, Level.NAMESPACE, True)
    ] * 5
    assert judged(by_hand, "mean/shard-2").stands
    assert composition_of(by_hand) == before
    assert (problems(outcome), unattested(by_hand)) == ({}, [])
    assert not any(part.standing.reproducible for part in outcome.parts)


def test_what_is_attested_is_not_run_again(by_hand: Workspace) -> None:
    attest(by_hand)
    head = by_hand.ledger.head()
    outcome, ran = attest(by_hand)
    assert (ran, by_hand.ledger.head(), [part.runs for part in outcome.parts]) == ([], head, [0] * 5)


def test_what_was_confined_less_than_this_machine_can_is_run_again(workspace: Workspace) -> None:
    """The toy was trained in this process, at level process, which is attested."""
    assert not judged(workspace, "scale").stands
    assert sorted(attest(workspace)[1]) == sorted(PARTS)
    assert judged(workspace, "scale").stands
    assert attest(workspace)[1] == []


def test_what_lost_its_attestation_is_attested_anew(by_hand: Workspace) -> None:
    attest(by_hand)
    scale = component_of(by_hand, f"{RELEASE}/scale").digest
    (lost,) = (fact.attestation for fact in attested_facts(by_hand) if fact.component == scale)
    by_hand.objects.delete(lost)
    assert not judged(by_hand, "mean/shard-2").stands
    outcome, ran = attest(by_hand)
    assert (ran, problems(outcome)) == (["scale"], {})
    assert judged(by_hand, "mean/shard-2").stands


def test_a_second_run_makes_components_reproducible(by_hand: Workspace) -> None:
    outcome, ran = attest(by_hand, again=True)
    assert sorted(ran) == sorted([*PARTS, *PARTS])
    assert all(part.standing.reproducible and part.runs == 2 for part in outcome.parts)
    assert {fact.run for fact in attested_facts(by_hand)} == {1, 2}
    assert attest(by_hand, again=True)[1] == [], "nothing is missing then"


def test_a_removal_does_not_run_again_what_was_attested_before(by_hand: Workspace) -> None:
    """But the part it touched, and the one that takes least, which is a control."""
    attest(by_hand)
    toys.granted_plan(by_hand, [toys.person(by_hand, "shard-2", 1)])
    apart = Counting(by_hand)
    assert toys.carry(by_hand, independent=lambda: apart).verdict == "certified"
    assert "mean/shard-2" in apart.ran
    assert len(set(apart.ran) & set(PARTS)) <= 2


def test_only_the_release_that_is_named_is_run(by_hand: Workspace) -> None:
    other = composition_of(by_hand)
    single = replace(other, members=other.members[:1])
    by_hand.ledger.record(CompositionFact(single), ReleaseFact("single", "candidate", single.digest))
    outcome, _ = attest(by_hand, release="single@candidate")
    assert {part.component.name for part in outcome.parts} <= {single.members[0].name, f"{RELEASE}/scale"}
    with pytest.raises(UnknownRecord, match="no release single@live"):
        attest(by_hand, release="single")


def test_the_inputs_of_what_is_served_are_run_though_they_are_not_served(by_hand: Workspace) -> None:
    whole = composition_of(by_hand)
    means = tuple(member for member in whole.members if not member.name.endswith("/scale"))
    part = replace(whole, members=means)
    by_hand.ledger.record(CompositionFact(part), ReleaseFact(RELEASE, "live", part.digest))
    _, ran = attest(by_hand)
    assert (ran[0], len(ran)) == ("scale", 5)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("done", range(5))
def test_killed_and_run_again_it_goes_on(by_hand: Workspace, done: int, again: bool) -> None:
    """Killed after training and before it was recorded: what was recorded is not run again."""
    killed = Counting(by_hand, stop_after=done)
    with pytest.raises(toys.StoppedError):
        attest(by_hand, killed, again=again)
    assert len(attested_facts(by_hand)) == len(killed.ran) == done
    outcome, ran = attest(by_hand, again=again)
    assert sorted([*killed.ran, *ran]) == sorted(PARTS * (1 + again))
    assert all(part.standing.stands and part.standing.reproducible is again for part in outcome.parts)


# What a run shows to be wrong ------------------------------------------------------------------------------------


def test_bytes_that_the_recipe_does_not_make_are_named_and_do_not_stand(by_hand: Workspace) -> None:
    lie = serve(by_hand, "mean/shard-2", digest=by_hand.objects.put(OTHER))
    served, objects = composition_of(by_hand), set(by_hand.objects.digests())
    honest = {fact.component for fact in attested_facts(by_hand)}
    outcome, ran = attest(by_hand)
    assert problems(outcome) == {"mean/shard-2": ("the recorded bytes are not what its recipe makes here", ())}
    assert len(ran) == 5, "what is honest is attested all the same"
    assert not judged(by_hand, "mean/shard-2").stands
    assert judged(by_hand, "mean/shard-1").stands
    assert composition_of(by_hand) == served, "its place is not taken"
    (reached,) = (
        {fact.component for fact in attested_facts(by_hand)} - honest - {member.component for member in served.members}
    )
    assert reached != lie.digest, "the run is recorded"
    new = set(by_hand.objects.digests()) - objects
    assert new == {fact.attestation for fact in attested_facts(by_hand)}, "and its bytes are not kept"


def test_honest_bytes_do_not_stand_beside_a_first_run_that_made_others(by_hand: Workspace) -> None:
    attest(by_hand, Drifting(by_hand))
    outcome, ran = attest(by_hand)
    assert len(ran) == 5
    words, _ = problems(outcome)["scale"]
    assert words == (
        "it is run 2 of its recipe, and not what the first completed run made, though a run reached its bytes"
    )
    assert not judged(by_hand, "scale").stands


def test_a_later_run_that_reaches_other_bytes_never_takes_the_place_of_the_first(by_hand: Workspace) -> None:
    attest(by_hand)
    served = composition_of(by_hand)
    outcome, ran = attest(by_hand, Drifting(by_hand), again=True)
    assert len(ran) == len(problems(outcome)) == 5
    assert judged(by_hand, "mean/shard-2").stands
    assert not judged(by_hand, "mean/shard-2").reproducible
    assert composition_of(by_hand) == served


def test_other_bytes_in_another_environment_are_no_verdict(by_hand: Workspace) -> None:
    serve(by_hand, "mean/shard-2", digest=by_hand.objects.put(OTHER))
    toys.rewrite(by_hand, elsewhere)
    outcome, _ = attest(Workspace.open(by_hand.root))
    ((name, (_, differs)),) = problems(outcome).items()
    assert (name, differs[0][:17]) == ("mean/shard-2", "machine was pdp11")


def test_equal_bytes_in_another_environment_are_attested(by_hand: Workspace) -> None:
    toys.rewrite(by_hand, elsewhere)
    workspace = Workspace.open(by_hand.root)
    outcome, _ = attest(workspace)
    assert (problems(outcome), judged(workspace, "mean/shard-2").stands) == ({}, True)


def test_a_method_of_another_version_is_not_run(by_hand: Workspace) -> None:
    old = component_of(by_hand, f"{RELEASE}/mean/shard-2")
    serve(by_hand, "mean/shard-2", recipe=old.recipe | {"version": "0"})
    uncoded = {name: old.recipe[name] for name in old.recipe.keys() - {"code", "entry"}}
    serve(by_hand, "mean/shard-3", recipe=uncoded | {"method": "gone"})
    serve(by_hand, "mean/shard-4", recipe=old.recipe | {"method": "gone"})
    outcome, ran = attest(by_hand)
    told = problems(outcome)
    assert "(averages:METHOD) is that of 'averages', not of 'gone'" in told.pop("mean/shard-4")[0]
    assert told == {
        "mean/shard-2": ("it was not run", ("method averages was 0 and is 1",)),
        "mean/shard-3": ("it was not run", ("method gone was 1 and is not installed",)),
    }
    assert len(ran) == 2


def test_a_recipe_of_local_code_that_names_none_is_not_run(by_hand: Workspace) -> None:
    old = component_of(by_hand, f"{RELEASE}/mean/shard-2")
    serve(by_hand, "mean/shard-2", recipe={name: old.recipe[name] for name in old.recipe if name != "code"})
    outcome, ran = attest(by_hand)
    ((name, (words, _)),) = problems(outcome).items()
    assert name == "mean/shard-2"
    assert words.startswith("its recipe names no code, and averages is local code; have `disgorge train`")
    assert len(ran) == 4


# What is not run -------------------------------------------------------------------------------------------------


def test_what_has_no_recipe_is_named_and_is_no_failure(by_hand: Workspace) -> None:
    serve(by_hand, "mean/shard-2", recipe={}, environment={}, digest=by_hand.objects.put(OTHER))
    outcome, ran = attest(by_hand)
    (part,) = (part for part in outcome.parts if part.problem)
    assert part.problem is not None
    assert part.problem.expected
    assert part.problem.words.startswith("it has no recipe, and is shown by the operator's record")
    assert (part.runs, part.standing.shown_by, len(ran)) == (0, "the operator's record", 4)


def test_what_was_recorded_with_a_recipe_and_then_without_is_run_by_it(by_hand: Workspace) -> None:
    serve(by_hand, "mean/shard-2", recipe={}, environment={})
    outcome, ran = attest(by_hand)
    assert (problems(outcome), len(ran)) == ({}, 5)


def test_nothing_of_a_contained_release_is_run(by_hand: Workspace) -> None:
    by_hand.ledger.record(ReleaseContainedFact(RELEASE, "live", "R-1"))
    head = by_hand.ledger.head()
    outcome, ran = attest(by_hand)
    assert (outcome.parts, ran, by_hand.ledger.head()) == ((), [], head)
    assert outcome.left_out == (
        f"release {RELEASE}@live is contained: a request touches it and it must not be served; carry the request out "
        f"first (`disgorge request list`); nothing of it was run",
    )
    for refused in (
        lambda: attest(by_hand, release=RELEASE),
        lambda: attest_component(by_hand, Counting(by_hand), f"{RELEASE}/scale", SPEC, level=Level.NAMESPACE),
    ):
        with pytest.raises(ReleaseContained, match="is contained"):
            refused()
    assert by_hand.ledger.head() == head


def test_nothing_that_learned_from_held_items_is_run_where_the_hold_stops_it(by_hand: Workspace) -> None:
    """Also before the release was stopped; a hold that lets it be served lets it be run."""
    toys.file(by_hand, [toys.person(by_hand, "shard-2", 1)], toys.COURT, request_id="H-1")
    hold_request(by_hand, "H-1", on=True, reason="litigation", serving="stop")
    outcome, ran = attest(by_hand)
    assert (outcome.parts, ran) == ((), [])
    assert "stopped by the hold of H-1" in outcome.left_out[0]
    with pytest.raises(ReleaseContained, match="stopped by the hold of H-1"):
        attest(by_hand, release=RELEASE)
    hold_request(by_hand, "H-1", on=True, reason="litigation", serving="keep")
    assert len(attest(by_hand)[1]) == 5


def withdrawn_shard(workspace: Workspace) -> str:
    shard = live_shards(workspace)["shard-2"]
    workspace.ledger.record(ShardWithdrawnFact(shard.digest, "shard-2", removed=1))
    return "it used "


def retired(workspace: Workspace) -> str:
    retire(workspace, "mean/shard-2")
    return "it was retired, and is not run"


def lost_content(workspace: Workspace) -> str:
    workspace.content_path(live_shards(workspace)["shard-2"].digest).unlink()
    return "what it used, "


@pytest.mark.parametrize("harm", [withdrawn_shard, retired, lost_content], ids=lambda each: each.__name__)
def test_what_must_not_or_cannot_be_run_is_named(by_hand: Workspace, harm: Callable[[Workspace], str]) -> None:
    begins = harm(by_hand)
    outcome, ran = attest(by_hand)
    assert [(name, words.startswith(begins)) for name, (words, _) in problems(outcome).items()] == [
        ("mean/shard-2", True)
    ]
    assert "mean/shard-2" not in ran
    assert len(ran) == 4


def test_bytes_that_were_lost_come_back(by_hand: Workspace) -> None:
    part = component_of(by_hand, f"{RELEASE}/mean/shard-2")
    by_hand.objects.delete(part.digest)
    assert problems(attest(by_hand)[0]) == {}
    assert by_hand.objects.exists(part.digest)


def test_use_that_the_recipe_does_not_name_keeps_a_component_from_standing(by_hand: Workspace) -> None:
    old, more = component_of(by_hand, f"{RELEASE}/mean/shard-2"), live_shards(by_hand)["shard-3"]
    serve(by_hand, "mean/shard-2", uses=(*old.uses, Use(more.digest, old.uses[-1].role)))
    ((name, (words, _)),) = problems(attest(by_hand)[0]).items()
    assert (name, words.startswith("it is recorded to have used")) == ("mean/shard-2", True)
    assert not judged(by_hand, "mean/shard-2").stands


def test_a_workspace_in_use_is_left_alone(by_hand: Workspace) -> None:
    with turn(by_hand, then=""), pytest.raises(WorkspaceBusy, match="then run `disgorge attest` again"):
        attest(Workspace.open(by_hand.root))


# A component from outside ----------------------------------------------------------------------------------------


@pytest.fixture
def from_outside(by_hand: Workspace) -> Workspace:
    """The toy with a mean that was recorded without recipe or environment."""

    def without(fact: Fact) -> dict[str, Json]:
        if fact.kind != "component" or not fact.body["component"]["name"].endswith("shard-2"):
            return fact.body
        return {"component": fact.body["component"] | {"recipe": {}, "environment": {}, "kind": "array"}}

    toys.rewrite(by_hand, without)
    return Workspace.open(by_hand.root)


def given(workspace: Workspace, name: str = "mean/shard-2", spec: ModelSpec = SPEC) -> Outcome:
    """Give a component of the toy the recipe that a model lays out."""
    return attest_component(workspace, Counting(workspace), f"{RELEASE}/{name}", spec, level=Level.NAMESPACE)


def test_a_component_from_outside_gets_the_recipe_that_makes_its_bytes(from_outside: Workspace) -> None:
    before = composition_of(from_outside)
    assert problems(given(from_outside)) == {}
    made = component_of(from_outside, f"{RELEASE}/mean/shard-2")
    assert (made.kind, made.recipe["parameters"], made.cost.steps) == ("mean", {"seed": 3}, 1)
    assert composition_of(from_outside) == before
    _, ran = attest(from_outside)
    assert "mean/shard-2" not in ran, "it has its attestation"
    assert judged(from_outside, "mean/shard-2").stands
    head = from_outside.ledger.head()
    assert [part.runs for part in given(from_outside).parts] == [0]
    assert from_outside.ledger.head() == head


def test_other_bytes_are_kept_beside_and_change_nothing_that_is_there(from_outside: Workspace) -> None:
    name, served = f"{RELEASE}/mean/shard-2", composition_of(from_outside)
    recorded = component_of(from_outside, name)
    outcome = given(from_outside, spec=replace(SPEC, seed=4))
    assert problems(outcome) == {
        "mean/shard-2": (
            "the recorded bytes are not what its recipe makes here",
            ("the environment of its training was not recorded",),
        )
    }
    assert (component_of(from_outside, name), composition_of(from_outside)) == (recorded, served)
    made = component_of(from_outside, beside(name))
    assert (outcome.beside, made.recipe["parameters"]) == (made, {"seed": 4})
    head = from_outside.ledger.head()
    again = given(from_outside, spec=replace(SPEC, seed=4))
    assert (again.beside, again.parts[0].runs, problems(again)) == (made, 0, problems(outcome)), "it is not run again"
    assert from_outside.ledger.head() == head


def test_a_model_that_does_not_fit_the_component_is_refused(from_outside: Workspace) -> None:
    head = from_outside.ledger.head()
    with pytest.raises(WrongUse, match=r"lays out no toy-averages/mean/shard-2; it lays out toy-averages/scale, "):
        given(from_outside, spec=replace(SPEC, shards=("shard-1", "shard-3")))
    with pytest.raises(UnknownRecord, match="'shard-9', which no live shard"):
        given(from_outside, spec=replace(SPEC, shards=(*SPEC.shards, "shard-9")))
    with pytest.raises(UnknownRecord, match="no component 'toy-averages/mean/shard-9'"):
        given(from_outside, "mean/shard-9")
    assert from_outside.ledger.head() == head
    retire(from_outside, "scale")
    with pytest.raises(BadModel, match=r"makes toy-averages/mean/shard-2 from scale, and no live component"):
        given(from_outside)


def test_a_model_that_leaves_out_what_was_used_is_refused(from_outside: Workspace) -> None:
    old, more = component_of(from_outside, f"{RELEASE}/mean/shard-2"), live_shards(from_outside)["shard-3"]
    from_outside.ledger.record(ComponentFact(replace(old, uses=(*old.uses, Use(more.digest, old.uses[-1].role)))))
    head = from_outside.ledger.head()
    with pytest.raises(WrongUse, match="is recorded to have used shard-3, which model toy-averages does not make it"):
        given(from_outside)
    assert from_outside.ledger.head() == head
