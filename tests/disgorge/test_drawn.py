"""What a generator drew for one request's report goes when another request removes what it may show."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.findings import Level
from disgorge.audit.rules import audit
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.locations.report_images import drawings, outlived
from disgorge.removal.dry_run import preview
from disgorge.report.compile import evidence_of, report_case
from disgorge.request.case import case_of, plan_of
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace
from tests.registered import register
from tests.toys import carry, granted_plan, person, populate, remove, residuals, toy_of, trained_toy


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A generator that knows its items by heart, trained."""
    from replaying import METHOD

    register(monkeypatch, METHOD)
    return trained_toy(tmp_path, method="replaying")


def pictures_of(shard: str, person_number: int) -> set[bytes]:
    """The pictures of one invented person."""
    images = toy_of("replaying", 3).items[shard].arrays["image"]
    return {image.tobytes() for image in images[3 * person_number : 3 * person_number + 3]}


def shown_by(workspace: Workspace) -> dict[str, dict[str, set[bytes]]]:
    """What is still there of the pictures of each request, before and after."""
    there = [each for each in drawings(workspace) if workspace.objects.path(each.samples).exists()]
    told: dict[str, Any] = {each.request: load_tensors(workspace.objects.get(each.samples)) for each in there}
    return {request: {side: {p.tobytes() for p in a} for side, a in found.items()} for request, found in told.items()}


def test_pictures_go_with_what_a_later_request_removes(workspace: Workspace) -> None:
    first = remove(workspace, [person(workspace, "shard-1", 0)])
    removed = pictures_of("shard-2", 0)
    assert removed & shown_by(workspace)["R-1"]["after"], "the pictures show what is not removed yet"
    plan = granted_plan(workspace, [person(workspace, "shard-2", 0)], request_id="R-2")
    (drawing,) = drawings(workspace)
    assert workspace.objects.path(drawing.samples) in preview(workspace, "R-2").paths
    second = carry(workspace, "R-2")
    assert shown_by(workspace).keys() == {"R-2"}, "its own report shows what was drawn before"
    assert not removed & shown_by(workspace)["R-2"]["after"]
    assert [words for words in residuals(second) if "the report of request R-1, in reports/R-1" in words]
    assert not [words for words in residuals(first) if "R-2" in words]
    assert plan.request == "R-2"
    assert not audit(workspace)
    shutil.rmtree(first.bundle)
    first.bundle.with_name("R-1.zip").unlink()
    (told,) = audit(workspace)
    assert (told.id, told.level, told.where) == ("DSG013", Level.NOTE, "reports/R-1"), "its deletion was asked for"


def test_pictures_of_a_model_that_never_learned_from_it_stay(workspace: Workspace) -> None:
    remove(workspace, [person(workspace, "shard-1", 0)])
    other = toy_of("averages", 3)
    apart = replace(other, items={f"other-{name}": items for name, items in other.items.items()})
    populate(workspace, apart, workspace.root.parent / "others")
    remove(workspace, [person(workspace, "other-shard-1", 0)], request_id="R-2")
    assert shown_by(workspace).keys() == {"R-1"}
    assert not outlived(drawings(workspace))


def test_what_was_put_back_is_a_residue(workspace: Workspace) -> None:
    remove(workspace, [person(workspace, "shard-1", 0)])
    (drawing,) = drawings(workspace)
    kept = workspace.objects.get(drawing.samples)
    remove(workspace, [person(workspace, "shard-2", 0)], request_id="R-2")
    assert workspace.objects.put(kept) == drawing.samples
    found = search(workspace, Target()).left
    assert found == (f"object {drawing.samples} holds pictures by a model that learned from withdrawn items",)


def test_an_earlier_report_is_written_again_without_them(workspace: Workspace) -> None:
    remove(workspace, [person(workspace, "shard-1", 0)])
    remove(workspace, [person(workspace, "shard-2", 0)], request_id="R-2")
    case = case_of(workspace, "R-1")
    again = report_case(workspace, plan_of(workspace, case), case, evidence_of(workspace, case.last_report.evidence))
    assert again.certificate is not None
    assert again.samples == {}
