"""``disgorge attest`` as it is typed: what is printed, which exit code, what is refused in one line.

Jobs run in processes of their own here, confined as closely as this machine can.
"""

import re
from pathlib import Path

import pytest

from disgorge.training.sandbox.levels import reached
from lineage.ledger.fact_kinds import ReleaseContainedFact
from lineage.recording import recording
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace
from tests import toys
from tests.disgorge.attestation.by_hand import elsewhere, serve
from tests.disgorge.cli.conftest import RELEASE, fine, refused, run, untouched

MEAN = f"{RELEASE}/mean/shard-2"
MODEL = (
    f"release: {RELEASE}\nmethod: averages\ncore: [core]\nshards: [shard-1, shard-2, shard-3, shard-4]\n"
    "evaluate: [held-out]\nseed: 3\n"
)
SAID = f"warning: {MEAN}: the recorded bytes are not what its recipe makes here"


def attested(workspace_folder: Path) -> int:
    """How many runs are attested."""
    return len(list(Workspace.open(workspace_folder).ledger.facts("attested")))


def test_components_are_run_attested_and_shown(workspace_folder: Path) -> None:
    """The toy was trained in this process, which nothing confined."""
    level, before = reached().level, attested(workspace_folder)
    ran = fine(f"attest {RELEASE}")
    assert f"ran {MEAN} in " in ran.out
    assert f"confinement: {level}" in ran.out
    assert (ran.err, attested(workspace_folder)) == ("", before + 5)
    told = fine(f"attest {RELEASE}@live --again --json").json
    assert (told["left_out"], len(told["components"])) == ([], 5)
    for component in told["components"]:
        assert (component["problem"], component["standing"]["level"]) == (None, level)
        assert component["standing"]["reproducible"]
        assert component["standing"]["shown_by"].endswith("equal bits")
    with untouched(workspace_folder):
        fine("attest --again")


def test_other_bytes_end_with_1_and_in_another_environment_with_4(workspace_folder: Path) -> None:
    workspace = Workspace.open()
    serve(workspace, "mean/shard-2", digest=workspace.objects.put(b"other bytes"))
    ran = run("attest")
    assert (ran.code, ran.err) == (1, f"{SAID}\n")
    toys.rewrite(workspace, elsewhere)
    ran = run("attest --json")
    assert ran.code == 4
    assert ran.err.startswith(f"{SAID}; this environment is not the recorded one: machine was pdp11 and is ")
    (problem,) = (each["problem"] for each in ran.json["components"] if each["problem"])
    assert problem["elsewhere"][0].startswith("machine was pdp11")


def test_what_is_contained_or_has_no_recipe_is_named(workspace_folder: Path) -> None:
    workspace = Workspace.open()
    serve(workspace, "mean/shard-2", digest=workspace.objects.put(b"other bytes"), recipe={})
    ran = fine("attest")
    assert f"{MEAN}: it has no recipe, and is shown by the operator's record" in ran.err
    assert len(ran.err.splitlines()) == 1
    workspace.ledger.record(ReleaseContainedFact(RELEASE, "live", "R-1"))
    with untouched(workspace_folder):
        assert f"release {RELEASE}@live is contained" in refused(f"attest {RELEASE}", code=1)
        ran = fine("attest")
        assert ran.out.startswith("no component is served")
        assert ran.err.startswith(f"warning: release {RELEASE}@live is contained")


@pytest.fixture
def alien(workspace_folder: Path) -> Workspace:
    """A component with the bytes of the toy's, recorded by other code, without recipe and environment."""
    workspace = Workspace.open()
    weights = load_tensors(workspace.objects.get(toys.component_of(workspace, MEAN).digest))
    uses = [("shard-2", "train"), (f"{RELEASE}/scale", "initialize")]
    with recording(workspace, kind="array", name=f"{RELEASE}/mean/shard-2", uses=uses) as component:
        component.save(weights)
    Path("m.yaml").write_text(MODEL)
    Path("other.yaml").write_text(MODEL.replace("seed: 3", "seed: 4"))
    return workspace


def test_a_component_from_outside_is_given_the_recipe_that_makes_it(alien: Workspace) -> None:
    assert toys.component_of(alien, MEAN).recipe == {}
    ran = run(f"attest --component {MEAN} --recipe other.yaml")
    assert (ran.code, ran.err) == (
        4,
        f"{SAID}; what differs first is tensor 'sums'; this environment is not the recorded one: the environment of "
        "its training was not recorded\n",
    )
    assert toys.component_of(Workspace.open(), MEAN).recipe == {}
    assert fine(f"attest --component {MEAN} --recipe m.yaml").err == ""
    given = toys.component_of(Workspace.open(), MEAN)
    assert (given.recipe["kind"], bool(given.environment)) == ("mean", True)


def test_other_bytes_are_measured_and_take_its_place_when_a_person_accepts_them(alien: Workspace) -> None:
    before, served = toys.component_of(alien, MEAN), toys.composition_of(alien)
    ran = run(f"attest --component {MEAN} --recipe other.yaml")
    typed = re.search(r"`disgorge (attest --component \S+ --accept \w+) --by NAME`", ran.out)
    assert typed is not None
    assert re.search(r"held-out +accuracy +\d\.\d{4} +\d\.\d{4}\n", ran.out)
    told = run(f"attest --component {MEAN} --recipe other.yaml --json").json
    assert told["measured"][0]["recorded"].keys() == told["measured"][0]["made"].keys() != set()
    with untouched(alien.root):
        assert "--by must be a name on one line; say who accepts it" in refused(typed[1])
        assert "--accept goes with --component and --by alone" in refused(f"{typed[1]} --by ann --recipe m.yaml")
        assert "no run of the recipe of" in refused(f"attest --component {MEAN} --accept abcdef --by ann")
    assert toys.composition_of(Workspace.open()) == served
    out = fine(f"{typed[1]} --by ann").out
    after = toys.component_of(Workspace.open(), MEAN)
    assert after.digest == told["beside"]["digest"] != before.digest
    assert out.splitlines() == [
        f"{MEAN} is {after.digest[:12]} from here on, and was {before.digest[:12]}, which stays recorded",
        f"released in {RELEASE}@live",
    ]
    assert after.digest in {each.component for each in toys.composition_of(Workspace.open()).members}


def test_what_does_not_fit_together_is_refused_in_one_line(alien: Workspace) -> None:
    Path("bad.yaml").write_text("- a\n")
    Path("less.yaml").write_text(MODEL.replace("shard-2, ", ""))
    refusals = {
        "attest nothing": "no release nothing@live",
        "attest ''": "no release @live",
        f"attest {RELEASE}@other": f"no release {RELEASE}@other",
        f"attest --component {MEAN}": f"component {MEAN} has no recipe; name the model that makes it, --recipe MODEL",
        "attest --recipe m.yaml": "--recipe is that of one component; name it with --component",
        "attest --accept abc --by ann": "--accept goes with --component and --by alone",
        f"attest {RELEASE} --component {MEAN} --recipe m.yaml": "--component is about one component",
        f"attest --again --component {MEAN} --recipe m.yaml": "--component is about one component",
        f"attest --component {MEAN} --recipe none.yaml": "none.yaml",
        f"attest --component {MEAN} --recipe bad.yaml": "bad.yaml: a model is a mapping",
        f"attest --component {MEAN} --recipe less.yaml": f"model {RELEASE} lays out no {MEAN}; it lays out ",
        "attest --component nothing --recipe m.yaml": "no component 'nothing' is recorded",
    }
    for typed, said in refusals.items():
        with untouched(alien.root):
            assert said in refused(typed), typed
