"""What a release answers on the command line."""

from pathlib import Path

import numpy as np

from lineage.catalog.catalog import Catalog
from lineage.recording import recording
from lineage.storage.content import read_content
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace
from tests import toys
from tests.disgorge.cli.conftest import RELEASE, fine, refused, untouched


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


ANSWERS = """
import numpy as np

def predict(parts, items, context):
    return np.tile([0.25, 0.75], (len(items), 1))
"""


def test_recorded_components_become_a_release_that_answers_and_that_requests_reach(workspace_folder: Path) -> None:
    workspace = Workspace.open()
    Path("mine_to_ask.py").write_text(ANSWERS)
    for place, name in enumerate(("shard-1", "shard-2")):
        with recording(workspace, kind="mine", name=f"mine-{name}", uses=[(name, "train")]) as component:
            component.save({"value": np.array([place])})
    composed = fine("release compose mine mine-shard-1 mine-shard-2 --predict mine_to_ask:predict --evaluate held-out")
    assert "mine/mine-shard-1  no recipe: dropped" in composed.out
    assert "released as mine@live\nnot measured: labels are no numbers from 0 to 1" in composed.out
    answered = fine("release predict mine held-out --json").json
    assert {each["class"] for each in answered["predictions"]} == {1}
    shown = fine("release show mine").out
    assert "shard-2 (train)" in shown
    assert "mine@live" in fine("trace mine-shard-2").out
    toys.file(Workspace.open(), [toys.person(workspace, "shard-2", 1)])
    assert "mine@live" in fine("request impact R-1").out


def test_a_release_without_a_function_answers_nothing_and_says_so(workspace_folder: Path) -> None:
    with recording(Workspace.open(), kind="mine", name="mine", uses=[("shard-1", "train")]) as component:
        component.save({"value": np.array([1])})
    assert "it answers nothing, because no --predict was named" in fine("release compose silent mine").out
    assert fine("release compose silent mine --json").json["components"] == ["silent/mine"]
    with untouched(workspace_folder):
        assert "silent cannot answer: it gives no probabilities" in refused("release predict silent held-out")
        refusals = {
            "release compose silent nothing": "no component 'nothing' is recorded",
            "release compose silent mine mine": "component mine is named twice",
            f"release compose {RELEASE} mine": f"release {RELEASE}@live is a trained model",
            "release compose silent mine --predict nowhere_at_all:ask": "no module 'nowhere_at_all'",
            "release compose a/b mine": "'a/b' is an invalid name",
            "release compose silent": "missing argument 'COMPONENT...'",
        }
        for typed, said in refusals.items():
            assert said in refused(typed), typed
