"""What a release answers on the command line."""

from pathlib import Path

import numpy as np

from lineage.catalog.catalog import Catalog
from lineage.recording import recording
from lineage.storage.content import read_content
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import RELEASE, fine


def test_items_without_labels_are_answered_and_not_measured(workspace_folder: Path) -> None:
    workspace = Workspace.open()
    shard = fine("shard show shard-1 --json").json["shard"]["digest"]
    _, arrays = read_content(workspace.content_path(shard))
    np.savez("plain.npz", **{name: array for name, array in arrays.items() if name != "label"})
    answered = fine(f"release predict {RELEASE} plain.npz")
    assert answered.err == "warning: nothing is measured: items have no field 'label'\n"
    assert answered.out.startswith("item ")
    assert fine(f"release predict {RELEASE} plain.npz --json").json["measures"] == {}
    assert fine(f"release predict {RELEASE} shard-1").out.startswith("accuracy ")


def test_parts_of_a_release_are_called_as_the_release_calls_them(workspace_folder: Path) -> None:
    """Another component with the same bytes and a name that sorts later does not lend its name."""
    head = f"{RELEASE}/mean/shard-2"
    workspace = Workspace.open()
    with Catalog.of(workspace) as catalog:
        component = catalog.component(head)
    with recording(workspace, kind="mean", name="zzz", uses=[("shard-2", "train")]) as again:
        again.save(load_tensors(workspace.objects.get(component.digest)))
    shown = fine(f"release show {RELEASE}").out
    assert head in shown
    assert "zzz" not in shown
    assert "the same bytes as" in fine("trace", head).out


def test_what_else_serves_a_release_is_recorded_and_shown(workspace_folder: Path) -> None:
    place = "https://shop.example/predict"
    fine(f"release serve-at {RELEASE}", place, "--by", "Ada Example")
    again = fine(f"release serve-at {RELEASE}", place, "--by", "Ada Example", "--json").json
    assert (again["new"], again["place"]) == (False, place)
    assert place in fine(f"release show {RELEASE}").out
    assert [each["place"] for each in fine(f"release show {RELEASE} --json").json["served_at"]] == [place]
    assert place in fine("release list").out
    assert "Ada" not in (workspace_folder / ".disgorge" / "ledger.jsonl").read_text()
    fine(f"release serve-at {RELEASE}", place, "--stopped", "--by", "Ada Example")
    assert place not in fine("release list").out
    assert fine("release list --json").json[0]["served_at"] == []


def test_an_audit_says_that_no_registry_is_at_hand(workspace_folder: Path) -> None:
    ran = fine("audit")
    assert ran.out.splitlines()[0] == "no findings"
    assert "not looked at: models registered in MLflow" in ran.out
    told = fine("audit --json").json
    assert (told["findings"], len(told["not_looked_at"])) == ([], 1)
