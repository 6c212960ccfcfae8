"""One person has one pseudonym; one key is not another."""

from pathlib import Path

import numpy as np
import pytest

from lineage.catalog.catalog import Catalog
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Ledger

SPELLINGS = (
    "Zoë Müller",
    "Zoe\u0308 Mu\u0308ller",
    "zoë müller ",
    " ZOË  MÜLLER",
    "Zo\u200bë\u00a0Müller",
    "\uff3aoë Müller",
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty workspace."""
    return Ledger.init(tmp_path / "workspace")


def test_whoever_is_spelled_in_several_ways_is_selected_whole(ledger: Ledger, tmp_path: Path) -> None:
    n = len(SPELLINGS)
    np.savez(
        tmp_path / "a.npz", key=np.arange(n + 1), subject=np.array([*SPELLINGS, "Zoë Miller"]), x=np.arange(n + 1.0)
    )
    add_shard(
        ledger, tmp_path / "a.npz", name="a", key="key", subject="subject", source="s", license="MIT",
        legal_basis="consent", check=False, dvc=False,
    )  # fmt: skip
    for spelled in SPELLINGS:
        with Catalog.of(ledger) as catalog:
            (found,) = catalog.selected([Selector("subject", ledger.pseudonym(spelled))]).values()
        assert len(found) == n


def test_names_in_one_spelling_keep_the_pseudonym_they_had(ledger: Ledger) -> None:
    assert ledger.pseudonym("zoë müller") == ledger.keyed("zoë müller")
    assert ledger.pseudonym("Zoë Müller") != ledger.keyed("Zoë Müller")


def test_what_is_no_spelling_at_all_is_not_everybody(ledger: Ledger) -> None:
    assert ledger.pseudonym("\u200b") != ledger.pseudonym("\u200d")


def test_keys_that_differ_in_case_are_two(ledger: Ledger) -> None:
    assert ledger.keyed("A-1") != ledger.keyed("a-1")


def test_whom_an_older_version_recorded_is_found_by_the_spelling_it_recorded(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from disgorge.cli.request.filing import selectors_from

    np.savez(tmp_path / "a.npz", key=np.arange(2), subject=np.array(["Ann Lee", "bob"]), x=np.arange(2.0))
    with monkeypatch.context() as older:
        older.setattr("lineage.private.one_spelling", lambda name: name)
        add_shard(
            ledger, tmp_path / "a.npz", name="a", key="key", subject="subject", source="s", license="MIT",
            legal_basis="consent", check=False, dvc=False,
        )  # fmt: skip
    with Catalog.of(ledger) as catalog:
        (found,) = catalog.selected(selectors_from(ledger, {"subject": "Ann Lee"})).values()
        assert len(found) == 1
        assert not catalog.selected(selectors_from(ledger, {"subject": "ANN LEE"}))
    assert len(selectors_from(ledger, {"subject": "bob"})) == 1
