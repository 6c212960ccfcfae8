"""The signature and the input example of a served release, from the types of the columns that its model sees.

A signature has MLflow check what it is given, and drop columns that the model was not trained on. The types are those
of the first shard of the model whose content is stored; all whole numbers are ``long`` and all others ``double``, so
that a table as pandas reads it fits. The example has made-up values: an item of a shard is personal data, and a copy in
MLflow would be one more place that a removal had to find.

There is none for methods that do not name their columns; for columns of arrays (pictures), which MLflow takes in the
very type that was trained on and no other; for shards whose items lie in place; and for generators.
"""

from collections.abc import Mapping
from typing import Any

from disgorge.training.assemble import spec_of
from disgorge.training.model_file import columns_seen
from lineage.errors import LineageError
from lineage.records import Composition, Json
from lineage.storage.content import content_layout
from lineage.workspace import Workspace

_TYPES: dict[str, tuple[str, Json]] = {
    "str": ("string", "text"), "bytes": ("binary", ""), "b": ("boolean", False), "i": ("long", 0), "u": ("long", 0),
    "f": ("double", 0.0), "M": ("datetime", "2000-01-01T00:00:00"),
}  # fmt: skip
"""MLflow's name of a type of values, and a value of it, by the kind of a numpy type or by our name for it."""
EXAMPLE = "input_example.json"
SERVED_EXAMPLE = "serving_input_example.json"


def columns_of(workspace: Workspace, composition: Composition) -> dict[str, str] | None:
    """Return the columns that a composition's model sees, with their kinds of values; None where that is not known."""
    spec, state = spec_of(composition), workspace.ledger.state()
    live = {entry.record.name: entry.record for entry in state.shards.values() if entry.live}
    for shard in (live[name] for name in (*spec.shards, *spec.core) if name in live):
        try:
            layout = content_layout(workspace.content_path(shard.digest))
        except LineageError:  # damaged, or not here: nothing that serving rests on
            continue
        seen = columns_seen(spec, layout)
        kinds = {name: kind for name in seen if (kind := _kind(*layout[name]))}
        return kinds if len(kinds) == len(seen) else None
    return None


def _kind(dtype: str, shape: tuple[int, ...]) -> str:
    """Return what :data:`_TYPES` knows a column by, "" for one of arrays."""
    return "" if shape else dtype if dtype in _TYPES else dtype.lstrip("<|")[:1]


def signature_of(columns: Mapping[str, str]) -> Any:
    """Return MLflow's signature of these columns."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(Schema([ColSpec(_TYPES[kind][0], name) for name, kind in columns.items()]))


def example_of(columns: Mapping[str, str]) -> dict[str, Json]:
    """Return a row of made-up values, as MLflow writes a data frame."""
    return {"columns": list(columns), "data": [[_TYPES[kind][1] for kind in columns.values()]]}
