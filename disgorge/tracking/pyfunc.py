"""A release as MLflow loads it: a pyfunc model from code that reads its components from the workspace.

:mod:`disgorge.tracking.registry` copies this file into every version's artifact, beside ``composition.json``: no
pickle. The model answers in the process that loads it, the user's own serving process; ``disgorge release predict`` and
examinations ask a confined process instead. The workspace is found by ``DISGORGE_WORKSPACE``, else where the version
was registered, else from the current folder upwards. Every component's bytes are checked against the digest in the
description: a purged one is an error.

::

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    model = mlflow.pyfunc.load_model("models:/digits-tangent@live")
    model.predict(frame)                       # class probabilities, (items, classes), of a data frame's rows
    model.predict({"image": images})           # or of arrays by field
    model.predict({"count": 4, "seed": 0})     # a generator's samples, (count, ...)
"""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from disgorge.method import UNRECORDED, Classifies, Items, Samples
from disgorge.training.stored import assemble
from lineage.errors import BadInput
from lineage.records import Composition, restore
from lineage.storage.content import RESERVED, as_field, as_objects
from lineage.workspace import Workspace


def items_from(model_input: Any) -> Any:
    """Return the items of a mapping, or a data frame, from field to an array or column of (items, ...).

    They are held as those of shards are. A column whose name no field of a shard may have is left out.
    """
    columns = dict(model_input.items()) if hasattr(model_input, "items") else None
    if not columns:
        raise BadInput('give a mapping or data frame from field to values, for example {"image": images}')
    arrays = {str(name): _field(str(name), column) for name, column in columns.items() if name not in RESERVED}
    sizes = {len(array) for array in arrays.values()}
    if len(sizes) != 1:
        raise BadInput(f"every field must have the same number of items, these have {sorted(sizes)}")
    return Items((UNRECORDED,) * sizes.pop(), arrays)  # what is asked about is not a recorded item


def _field(name: str, column: Any) -> Any:
    """Return a column as a shard holds it: numbers, times or text, bytes as they are, arrays stacked."""
    import numpy as np

    values = column.to_numpy() if hasattr(column, "to_numpy") else column
    first: Any = values[0] if len(values) else None
    if len(values) == 1 and isinstance(first, list) and first and all(isinstance(each, str) for each in first):
        values, first = first, first[0]  # MLflow makes one row of a mapping from fields to lists of text
    if isinstance(first, str):
        return as_field(name, list(values))
    if isinstance(first, bytes):
        return as_field(name, as_objects(values))
    if np.ndim(first):
        return as_field(name, np.stack([np.asarray(each) for each in values]))
    return as_field(name, values.tolist() if isinstance(values, np.ndarray) and values.dtype.hasobject else values)


def workspace_of(config: Mapping[str, Any] | None) -> Path:
    """Return the folder to look for the workspace in."""
    named = os.environ.get("DISGORGE_WORKSPACE")
    if named:
        return Path(named)
    registered = Path((config or {}).get("workspace", ""))
    return registered if (registered / ".disgorge").is_dir() else Path.cwd()


def release_model() -> Any:
    """Return the pyfunc model; MLflow is imported here, so that importing this module needs none."""
    from mlflow.pyfunc.model import PythonModel

    # While the class is made MLflow asks for type hints, through filters of its own: recorded, so not shown.
    with warnings.catch_warnings(record=True):

        class ReleaseModel(PythonModel):
            """A composition, assembled when it is loaded."""

            def load_context(self, context: Any) -> None:
                """Assemble the composition described beside this code."""
                text = Path(context.artifacts["composition"]).read_text(encoding="utf-8")
                workspace = Workspace.open(workspace_of(context.model_config))
                self.model = assemble(workspace, restore(Composition, json.loads(text)))

            # No type hints: MLflow would take them for a schema and turn arrays into lists.
            def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
                """Return class probabilities, or samples where the model is a generator."""
                if isinstance(self.model, Samples) and self.model.task == "generate":
                    import numpy as np

                    count, seed = (int(np.ravel(model_input[name])[0]) for name in ("count", "seed"))
                    return self.model.sample(count, seed=seed)
                if not isinstance(self.model, Classifies):
                    raise BadInput(f"a model made to {self.model.task} does not answer about items")
                return self.model.predict(items_from(model_input))

        return ReleaseModel()


def offer() -> None:
    """Give MLflow the model of this file."""
    from mlflow.models import set_model

    set_model(release_model())


if __name__ != "disgorge.tracking.pyfunc":  # MLflow runs its copy of this file under a name of its own
    offer()
