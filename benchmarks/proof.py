"""What a proof costs beside training: ``python -m benchmarks.proof [--seconds 120] [--shards 8] [FILE.json]``.

Scikit-learn's digits, a backbone and one tangent vector a shard, with epochs raised until a part takes so many seconds.
The model is trained *bare*, by the method's own ``train`` in plain processes that have the items in memory, and by
``disgorge train``, confined and attested. Then removals are carried out, each in a copy of the workspace:

- *retrained, confined*: one person's rows go, under a policy that takes a confined run for proof;
- *retrained, equal bits*: the same, under one that wants a second run to reach the same bytes as well;
- *dropped*: a contributor's whole shard goes, where nothing is trained, under either policy.

Two processes train at a time, one thread each. The share of evidence is that of the steps that examine, second runs
included, in the training seconds of all parts of the model. Starting Python and importing the frameworks stands beside
the figures, not in the goals of training: ``start`` is the CPU seconds of one such process, of which training has one a
part. Confined jobs are killed once they have answered, so the CPU seconds of a command are those without them. With
``--in`` the folder is kept, and what is there already is not made again.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

MODEL = Path(__file__).parents[1] / "examples" / "digits" / "tangent.yaml"
"""The demo's model, of which the shards and the epochs are others here."""
POLICIES = {"confined": "false", "equal-bits": "true"}
"""Whether a second run must reach the same bytes; both accept ``namespace``, and are the contract's pack else."""
FILE = "request file --id R-1 --standing contributor --ground contract --regime {regime} --verified "
FILE += "--fact all_theirs=true --fact license_irrevocable=false"
RUN = "import sys; from disgorge.cli import main; sys.exit(main())"
"""The program, with its words after it, as a command runs it that is typed."""
REMOVALS = {
    "retrained, confined": ("confined", "--subject {person}", 0.05),
    "retrained, equal bits": ("equal-bits", "--subject {person}", 0.05),
    "dropped, confined": ("confined", "--shard contributor-1", 0.02),
    "dropped, equal bits": ("equal-bits", "--shard contributor-1", 0.02),
}
"""By name: the policy, what goes, and most of the share of evidence, beyond ``SPARE`` seconds and a second training."""
SPARE = 5.0
TRAINING_GOAL = (0.03, 1.0)
"""Most that confined and attested training may take beyond bare training: a share, and seconds a part."""
PARALLEL = 2
TRIED = 20
"""Epochs of the short training from which the epochs of the long one follow."""

HEADINGS = ("steps s", "evidence s", "goal s", "execute s", "own CPU s", "of training", "verdict")

Figures = dict[str, Any]


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(description="Measure what a proof costs beside training.")
    parser.add_argument("json", nargs="?", type=Path, help="where to write the figures")
    parser.add_argument("--seconds", type=float, default=120, help="how long a part takes to train")
    parser.add_argument("--shards", type=int, default=8, help="over how many shards the digits are dealt out")
    parser.add_argument("--in", dest="folder", type=Path, help="work here, and go on from what is there")
    if sys.argv[1:2] == ["--bare"]:
        print(json.dumps(trained_bare(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
        return
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        figures = measured(given.folder or Path(made), given.seconds, given.shards)
    print(table(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


def measured(folder: Path, seconds: float, shards: int) -> Figures:
    """Return all figures; what was measured already in this folder is read from ``figures.json`` there."""
    kept, workspace = folder / "figures.json", folder / "workspace"
    figures: Figures = json.loads(kept.read_text()) if kept.exists() else {"seconds": seconds, "shards": shards}

    def keep(name: str, found: Any) -> None:
        figures[name] = found
        kept.write_text(json.dumps(figures, indent=1))
        print(f"{name}: {json.dumps(found)}", file=sys.stderr, flush=True)

    if "parts" not in figures:
        shutil.rmtree(workspace, ignore_errors=True)
        make_workspace(workspace, shards)
        keep("parts", shards + 1)
    if "start" not in figures:
        keep("start", min(started() for _ in range(3)))
    if "epochs" not in figures:
        write_model(workspace, TRIED)
        took = bare_run(workspace, 0, 1)["seconds"]
        keep("epochs", round(TRIED * seconds * shards / sum(list(took.values())[-shards:])))
        write_model(workspace, figures["epochs"])
    if "bare" not in figures:
        keep("bare", bare(workspace))
    if "trained" not in figures:
        _, wall, cpu = typed(workspace, "train", "model.yaml")
        keep("trained", {"wall": wall, "cpu": cpu})
    for name, (policy, what, _) in REMOVALS.items():
        if name not in figures:
            copy = folder / name.replace(", ", "-").replace(" ", "-")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(workspace, copy)
            keep(name, removal(copy, policy, what.format(person=first_person(workspace))))
    return figures


def typed(folder: Path, *words: str) -> tuple[str, float, float]:
    """Run one command as it is typed; return its output, its seconds, and its CPU seconds without confined jobs."""
    return process(folder, [sys.executable, "-c", RUN, *words])


def process(folder: Path, command: list[str]) -> tuple[str, float, float]:
    """Run a program in a folder; return its output, its seconds, and its CPU seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ran = subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command[3:])} ended with {ran.returncode}:\n{ran.stdout}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ran.stdout, round(seconds, 2), round(cpu, 2)


def environment() -> dict[str, str]:
    """Return the variables of every process: one thread, this package, and the kernels that jobs are held to."""
    from disgorge.training.kernels import chosen

    paths = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    return os.environ | chosen() | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}


def started() -> float:
    """Return the CPU seconds that it takes to start Python and import the framework and what every job loads."""
    imports = "import numpy, safetensors.numpy, torch, disgorge.training.runners.worker"
    return process(Path.cwd(), [sys.executable, "-c", imports])[2]


# The model ------------------------------------------------------------------------------------------------------


def shards_of(count: int) -> dict[str, dict[str, Any]]:
    """Return the columns of the core, of the held-out items and of so many contributors, by name.

    What the demo's contributors bring is dealt out anew, whole people at a time.
    """
    import numpy as np

    from examples.digits.data import CONTRIBUTED, digits

    found = digits()
    brought = [found.pop(name) for name in CONTRIBUTED]
    whole = {column: np.concatenate([each[column] for each in brought]) for column in brought[0]}
    people = whole["subject"].tolist()
    dealt = {person: place % count for place, person in enumerate(dict.fromkeys(people))}
    places = np.array([dealt[person] for person in people])
    return found | {
        f"contributor-{place + 1}": {column: values[places == place] for column, values in whole.items()}
        for place in range(count)
    }


def make_workspace(folder: Path, count: int) -> None:
    """Make a workspace with the shards and the two policies in it."""
    import numpy as np

    folder.mkdir(parents=True)
    typed(folder, "init")
    columns = "--key key --subject subject --source-column source --license-column license --no-check --no-dvc".split()
    for name, values in shards_of(count).items():
        np.savez(folder / f"{name}.npz", allow_pickle=False, **values)
        terms = ["--core", "--basis", "open-license"] if name == "core" else ["--basis", "consent"]
        typed(folder, "shard", "add", f"{name}.npz", "--name", name, *columns, *terms)
    contract = files("policies.packs").joinpath("contract.yaml").read_text(encoding="utf-8")
    for policy, equal_bits in POLICIES.items():
        text = contract.replace("pack: contract", f"pack: {policy}").replace('"contract" in', f'"{policy}" in')
        accepts = f"confinement: {{accepts: namespace, equal_bits: {equal_bits}}}"
        lines = (accepts if line.startswith("confinement:") else line for line in text.splitlines())
        (folder / f"{policy}.yaml").write_text("\n".join(lines) + "\n")


def write_model(folder: Path, epochs: int) -> None:
    """Write the model file."""
    names = sorted(path.stem for path in folder.glob("contributor-*.npz"))
    model = yaml.safe_load(MODEL.read_text(encoding="utf-8")) | {"release": "digits", "shards": names}
    model["parameters"] |= {"epochs": epochs}
    (folder / "model.yaml").write_text(yaml.safe_dump(model))


def first_person(folder: Path) -> str:
    """Return a person of the first contributor."""
    import numpy as np

    with np.load(folder / "contributor-1.npz") as columns:
        return str(columns["subject"][0])


# Bare training --------------------------------------------------------------------------------------------------


def bare(folder: Path) -> Figures:
    """Train the model in plain processes; return seconds, imports left out, and the seconds of each part."""
    wall, said = side_by_side(folder, "benchmarks.proof", ".", of=PARALLEL)
    return {"wall": wall, "seconds": {name: took for each in said for name, took in each["seconds"].items()}}


def side_by_side(folder: Path, module: str, *words: str, of: int) -> tuple[float, list[Figures]]:
    """Run bare training of a module in plain processes, each told its place ``of`` so many.

    Returns the seconds from the first that began to the last that ended, and what each said.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module, "--bare", *words, str(place), str(of)],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(min(PARALLEL, of))
    ]
    said = [json.loads(each.communicate()[0]) for each in running]
    return round(max(each["ended"] for each in said) - min(each["began"] for each in said), 2), said


def bare_run(folder: Path, place: int, of: int) -> Figures:
    """Return what one plain process says of its share of the parts."""
    command = [sys.executable, "-m", "benchmarks.proof", "--bare", ".", str(place), str(of)]
    return dict(json.loads(process(folder, command)[0]))


def trained_bare(folder: Path, place: int, of: int) -> Figures:
    """Train what others rest on and every ``of``-th other part, here; return seconds by part, and both ends."""
    import torch

    from disgorge.layout import layout_of
    from disgorge.method import Items, method_named
    from disgorge.training.model_file import read_model_file
    from lineage.catalog.catalog import Catalog
    from lineage.shards.files import shard_items
    from lineage.workspace import Workspace

    torch.set_num_threads(1)
    workspace, spec = Workspace.open(folder), read_model_file(folder / "model.yaml")
    method = method_named(spec.method)
    with Catalog.of(workspace) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
    parts = layout_of(method, spec, shards)
    shared = {use.name for part in parts for use in part.inputs if use.of == "component"}
    alone = [part.name for part in parts if part.name not in shared]
    mine, made, seconds = shared | set(alone[place::of]), dict[str, Any](), dict[str, float]()
    began = time.perf_counter()
    for part in parts:
        if part.name in mine:
            start = time.perf_counter()
            digests = [shards[use.name].digest for use in part.inputs if use.of == "shard"]
            items = tuple(Items(*shard_items(workspace, digest)) for digest in digests)
            others = tuple(made[use.name] for use in part.inputs if use.of == "component")
            made[part.name] = method.train(part.kind, part.parameters, items, others)
            seconds[part.name] = round(time.perf_counter() - start, 2)
    return {"began": began, "ended": time.perf_counter(), "seconds": seconds}


# Removals -------------------------------------------------------------------------------------------------------


def removal(folder: Path, policy: str, what: str) -> Figures:
    """Carry one removal out; return the seconds of its steps by kind, those of all training, and of the command."""
    approve(folder, *what.split(), regime=policy, packs=("--packs", f"{policy}.yaml"))
    _, wall, cpu = typed(folder, "request", "execute", "R-1")
    return {"wall": wall, "cpu": cpu, **told(folder)}


def approve(folder: Path, *what: str, regime: str = "contract", packs: Sequence[str] = ()) -> None:
    """File, decide, plan and approve the removal of what a contributor takes back."""
    typed(folder, *FILE.format(regime=regime).split(), *packs, *what)
    typed(folder, "request", "decide", "R-1", *packs)
    typed(folder, "request", "plan", "R-1")
    plan = json.loads(typed(folder, "request", "show", "R-1", "--json")[0])["plan_digest"]
    typed(folder, "request", "approve", "R-1", plan, "--by", "ann")


def told(folder: Path) -> Figures:
    """Return what the ledger says of the one removal there: seconds of training, evidence and a full training."""
    from examples.digits.results import removals
    from lineage.workspace import Workspace

    (found,) = removals(Workspace.open(folder))
    return {
        "remedies": found.remedies, "trained": found.seconds, "evidence": found.evidence_seconds,
        "full": found.full_seconds, "verdict": found.verdict,
    }  # fmt: skip


# What is told ---------------------------------------------------------------------------------------------------


def table(figures: Figures) -> str:
    """Return the figures as text, each goal beside what was reached."""
    bare_wall, trained, parts = figures["bare"]["wall"], figures["trained"], figures["parts"]
    share, spare = TRAINING_GOAL
    starts = figures["start"] * parts / PARALLEL
    beyond = trained["wall"] - bare_wall - starts
    lines = [
        f"{parts} parts, {figures['epochs']} epochs; bare training {bare_wall:.1f} s, {PARALLEL} at a time",
        f"start of Python and framework: {figures['start']:.2f} CPU s a process; {parts} of them about {starts:.1f} s",
        f"disgorge train: {trained['wall']:.1f} s ({trained['cpu']:.1f} own CPU s); beyond bare training and starts "
        f"{beyond:.1f} s, goal {share * bare_wall + spare * parts:.1f} s",
        "",
        "".join([f"{'removal':<24}", *(f"{heading:>12}" for heading in HEADINGS)]),
    ]
    for name, (policy, _, most) in REMOVALS.items():
        found = figures[name]
        again = found["trained"] if policy == "equal-bits" else 0.0
        seconds = (
            found["trained"],
            found["evidence"],
            most * found["full"] + SPARE + again,
            found["wall"],
            found["cpu"],
        )
        cells = (*(f"{each:.1f}" for each in seconds), f"{found['evidence'] / found['full']:.1%}", found["verdict"])
        lines.append("".join([f"{name:<24}", *(f"{cell:>12}" for cell in cells)]))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
