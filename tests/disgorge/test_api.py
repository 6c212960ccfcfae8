"""The public interface, called as a notebook would: what the command line's tests cannot type."""

from pathlib import Path

import numpy as np
import pytest

from disgorge import api
from disgorge.errors import WrongUse
from lineage.workspace import Workspace
from tests.toys import filed_and_decided, person


def test_a_text_that_is_given_for_several_is_one(workspace: Workspace, tmp_path: Path) -> None:
    """A lone text is a request or a file, and not its letters."""
    filed_and_decided(workspace, [person(workspace, "shard-2", 0)])
    assert api.plans.plan(workspace, "R-1").plan.requests == ("R-1",)
    np.savez(tmp_path / "more.npz", x=np.zeros((2, 3)), key=["a", "b"])
    (added,) = api.shards.add_shards(workspace, tmp_path / "more.npz", key="key", check=False)
    assert added.shard.name == "more"
    (checked,) = api.shards.check_shards(workspace, "more")
    assert checked.wrong is None


def test_an_unknown_level_of_verification_is_refused(workspace: Workspace) -> None:
    with pytest.raises(WrongUse, match="unknown level 'deep': use digests, attestations, ledger, reexecute"):
        api.checks.verify(workspace.root, level="deep")  # type: ignore[arg-type]
