"""Two requests of one plan whose execution is killed: whichever of them is resumed, both end as if nothing had been.

The kills are those of :mod:`tests.campaigns.test_killed_removals`.
"""

import random

import pytest

from disgorge.request.case import docket
from lineage.workspace import Workspace
from tests.crash_harness.removals import removal
from tests.tier import amount


def test_a_joint_removal_killed_before_every_step() -> None:
    wanted = removal("together")
    assert wanted.plan.requests == ("R-1", "R-2")
    workspace_folder = wanted.copy("steps")
    for number, step in enumerate(wanted.plan.steps):
        assert wanted.kill(workspace_folder, request=f"R-{number % 2 + 1}", die_at_step=step.id)
    wanted.resume(workspace_folder, request="R-1")
    wanted.check(workspace_folder)


@pytest.mark.parametrize("number", range(amount(2, 24)))
def test_a_joint_removal_killed_inside_a_step(number: int) -> None:
    """Half of them where it hurts most: while the purge, or one of the two reports, is written."""
    wanted = removal("together")
    late = [place for place, (step, _, _) in enumerate(wanted.changes, 1) if "purge" in step or "report" in step]
    places = late if number % 2 else wanted.spread()
    workspace_folder, rng = wanted.copy(f"inside-{number}"), random.Random(number)
    assert wanted.kill(workspace_folder, die_at=rng.choice(places))
    if any(not case.closed for case in docket(Workspace.open(workspace_folder)).values()):
        wanted.resume(workspace_folder, request=f"R-{number % 2 + 1}")
    wanted.check(workspace_folder)
