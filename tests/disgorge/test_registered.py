"""Models that were registered in MLflow beside this tool: in the audit, in the way of a certificate, in the report."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from disgorge.audit.findings import UNRECORDED_MODEL, Finding, Level
from disgorge.audit.rules import audit, not_looked_at
from disgorge.errors import CertificateRefused
from disgorge.release.places import record_place
from disgorge.release.serving import settle
from disgorge.removal.execute import Executed
from disgorge.report.bundle import verify_bundle
from disgorge.request.holds.hold import hold_request
from disgorge.tracking.client import Store, versions_of
from disgorge.tracking.registered import Registered, Touched, from_client, from_databases, unexplained
from disgorge.tracking.registry import Registry
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace
from tests import toys

PART = f"{toys.RELEASE}/mean/shard-3"


@pytest.fixture
def workspace(workspace: Workspace, database: Path) -> Workspace:
    """Return a trained toy that is registered, served, and copied by somebody to another model."""
    workspace = Workspace.open(workspace.root)  # at the hour that MLflow has
    shutil.copy(database, workspace.root / "mlflow.db")
    composition = toys.composition_of(workspace)
    Registry(Store(workspace.root)).adopt(toys.RELEASE, "live", composition)
    with Store(workspace.root).client() as client:
        client.create_registered_model("copy")
        run = next(iter(versions_of(client))).run_id
        tags = next(iter(versions_of(client))).tags
        client.create_model_version("copy", f"models:/{toys.RELEASE}/1", run_id=run, tags=tags)
    return workspace


def register(workspace: Workspace, name: str, *, alias: str = "", source: str = "", **parameters: str) -> str:
    """Register a model as a script beside this tool does, from a run with these parameters; return the version."""
    with Store(workspace.root).client() as client:
        experiment = client.get_experiment_by_name("beside")
        location = (workspace.root / "beside").as_uri()
        of = experiment.experiment_id if experiment else client.create_experiment("beside", artifact_location=location)
        run = client.create_run(of, run_name=f"fit {name}").info.run_id
        client.log_text(run, "weights in a format of their own", "model/model.txt")
        for key, value in parameters.items():
            client.log_param(run, key, value)
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        version = str(client.create_model_version(name, source or f"runs:/{run}/model", run_id=run).version)
        if alias:
            client.set_registered_model_alias(name, alias, version)
    return version


def delete(workspace: Workspace, name: str) -> None:
    """Delete a registered model."""
    with Store(workspace.root).client() as client:
        client.delete_registered_model(name)


def found(workspace: Workspace) -> list[Finding]:
    """Return what an audit finds in the registry."""
    return [finding for finding in audit(workspace) if finding.rule is UNRECORDED_MODEL]


def carried(workspace: Workspace, said: list[str]) -> Executed:
    """Carry R-1 out, and keep what is said to the person who runs it."""
    return toys.carry(workspace, registrar=Registry(Store(workspace.root)), on_words=said.append)


def test_a_model_registered_beside_is_a_warning_and_ours_is_none(workspace: Workspace) -> None:
    assert found(workspace) == []
    register(workspace, "shop", alias="champion")
    register(workspace, "shop")
    (finding,) = found(workspace)
    assert (finding.level, finding.where) == (Level.WARNING, "shop")
    assert "shop/1 (alias champion), shop/2" in finding.words
    delete(workspace, "shop")
    assert found(workspace) == []


def test_the_audit_reads_the_registry_without_mlflow(workspace: Workspace) -> None:
    register(workspace, "shop")
    code = (
        "import sys, pathlib; from disgorge.audit.rules import audit; from lineage.workspace import Workspace\n"
        "print([f.id for f in audit(Workspace.open(pathlib.Path(sys.argv[1])))])\n"
        "print(sorted({'mlflow', 'torch', 'sqlalchemy', 'dvc'} & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(workspace.root)], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["['DSG017']", "[]"]


def test_the_database_says_what_mlflow_says(workspace: Workspace) -> None:
    register(workspace, "shop", alias="champion", part=PART)
    register(workspace, "shop", source=f"/models/{PART}.pkl")
    with Store(workspace.root).client() as client:
        asked = list(from_client(client, list(versions_of(client))))
    file = workspace.root / "mlflow.db"
    key = lambda model: (model.name, model.version)  # noqa: E731
    same = [sorted(map(sorted_texts, models), key=key) for models in (asked, from_databases(file, file))]
    assert same[0] == same[1]
    assert [str(model) for model in unexplained(same[0], recorded(workspace))] == ["shop/1 (alias champion)", "shop/2"]


def sorted_texts(model: Registered) -> Registered:
    """Return a version with its texts in one order, each once and none empty."""
    return replace(model, texts=tuple(sorted(set(model.texts) - {""})))


def recorded(workspace: Workspace) -> list[str]:
    """Return the digests of the compositions that are served."""
    with Catalog.of(workspace) as catalog:
        return [release.composition for release in catalog.releases()]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (PART, True),
        (f"/models/{PART}.safetensors", True),
        ("/models/toy-averages_mean_shard-3.pkl", True),
        (f"{PART}0", False),
        (f"/models/not-{PART}", False),
        ("shard-3", False),
        (f"/objects/ab/{'ab' * 32}", True),
    ],
)
def test_what_names_a_component(text: str, named: bool) -> None:
    model = Registered("shop", "1", (), "", created=5.0, texts=(text,))
    what = Touched(frozenset({"ab" * 32}), {PART: 7.0}).named_by(model)
    assert (what is not None) == named


def test_a_name_that_any_path_may_hold_counts_alone() -> None:
    """MLflow itself calls what it logs ``model``."""
    path, alone = (Registered("shop", "1", (), "", 0.0, texts=(text,)) for text in ("runs:/1/model", "model"))
    names = Touched(names={"model": 7.0})
    assert (names.named_by(path), names.named_by(alone)) == (None, "model")


def test_a_name_that_was_made_anew_is_not_what_was_removed() -> None:
    model = Registered("shop", "1", (), "", created=8.0, texts=(PART,))
    assert Touched(names={PART: 7.0}).named_by(model) is None


def test_no_certificate_while_a_registered_model_names_what_goes(workspace: Workspace) -> None:
    """The run of the one names the removed part, the other one only stands in the report: in its first paragraph."""
    register(workspace, "shop", alias="champion")
    register(workspace, "old", part=PART)
    record_place(workspace, toys.RELEASE, "live", "https://shop.example/predict", by="ann")
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 0)])
    said: list[str] = []
    with pytest.raises(CertificateRefused, match=f"old/1 names {PART}"):
        carried(workspace, said)
    assert [words for words in said if "is served at https://shop.example/predict as well" in words]
    assert [words for words in said if "not stopped: old/1, shop/1 (alias champion)" in words]
    errors = [(finding.where, finding.level) for finding in found(workspace)]
    assert errors == [("old/1", Level.ERROR), ("shop", Level.WARNING)]
    delete(workspace, "old")
    done = carried(workspace, said)
    told = (
        "1 version of a model is registered in MLflow (shop/1 (alias champion)) that no recorded composition explains"
    )
    signed = toys.predicate(done.bundle)
    assert done.verdict == "certified"
    assert told in str(signed["certificate"])
    assert told in str(signed["caveats"])
    assert "is served at https://shop.example/predict as well" in str(signed["caveats"])
    assert told in verify_bundle(done.bundle).words
    page = (done.bundle / "report.html").read_text()
    assert told in page[: page.index("What was asked")]
    assert "shop/1" not in (workspace.home / "ledger.jsonl").read_text(), (
        "what somebody registered is not for the ledger"
    )
    register(workspace, "new", part=PART)  # trained again since, under the old name
    assert {finding.level for finding in found(workspace)} == {Level.WARNING}


def test_a_data_only_removal_speaks_of_recorded_models(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    toys.populate(workspace, toys.toy_of("averages", 3), tmp_path / "sources")
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 0)])
    done = toys.carry(workspace)
    assert done.verdict == "certified"
    page = (done.bundle / "report.html").read_text()
    assert "No recorded model learned from the items" in page
    assert "live model learned" not in page
    assert "Models registered in MLflow were not looked at" in page


def test_an_audit_says_where_it_did_not_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.init(tmp_path)
    assert found(workspace) == []
    assert "there is no store at hand" in not_looked_at(workspace)[0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example")
    assert not_looked_at(workspace) == ()
    (finding,) = found(workspace)
    assert (finding.level, "secret" in finding.words) == (Level.NOTE, False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    (finding,) = found(workspace)
    assert finding.level is Level.WARNING
    assert "were not looked at" in finding.words


def test_a_hold_that_stops_a_release_takes_aliases_set_by_hand_away(workspace: Workspace) -> None:
    """In MLflow's own store: the release's alias, one that somebody set on it, and one of a copy."""
    with Store(workspace.root).client() as client:
        client.set_registered_model_alias(toys.RELEASE, "champion", "1")
        client.set_registered_model_alias("copy", "shop", "1")
    toys.file(workspace, [toys.person(workspace, "shard-3", 1)], toys.GDPR, request_id="H-1")
    hold_request(workspace, "H-1", on=True, reason="litigation", serving="stop")
    registry = Registry(Store(workspace.root))
    stopped = settle(workspace, registry)
    assert stopped.stopped == [f"{toys.RELEASE}@live"]
    assert [words.partition(" served")[0] for words in stopped.words[:2]] == [
        "MLflow's alias copy@shop", f"MLflow's alias {toys.RELEASE}@champion",
    ]  # fmt: skip
    assert (registry.served(toys.RELEASE), registry.served("copy")) == ({}, {})
    hold_request(workspace, "H-1", on=False, reason="over")
    again = settle(workspace, registry)
    assert registry.served(toys.RELEASE) == {"live": toys.served(workspace, toys.RELEASE)}
    assert "MLflow's alias copy@shop was taken away" in again.words[0]
