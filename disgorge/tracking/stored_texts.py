"""What stands inside an MLflow store: parameters, tags, traces, records of evaluation datasets, and any other text.

A store in a database is read by every table that the installed MLflow has, so that what a later version keeps is looked
into as well. A folder of ``mlruns`` is files, which are looked into as artifacts are. Of a server only parameters and
tags of runs are asked for. What a database has deleted and not yet overwritten is not seen.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_PARTS = ("key", "param_key", "tag_key", "metric_name", "span_id")
"""Columns that tell parts of one thing apart: what has the same key but for these is one record."""
_KINDS = {
    "params": ("parameters of run", "delete the run, and then `mlflow gc --run-ids` it"),
    "tags": ("tags of run", "delete the tag"),
    "spans": ("trace", "delete it with `MlflowClient.delete_traces`"),
    "trace_info": ("trace", "delete it with `MlflowClient.delete_traces`"),
    "trace_tags": ("tags of trace", "delete the tag"),
    "trace_request_metadata": ("trace", "delete it with `MlflowClient.delete_traces`"),
    "evaluation_dataset_records": (
        "record of an evaluation dataset",
        "delete it with `EvaluationDataset.delete_records`",
    ),
    "logged_model_params": ("parameters of logged model", "delete the logged model, and then run `mlflow gc`"),
}
"""What a table holds in words, and how it is deleted."""
_LONGEST = 1 << 20
"""Characters of one record that are handed out at once."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text of a store: what it belongs to, how that is deleted, and what stands in it."""

    what: str
    remedy: str
    text: str


def stored_texts(client: Any, blind: list[str]) -> Iterator[StoredText]:
    """Yield every text of a client's stores; in words to ``blind`` what could not be asked for."""
    stores = {id(store): store for store in (client._tracking_client.store, client._get_registry_client().store)}
    engines = {str(store.engine.url): store.engine for store in stores.values() if hasattr(store, "engine")}
    for engine in engines.values():
        yield from _of_database(engine)
    if any(not hasattr(store, "engine") and not hasattr(store, "root_directory") for store in stores.values()):
        blind.append("what traces, datasets and models of MLflow's server say was not looked into")


def _of_database(engine: Any) -> Iterator[StoredText]:
    from mlflow.store.db.base_sql_model import Base
    from sqlalchemy import JSON, String, inspect, select

    there = set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        for table in (table for table in Base.metadata.sorted_tables if table.name in there):
            texts = [column for column in table.columns if isinstance(column.type, (String, JSON))]
            keys = [column for column in table.primary_key.columns if column.name not in _PARTS]
            if not texts or not keys:
                continue
            kind, remedy = _KINDS.get(table.name, (table.name.replace("_", " "), "delete it there"))
            rows = connection.execution_options(yield_per=1000).execute(select(*keys, *texts).order_by(*keys))
            for identity, text in _records(rows, len(keys)):
                yield StoredText(f"{kind} {'/'.join(map(str, identity))}", remedy, text)


def _records(rows: Any, keys: int) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield identity and text of each record, which may be several rows."""
    identity: tuple[Any, ...] | None = None
    parts: list[str] = []
    for row in rows:
        if tuple(row[:keys]) != identity or sum(map(len, parts)) > _LONGEST:
            if identity is not None:
                yield identity, " ".join(parts)
            identity, parts = tuple(row[:keys]), []
        parts += (_plain(value) for value in row[keys:] if value is not None)
    if identity is not None:
        yield identity, " ".join(parts)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
