"""What MLflow is told of a model in words: parameters and tags of a training, the description of a version.

MLflow is a view of the ledger, and what goes there is on record for whoever can read the store: names of shards, what
the model file says, digests. Never an item, and nothing that stands in one.

>>> flat({"layout": "isolated", "columns": {"label": "y"}, "classes": [0, 1]})
{'layout': 'isolated', 'columns.label': 'y', 'classes': '[0, 1]'}
"""

import datetime as dt
import json
import subprocess
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.method import ModelSpec
from disgorge.tracking.client import metric_name
from disgorge.training.assemble import spec_of
from disgorge.training.model_file import functions_of
from lineage.ledger.state import reachable
from lineage.plural import counted
from lineage.records import Composition, Json, plain
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.training.make import Made

_PARAMETERS, _VALUE = 1_000, 500
"""Parameters of a run, and characters of each: the older of MLflow's servers take no longer ones."""
_DESCRIPTION = 5_000
"""Characters of a description that MLflow's databases keep."""
_GIT_SECONDS = 10


def parameters_of(spec: ModelSpec) -> dict[str, str]:
    """Return what a model file says, flattened: ``parameters.C`` is the C under ``parameters``."""
    every = {"device": spec.device, **plain(spec)}
    said = {name: value for name, value in every.items() if value not in (None, [], {})}
    given = said.pop("parameters", {})
    said |= given if functions_of(spec) else {"parameters": given}
    return flat(said)


def flat(values: Mapping[str, Json]) -> dict[str, str]:
    """Return the leaves of mappings by their paths, as MLflow takes parameters."""
    return {metric_name(name): text[:_VALUE] for name, text in islice(_leaves("", values), _PARAMETERS)}


def _leaves(before: str, values: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(f"{before}{name}.", value)
        else:
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)


def tags_of(spec: ModelSpec, made: "Made", model_file: Path | None) -> dict[str, str]:
    """Return which model file and code a training is of, by digest, and the commit of the folder that it lies in."""
    tags = {"release": spec.release, "method": spec.method}
    if codes := sorted({str(each.recipe["code"]) for each in made.components if "code" in each.recipe}):
        tags["disgorge.code"] = ", ".join(codes)
    if made.quality is not None:
        tags["disgorge.quality"] = made.quality.words
    if model_file is not None and model_file.is_file():
        tags["disgorge.model_file"] = sha256(model_file.read_bytes()).hexdigest()
        if commit := _commit(model_file.parent):
            tags["mlflow.source.git.commit"] = commit
    return tags


def _commit(folder: Path) -> str:
    """Return the commit that a folder's git repository is at, "" outside one."""
    command = ["git", "-C", str(folder.absolute()), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_GIT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def description_of(workspace: Workspace, composition: Composition) -> str:
    """Return what a version is made of, and which shards it learned from, by name; what is known of it now."""
    state, spec = workspace.ledger.state(), spec_of(composition)
    reached = set(reachable(
        [member.component for member in composition.members],
        lambda digest: [use.digest for use in state.influences.get(digest, ())],
    ))  # fmt: skip
    shards, artifacts = (
        sorted({name for name, digest in recorded if digest in reached}) for recorded in (state.shards, state.artifacts)
    )
    lines = [
        f"{spec.release}, made by {composition.method}: {counted(len(composition.members), 'component')}.",
        f"Learned from {counted(len(shards), 'shard')}: {', '.join(shards) or 'none'}.",
        *([f"Built on artifacts: {', '.join(artifacts)}."] if artifacts else []),
        f"Registered on {dt.datetime.now(dt.UTC).date()} by the Disgorge workspace {workspace.root.resolve()}; reports "
        f"on removals lie in its folder reports. `disgorge release show {spec.release}` says more.",
    ]
    return "\n\n".join(lines)[:_DESCRIPTION]
