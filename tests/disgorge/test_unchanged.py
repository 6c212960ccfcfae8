"""A part that comes out of a removal with the bytes it had: no failure where the run was confined, and said aloud."""

from pathlib import Path

import pytest

from disgorge.errors import ExecutionFailed
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.disgorge.test_reexecution import never_trained
from tests.toys import audited, carry, component_of, granted_plan, live_shards, person, trained_toy

CLASSES = "toy-averages/classes"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A model with a list of the classes that its shards have, trained in this process."""
    return trained_toy(tmp_path, parameters={"classes": True})


def test_classes_that_stay_as_they_were_are_unchanged_and_the_removal_is_certified(workspace: Workspace) -> None:
    before, old = component_of(workspace, CLASSES), live_shards(workspace)["shard-2"].digest
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    words: list[str] = []
    with Workers(workspace, count=1) as workers:
        done = carry(
            workspace, runner=workers, independent=lambda: Workers(workspace, count=1), on_words=words.append
        )  # fmt: skip
    assert done.verdict == "certified"
    assert f"{CLASSES} came out unchanged: the removed items did not influence it" in words
    after = component_of(workspace, CLASSES)
    assert after.digest == before.digest
    assert after.recipe != before.recipe
    assert {use.digest for use in before.uses} - {use.digest for use in after.uses} == {old}
    check = never_trained(workspace)
    assert check.detail["unchanged"] == [CLASSES]
    assert "1 came out unchanged: the removed items did not influence them" in check.answer
    assert workspace.objects.exists(before.digest)
    assert not [each for each in audited(workspace) if each[1] == "error"]


def test_the_same_bytes_of_a_run_that_was_not_confined_show_nothing(workspace: Workspace) -> None:
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    with pytest.raises(ExecutionFailed, match="the very same weights, in a run that was not confined"):
        carry(workspace)
