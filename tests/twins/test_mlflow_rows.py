"""Done: a training script logs a person's row to MLflow: as parameter, tag, table, JSON, text, trace or dataset record.
Must: after the purge each is named with the way to delete it and stops the certificate; rows of others stop nothing.
Follows: mlflow/mlflow#24163
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disgorge.errors import CertificateRefused
from disgorge.locations.location import Spare, Target, Traces
from disgorge.locations.mlflow import Mlflow
from disgorge.tracking.client import Store
from disgorge.tracking.registry import Registry
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.shards.files import shard_rows
from lineage.shards.row_marks import RowMarks, marks_of
from lineage.workspace import Workspace
from tests import toys

ANN = {
    "key": "patient-17",
    "who": "Ann Lee",
    "mass": 81.25,
    "pulse": 61.75,
    "sugar": 5.125,
    "note": "fell at 7 Elm Street",
}
BOB = {
    "key": "patient-18",
    "who": "Bob Roe",
    "mass": 70.25,
    "pulse": 61.5,
    "sugar": 4.875,
    "note": "slept at 3 Oak Road",
}
COLUMNS = tuple(ANN)


class Study:
    """A workspace with a shard of Ann's and Bob's rows, of which Ann's goes, and an MLflow store."""

    def __init__(self, folder: Path, database: Path) -> None:
        self.workspace = Workspace.init(folder / "workspace")
        shutil.copy(database, self.workspace.root / "mlflow.db")
        rows = [",".join(map(str, row.values())) for row in (ANN, BOB)]
        (folder / "study.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
        add_shard(
            self.workspace, folder / "study.csv", name="study", key="key", subject="who", license="MIT", check=False
        )
        (shard,) = (entry.record for entry in self.workspace.ledger.state().shards.values())
        items = {row.digest for row in shard_rows(self.workspace, shard.digest) if row.key == ANN["key"]}
        names = {self.workspace.private.pseudonym(str(ANN["who"])): str(ANN["who"])}
        marks = marks_of(self.workspace, [shard.digest], items, names)
        self.target = Target((shard.digest,), items=frozenset(items), marks=marks)

    def log(self, how: str, row: dict[str, Any]) -> None:
        """Log a row in one of the ways of :data:`WAYS`."""
        with Store(self.workspace.root).client() as client:
            location = (self.workspace.root / "mlartifacts").as_uri()
            found = client.get_experiment_by_name("study")
            experiment = found.experiment_id if found else client.create_experiment("study", artifact_location=location)
            WAYS[how](client, experiment, row)

    def search(self) -> Traces:
        """Return what MLflow holds of Ann's row."""
        return Mlflow(self.workspace).search(self.target, Spare())


def in_run(log: Callable[[Any, str, dict[str, Any]], object]) -> Callable[[Any, str, dict[str, Any]], object]:
    """Log to a new run."""
    return lambda client, experiment, row: log(client, client.create_run(experiment).info.run_id, row)


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of a row, as a model is given them."""
    return {name: row[name] for name in ("mass", "pulse", "sugar")}


def trace(client: Any, experiment: str, row: dict[str, Any]) -> None:
    """Log a prediction's trace, as a user's script does."""
    import mlflow

    mlflow.set_tracking_uri(client.tracking_uri)
    span = client.start_trace("predict", inputs=numbers(row), experiment_id=experiment)
    client.end_trace(span.trace_id, outputs={"answer": "benign"})
    mlflow.flush_trace_async_logging()
    mlflow.set_tracking_uri(None)


def record(client: Any, experiment: str, row: dict[str, Any]) -> None:
    """Keep a row as a record of an evaluation dataset."""
    dataset = client.create_dataset(f"cases {row['key']}", experiment_id=experiment)
    client._tracking_client.store.upsert_dataset_records(dataset.dataset_id, [{"inputs": {"note": row["note"]}}])


WAYS: dict[str, Callable[[Any, str, dict[str, Any]], object]] = {
    "parameters": in_run(lambda client, run, row: [client.log_param(run, *pair) for pair in numbers(row).items()]),
    "a tag": in_run(lambda client, run, row: client.set_tag(run, "worst case", f"{row['who']}, twice")),
    "a table": in_run(
        lambda client, run, row: client.log_table(run, {k: [v] for k, v in numbers(row).items()}, "worst.json")
    ),
    "a table in Parquet": in_run(
        lambda client, run, row: client.log_table(run, {k: [v] for k, v in numbers(row).items()}, "worst.parquet")
    ),
    "JSON": in_run(lambda client, run, row: client.log_dict(run, {"note": row["note"]}, "notes/worst.json")),
    "text": in_run(lambda client, run, row: client.log_text(run, f"worst is {row['key']}: why?", "log.txt")),
    "a trace": trace,
    "a dataset's record": record,
}


@pytest.fixture
def study(tmp_path: Path, database: Path) -> Study:
    """Return a workspace with the rows of two persons."""
    return Study(tmp_path, database)


@pytest.mark.parametrize("how", WAYS)
def test_a_row_in_mlflow_is_named_and_the_row_of_another_is_not(study: Study, how: str) -> None:
    study.log(how, BOB)
    assert (study.search().left, study.search().unreachable) == ((), ())
    study.log(how, ANN)
    found = study.search()
    assert found.left, how
    assert all("removed rows stand in MLflow's " in words and "; delete" in words for words in found.left)
    assert all("Ann" not in words and "Elm" not in words for words in found.left)


def test_a_removal_is_refused_until_the_row_is_deleted(workspace: Workspace, database: Path) -> None:
    shutil.copy(database, workspace.root / "mlflow.db")
    store = Store(workspace.root)
    registry = Registry(store)
    with store.client() as client:
        experiment = client.create_experiment("beside", artifact_location=(workspace.root / "beside").as_uri())
        run = client.create_run(experiment).info.run_id
        client.set_tag(run, "worst", "shard-3-0 of 12")
        client.set_tag(run, "best", "shard-1-0 of 12")
    toys.granted_plan(workspace, [Selector("shard", "shard-3")])
    with pytest.raises(CertificateRefused, match=rf"removed rows stand in MLflow's tags of run {run}; delete the tag"):
        toys.carry(workspace, registrar=registry)
    with store.client() as client:
        client.delete_tag(run, "worst")
    assert toys.carry(workspace, registrar=registry).verdict == "certified"


def test_marks_tell_nobody_the_values(study: Study) -> None:
    kept = json.dumps(dict(study.target.marks))
    assert kept.count(":") > 6
    assert not any(str(value) in kept for value in ANN.values())


@pytest.mark.parametrize(
    ("text", "is_her"),
    [
        ("mass,pulse,sugar\n81.25,61.75,5.125\n", True),
        ("mass,pulse,sugar\n81.25,61.75,5.5\n70.25,1.0,5.125\n", False),
        ('{"who": "ann  LEE"}', True),
        ('{"note": "\\u0066ell at 7 Elm Street, she says"}', True),
        ("patient-170 and patient-1", False),
        ("ann, lee and others", False),
        (" ".join(f"{number / 1000:.3f}" for number in range(0, 100_000, 25)), False),
    ],
)
def test_what_is_her_row_and_what_is_chance(study: Study, text: str, is_her: bool) -> None:
    assert RowMarks(study.workspace.private.keyed, study.target.marks).stand_in(text) is is_her
