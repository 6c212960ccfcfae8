"""What learned from what, as people read it: sorted, by one name each, references of probes counted."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from disgorge.layout import component_name, reference_release
from lineage.recording import recording
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import RELEASE, filed, fine, refused, untouched

SVG = "{http://www.w3.org/2000/svg}"
HEAD = f"{RELEASE}/mean/shard-2"
REFERENCE = component_name(reference_release(RELEASE, 1), "mean/shard-2")


def recorded(workspace_folder: Path, name: str, tensor: float) -> None:
    """Record a component that learned from shard-2."""
    with recording(Workspace.open(workspace_folder), kind="mean", name=name, uses=[("shard-2", "train")]) as component:
        component.save({"mean": np.array([tensor], dtype=np.float32)})


def test_references_are_counted_and_listed_when_asked_for(workspace_folder: Path) -> None:
    recorded(workspace_folder, REFERENCE, 1)
    shown = fine("trace shard-2 --down").out
    assert HEAD in shown
    assert REFERENCE not in shown
    assert "and 1 component of references that probes compare with (--all lists them)\n" in shown
    assert REFERENCE in fine("trace shard-2 --down --all").out
    assert REFERENCE in fine("trace shard-2 --down --json").out
    assert REFERENCE in fine("trace", REFERENCE).out
    filed("R-1")
    for verb in ("shard show shard-2", "request impact R-1"):
        assert REFERENCE not in fine(verb).out
        assert "and 1 component of references" in fine(verb).out
        assert REFERENCE in fine(verb, "--all").out
        assert REFERENCE in fine(verb, "--json").out


def test_what_is_called_like_a_reference_and_is_served_is_never_left_out(workspace_folder: Path) -> None:
    """A name alone hides nothing: what a release is made of is shown whatever it is called."""
    from disgorge.api.lineage import apart
    from lineage.catalog.trace import Edge, Node, Trace

    odd = Node("c1", "component", REFERENCE, "live", "mean")
    release = Node("m@live", "release", "m@live", "live", "")
    served = Trace("c1", (odd, release), (Edge("c1", "m@live", "member"),))
    assert apart(served) == (served, 0)


def test_a_drawing_has_what_the_table_has(workspace_folder: Path) -> None:
    recorded(workspace_folder, REFERENCE, 1)
    fine("trace shard-2 --down --svg trace.svg")
    root = ElementTree.parse("trace.svg").getroot()
    assert root.tag == f"{SVG}svg"
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert any(HEAD in title for title in titles)
    assert not any(REFERENCE in title for title in titles)
    fine("trace shard-2 --down --all --svg trace.svg")
    assert REFERENCE in Path("trace.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shard-2", "--up"), "it learned from nothing that is recorded\n"),
        ((f"{RELEASE}@live", "--down"), "nothing recorded learned from it\n"),
    ],
)
def test_that_there_is_nothing_is_said_for_the_way_asked(
    workspace_folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert fine("trace", *arguments).out.endswith(said)


def test_a_person_is_traced_by_name_and_told_by_name(workspace_folder: Path) -> None:
    person = "shard-2-person-1"
    assert HEAD in fine("trace", person, "--subject").out
    with untouched(workspace_folder):
        said = refused("trace 'Nobody Known' --subject")
        assert said.startswith("no item of a live shard is recorded as one of 'Nobody Known'; check the name")
        assert "--subject takes the name of a person" in refused("trace", person)


def test_every_way_is_json(workspace_folder: Path) -> None:
    for start in ("shard-2", HEAD, f"{RELEASE}@live", "shard-2-0"):
        found = json.loads(fine("trace", start, "--json").out)
        assert {"start", "nodes", "edges", "choices"} == set(found)
        assert found["edges"]


def test_a_foreign_component_is_told_to_whoever_serves_it(workspace_folder: Path) -> None:
    """Recorded by somebody's own training and in no release: copies of it may be served elsewhere."""
    recorded(workspace_folder, "mine", 1)
    recorded(workspace_folder, REFERENCE, 2)
    filed("R-1")
    fine("request decide R-1")
    shown = fine("request plan R-1").out
    assert "note: in no release here, and destroyed: mine. Stop serving copies of it elsewhere.\n" in shown
