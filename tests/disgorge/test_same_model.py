"""The check ``answers``: the recorded model is what a process lays out that knows the retained data's records alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.evidence.checks import Check, Examination, Verdict
from disgorge.examination.same_model import check_layout
from disgorge.request.stored_records import kept_record
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, members_of
from lineage.records import Component, Composition, Member, in_member_order
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.toys import RELEASE, carry, composition_of, granted_plan, live_shards, person, trained_toy

Model = tuple[Composition, tuple[Component, ...]]
PART = f"{RELEASE}/mean/shard-2"


@pytest.fixture
def models(workspace: Workspace) -> tuple[Model, Model]:
    """What the release was made of before a removal, and what it is made of after."""
    old = composition_of(workspace)
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    carry(workspace)
    new = composition_of(workspace)
    with Catalog.of(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
    return (old, members_of(old, known)), (new, members_of(new, known))


def judged(workspace: Workspace, before: Model, after: Model) -> Check:
    """The check on ``after``, where the second mean of ``before`` learned from what is removed."""
    learned = [each for each in before[1] if each.name == PART]
    runner = InProcessRunner(workspace)
    check, layout = check_layout(workspace, runner, RELEASE, after, learned=learned, shards=live_shards(workspace))
    assert len(layout) == check.n
    return check


def test_the_recorded_model_is_laid_out_and_the_old_one_is_told_from_it(
    workspace: Workspace, models: tuple[Model, Model]
) -> None:
    check = judged(workspace, *models)
    assert (check.verdict, check.value, check.n) == (Verdict.PASS, 0, 5)
    (control,) = check.controls
    assert (control.name, control.held, control.value) == ("positive", True, 1)


def test_the_old_model_in_the_place_of_the_new_one_fails(workspace: Workspace, models: tuple[Model, Model]) -> None:
    before, _ = models
    check = judged(workspace, before, before)
    assert check.verdict is Verdict.FAIL
    assert f"does not lay out {PART} by the recipe recorded" in check.answer


def test_a_model_that_cannot_be_told_from_the_old_one_is_inconclusive(
    workspace: Workspace, models: tuple[Model, Model]
) -> None:
    _, after = models
    check = judged(workspace, after, after)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert not check.controls[0].held


def test_a_part_that_came_out_with_its_old_bytes_is_told_by_its_old_recipe(
    workspace: Workspace, models: tuple[Model, Model]
) -> None:
    (old, were), after = models
    new = next(each for each in after[1] if each.name == PART)
    same = tuple(replace(each, digest=new.digest) if each.name == PART else each for each in were)
    check = judged(workspace, (old, same), after)
    assert (check.verdict, check.controls[0].held) == (Verdict.PASS, True)


def without(model: Model, name: str) -> Model:
    """A model that lacks a part."""
    composition, components = model
    members = tuple(member for member in composition.members if member.name != name)
    return replace(composition, members=members), tuple(each for each in components if each.name != name)


def test_parts_and_weights_are_those_laid_out(workspace: Workspace, models: tuple[Model, Model]) -> None:
    before, after = models
    lacking = judged(workspace, before, without(after, f"{RELEASE}/mean/shard-3"))
    assert lacking.detail["not laid out"] == [f"the model without {RELEASE}/mean/shard-3"]
    without_scale = judged(workspace, before, without(after, f"{RELEASE}/scale"))
    assert f"the model without {RELEASE}/scale" in without_scale.detail["not laid out"]
    composition, components = after
    heavier = in_member_order(replace(member, weight=2 * member.weight) for member in composition.members)
    check = judged(workspace, before, (replace(composition, members=heavier), components))
    assert check.detail["not laid out"] == ["its parts with the weights recorded"]
    more = replace(composition, members=(*composition.members, Member("toy-averages/hint", "0" * 64, 1.0)))
    assert judged(workspace, before, (more, components)).detail["not laid out"] == ["toy-averages/hint"]
    assert {lacking.verdict, without_scale.verdict, check.verdict} == {Verdict.FAIL}


def examined(folder: Path, **parameters: Any) -> tuple[str, dict[str, Check], Path]:
    """Remove a person from the second shard of the averages; return the verdict, the checks and the report."""
    workspace = trained_toy(folder, parameters=parameters)
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    done = carry(workspace)
    (*_, last) = workspace.ledger.facts("examination")
    checks = {check.name: check for check in kept_record(workspace, Examination, last.body["examination"]).checks}
    return done.verdict, checks, done.bundle


def test_reports_say_what_was_asked_about_and_how_many_answers_changed(tmp_path: Path) -> None:
    verdict, checks, bundle = examined(tmp_path)
    assert verdict == "certified"
    words = "Asked about 3 removed, 45 retained and 12 held-out items, each in a process of its own"
    assert words in checks["answers"].answer
    assert words in " ".join((bundle / "report.html").read_text().split())
    assert checks["utility"].n == 12
    evidence = json.loads((bundle / "evidence.json").read_text())
    assert {(each["shard"], each["n"]) for each in evidence["utility"]} == {("held-out", 12), ("retained", 45)}


def test_a_part_no_answer_depends_on_is_removed_with_a_certificate(tmp_path: Path) -> None:
    verdict, checks, _ = examined(tmp_path, idle=["shard-2"])
    assert verdict == "certified"
    assert "answer otherwise on 0 of 60" in checks["answers"].answer
    assert [(control.name, control.held) for control in checks["answers"].controls] == [("positive", True)]
