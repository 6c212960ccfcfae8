"""One person has one pseudonym; one key is not another."""

from pathlib import Path

import numpy as np
import pytest

from lineage.catalog.catalog import Catalog
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Workspace

SPELLINGS = (
    "Zoë Müller",
    "Zoe\u0308 Mu\u0308ller",
    "zoë müller ",
    " ZOË  MÜLLER",
    "Zo\u200bë\u00a0Müller",
    "\uff3aoë Müller",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "workspace")


def test_whoever_is_spelled_in_several_ways_is_selected_whole(workspace: Workspace, tmp_path: Path) -> None:
    n = len(SPELLINGS)
    np.savez(
        tmp_path / "a.npz", key=np.arange(n + 1), subject=np.array([*SPELLINGS, "Zoë Miller"]), x=np.arange(n + 1.0)
    )
    add_shard(
        workspace, tmp_path / "a.npz", name="a", key="key", subject="subject", source="s", license="MIT",
        legal_basis="consent", check=False, dvc=False,
    )  # fmt: skip
    for spelled in SPELLINGS:
        with Catalog.of(workspace) as catalog:
            (found,) = catalog.selected([Selector("subject", workspace.pseudonym(spelled))]).values()
        assert len(found) == n


def test_names_in_one_spelling_keep_the_pseudonym_they_had(workspace: Workspace) -> None:
    assert workspace.pseudonym("zoë müller") == workspace.private.keyed("zoë müller")
    assert workspace.pseudonym("Zoë Müller") != workspace.private.keyed("Zoë Müller")


def test_what_is_no_spelling_at_all_is_not_everybody(workspace: Workspace) -> None:
    assert workspace.pseudonym("\u200b") != workspace.pseudonym("\u200d")


def test_keys_that_differ_in_case_are_two(workspace: Workspace) -> None:
    assert workspace.private.keyed("A-1") != workspace.private.keyed("a-1")
