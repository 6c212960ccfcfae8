"""What people chose parameters and code on: named wherever its items are asked for, and no training takes it back."""

from dataclasses import replace
from pathlib import Path

import pytest

from disgorge import api
from disgorge.plan.shown import plan_shown
from disgorge.release.train import train_release
from disgorge.removal.fulfilled_by import close_fulfilled
from disgorge.request.case import case_of, plan_of
from disgorge.tracking.registry import Registrar
from lineage.errors import UnknownRecord
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.toys import (
    bytes_by_name,
    carry,
    filed_and_decided,
    granted_plan,
    person,
    predicate,
    remove,
    residuals,
    toy_of,
    trained_toy,
)

RELEASE = "toy-function"
SAID = (
    "The parameters and code of toy-function@live were chosen on held-out, as its model file says. Training again does "
    "not undo that choice; only a person can choose anew."
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A model of functions whose parameters were chosen on a shard that it does not learn from."""
    parameters = {**toy_of("function", 3).spec.parameters, "chosen_on": ["held-out"]}
    return trained_toy(tmp_path, method="function", parameters=parameters)


def test_a_removal_names_what_was_chosen_on_its_items_from_the_trace_to_the_report(workspace: Workspace) -> None:
    assert api.lineage.trace(workspace, "held-out-4").choices == (SAID,)
    assert api.lineage.trace(workspace, RELEASE, up=True).choices == (SAID,)
    before = bytes_by_name(workspace, RELEASE)
    granted_plan(workspace, [Selector("key", "held-out-4")])
    touched = api.lineage.impact(workspace, "R-1")
    assert touched.impact.affected == (), "no component learned from it"
    assert touched.choices == (SAID,)
    plan = plan_of(workspace, case_of(workspace, "R-1"))
    assert f"for a person: {SAID}" in [*plan_shown(plan)]
    done = carry(workspace)
    assert SAID in residuals(done)
    assert SAID in " ".join((done.bundle / "report.html").read_text().split())
    assert bytes_by_name(workspace, RELEASE) == before


def test_of_other_items_only_the_report_on_the_release_says_so(workspace: Workspace) -> None:
    assert api.lineage.trace(workspace, "shard-1-0").choices == ()
    granted_plan(workspace, [person(workspace, "shard-1", 0)])
    assert plan_of(workspace, case_of(workspace, "R-1")).choices == ()
    assert SAID in residuals(carry(workspace))


def test_a_request_that_another_removal_fulfilled_says_so_too(workspace: Workspace) -> None:
    filed_and_decided(workspace, [person(workspace, "held-out", 1)], request_id="R-2")
    remove(workspace, [Selector("shard", "held-out")])
    written = close_fulfilled(workspace, "R-2", by_request="R-1", registrar=Registrar())
    assert SAID in predicate(written.bundle)["caveats"]["this_removal"]


def test_a_shard_that_never_was_chose_nothing(workspace: Workspace) -> None:
    spec = toy_of("function", 3).spec
    spec = replace(spec, parameters={**spec.parameters, "chosen_on": ["heldout"]})
    with pytest.raises(UnknownRecord, match=r"names 'heldout', which no live shard is called; did you mean 'held-out'"):
        train_release(workspace, spec, InProcessRunner(workspace), registrar=Registrar())
