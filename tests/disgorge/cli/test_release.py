"""What a release answers on the command line."""

from pathlib import Path

import numpy as np

from lineage.catalog import Catalog
from lineage.content import read_content
from lineage.ledger import Ledger
from lineage.objects import load_tensors
from tests.disgorge.cli.conftest import RELEASE, fine


def test_items_without_labels_are_answered_and_not_measured(workspace: Path) -> None:
    ledger = Ledger.open()
    shard = fine("shard", "show", "shard-1", "--json").json["shard"]["digest"]
    _, arrays = read_content(ledger.content_path(shard))
    np.savez("plain.npz", **{name: array for name, array in arrays.items() if name != "label"})
    answered = fine("release", "predict", RELEASE, "plain.npz")
    assert answered.err == "warning: nothing is measured: items have no field 'label'\n"
    assert answered.out.startswith("item ")
    assert fine("release", "predict", RELEASE, "plain.npz", "--json").json["measures"] == {}
    assert fine("release", "predict", RELEASE, "shard-1").out.startswith("accuracy ")


def test_parts_of_a_release_are_called_as_the_release_calls_them(workspace: Path) -> None:
    """Another component with the same bytes and a name that sorts later does not lend its name."""
    head = f"{RELEASE}/mean/shard-2"
    ledger = Ledger.open()
    with Catalog.of(ledger) as catalog:
        component = catalog.component(head)
    with ledger.recording(kind="mean", name="zzz", uses=[("shard-2", "train")]) as again:
        again.save(load_tensors(ledger.objects.get(component.digest)))
    shown = fine("release", "show", RELEASE).out
    assert head in shown
    assert "zzz" not in shown
    assert "the same bytes as" in fine("trace", head).out
