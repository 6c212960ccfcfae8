"""What the stages of ``dvc.yaml`` run: the digits of the demo as a DVC pipeline, up to the audit.

    python -m examples.digits.pipeline ingest            # a workspace with every shard, each checked
    python -m examples.digits.pipeline train MODEL       # MODEL is a key under ``models`` in params.yaml
    python -m examples.digits.pipeline audit             # exit 1 if there is a finding

Run from the repository's root, as DVC does. A model is ``examples/digits/MODEL.yaml`` with the seed and the parameters
of ``params.yaml`` laid over it; as they are shipped they change nothing, so this is the demo's example and not another.
The verbs are the command line's own. What ``dvc.yaml`` calls outputs are receipts, for the reason it gives: values
read back from the ledger, without times, so that doing a stage again writes the same bytes.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path

import yaml

from disgorge.cli.app import app
from disgorge.errors import BadModel, DisgorgeError
from disgorge.method import ModelSpec
from disgorge.release.train import release_of, shards_for
from disgorge.training.model_file import model_spec
from disgorge.training.stored import assemble, read_items
from disgorge.training.torch_settings import torch_set
from examples.digits.data import CORE, HELD_OUT, write_digits
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.records import Composition, Json, plain
from lineage.shards.add import live_shards
from lineage.storage.objects import write_atomically
from lineage.workspace import FOLDER, Workspace
from policies.errors import PolicyError
from policies.packs.strict_yaml import read_yaml

MODELS = Path("examples/digits")
PARAMS = Path("params.yaml")
WORKSPACE = Path("build/digits")
KEYS = {"method", "parameters", "seed"}
COLUMNS = ("--key", "key", "--subject", "subject", "--source-column", "source", "--license-column", "license")
DECIMALS = 4
"""Of a metric. Digits beyond it differ between processors and say nothing about 255 held-out images."""


def ingest() -> None:
    """Make the workspace unless it is there, add every shard it lacks, and write the receipt of all.

    The files that are read are made in a folder that goes again: beside the shards they would be a second copy of
    every item, which no removal knows of.
    """
    make_workspace()
    with tempfile.TemporaryDirectory() as folder:
        files = {name: path.resolve() for name, path in write_digits(Path(folder)).items()}
        for name, path in files.items():
            disgorge("shard", "add", str(path), "--name", name, *COLUMNS, *_terms(name))
    recorded = [plain(shard) for shard in live_shards(Workspace.open(WORKSPACE)) if shard.name in files]
    _write("receipts/shards.json", {shard["name"]: shard for shard in recorded})


def make_workspace() -> None:
    """Make a workspace that is a DVC repository of its own, so that a shard has a DVC hash and can be purged there."""
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    if not (WORKSPACE / ".dvc" / "config").exists():
        for command in (("init", "--quiet", "--no-scm"), ("config", "core.analytics", "false")):
            environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
            subprocess.run([sys.executable, "-m", "dvc", *command], cwd=WORKSPACE, check=True, env=environment)
    if not (WORKSPACE / FOLDER).exists():
        disgorge("init")


def train(name: str) -> None:
    """Train what is missing of a model, release it, and write its receipt and its metrics."""
    spec = described(name)
    file = Path("models") / f"{name}.yaml"
    _write(file, yaml.safe_dump(plain(spec), sort_keys=False))
    disgorge("train", str(file))
    workspace = Workspace.open(WORKSPACE)
    release = release_of(workspace, spec.release, spec.alias)
    if release is None:
        raise BadModel(f"{spec.release}@{spec.alias} is not in the ledger; run `dvc repro --force train@{name}`")
    with Catalog.of(workspace) as catalog:
        composition = catalog.composition(release.composition)
    _write(f"receipts/{name}.json", receipt(workspace, spec, composition))
    _write(f"metrics/{name}.json", measured(workspace, spec, composition))


def described(name: str) -> ModelSpec:
    """Return the model of that name: its file, with what params.yaml says laid over it."""
    file, chosen = MODELS / f"{name}.yaml", chosen_for(name)
    model = read_yaml(file, PolicyError)
    spec = model_spec(model, name=str(file))
    if spec.method != chosen["method"]:
        raise BadModel(f"{PARAMS}: models.{name}.method is {chosen['method']!r}, {file} says {spec.method!r}; agree")
    over = {"seed": chosen["seed"], "parameters": spec.parameters | chosen["parameters"]}
    return model_spec(model | over, name=f"{file} under {PARAMS}")


def chosen_for(name: str) -> dict[str, Json]:
    """Return what params.yaml says of a model: its method, seed and parameters, all three and nothing else."""
    value = read_yaml(PARAMS, PolicyError)
    models = value.get("models") if isinstance(value, dict) else None
    if not isinstance(models, dict) or name not in models:
        raise BadModel(f"{PARAMS}: says nothing of a model {name!r}; add it under models")
    chosen = models[name]
    if not isinstance(chosen, dict) or chosen.keys() != KEYS or not isinstance(chosen["parameters"], dict):
        raise BadModel(f"{PARAMS}: models.{name} must say {', '.join(sorted(KEYS))} and nothing else")
    return chosen


def receipt(workspace: Workspace, spec: ModelSpec, composition: Composition) -> Json:
    """Return what a model is, by digest: its composition, the components and the shards they were trained on."""
    shards = shards_for(workspace, spec)
    return {
        "release": f"{spec.release}@{spec.alias}",
        "composition": composition.digest,
        "components": {member.name: member.component for member in composition.members},
        "shards": {name: shards[name].digest for name in (*spec.core, *spec.shards)},
    }


def measured(workspace: Workspace, spec: ModelSpec, composition: Composition) -> Json:
    """Return how well a model does on each shard it is only measured on."""
    shards = shards_for(workspace, spec)
    with torch_set(threads=spec.threads):
        model = assemble(workspace, composition)
        found = {name: model.utility(read_items(workspace, shards[name].digest)) for name in spec.evaluate}
    return {name: {what: round(value, DECIMALS) for what, value in values.items()} for name, values in found.items()}


def audit() -> int:
    """Audit the workspace, write the findings, show them if there are any, and return the exit code."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = _run("audit", "--json")
    _write("audit.json", printed.getvalue())
    print(printed.getvalue() if code else json.loads(printed.getvalue())["summary"])
    return code


def disgorge(*arguments: str) -> None:
    """Run a command in the workspace, and stop the stage with its exit code unless it is 0."""
    if code := _run(*arguments):
        sys.exit(code)


def _run(*arguments: str) -> int:
    with chdir(WORKSPACE):
        code = app(list(arguments), prog_name="disgorge", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _terms(shard: str) -> tuple[str, ...]:
    """Return what a shard is declared to be: the core is not removable, the others are."""
    if shard == CORE:
        return ("--core", "--basis", "open-license")
    return ("--basis", "open-license" if shard == HELD_OUT else "consent")


def _write(file: Path | str, value: Json) -> None:
    """Write text as it is, and any other value as JSON with sorted keys, into the workspace."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, sort_keys=True) + "\n"
    write_atomically(WORKSPACE / file, text.encode())


def main(arguments: list[str]) -> int:
    """Run one stage; what is wrong is one line."""
    try:
        match arguments:
            case ["ingest"]:
                ingest()
            case ["train", name]:
                train(name)
            case ["audit"]:
                return audit()
            case _:
                print("usage: python -m examples.digits.pipeline ingest | train MODEL | audit", file=sys.stderr)
                return 2
    except (DisgorgeError, LineageError, PolicyError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
