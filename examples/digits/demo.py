"""The main job, told on real digits: three models, three requests, three ways of removal, and one that is caught.

    disgorge demo [WORKSPACE]          or          python -m examples.digits.demo [WORKSPACE]

Every line that starts with ``$`` is the command that is being run; it can be typed in the workspace as it is. The
digits are scikit-learn's; persons and organizations are invented (see :mod:`examples.digits.data`).
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

from rich.console import Console
from rich.table import Table

from disgorge.cli.app import app
from examples.digits.data import write_digits

HERE = Path(__file__).parent
MODELS = ("generator", "tangent", "graph")
MARK = "made-by-the-demo"
"""A file that says a folder may be thrown away and made again."""

LEAVES, ERASURE, ORDER = "R-1-contributor-leaves", "R-2-one-person", "R-3-regulator"

console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=150)


def main(folder: str = "demo-workspace") -> int:
    """Tell the whole story in a fresh workspace and return 0 if it went as told."""
    start = time.perf_counter()
    workspace = Path(folder).resolve()
    make_workspace(workspace)
    with chdir(workspace):
        register_shards()
        train_models()
        contributor_leaves()
        person_is_erased()
        regulator_orders()
        table_of_removals(workspace)
        say("The audit CI runs: is anything live still built on withdrawn data?")
        clean = disgorge("audit")
        caught = show_bad_case(workspace)
    console.print(f"\nDone in {time.perf_counter() - start:.0f} s. The reports: {workspace / 'reports'}")
    return 0 if clean == 0 and caught else 1


def make_workspace(workspace: Path) -> None:
    """Make a git and DVC repository with the digits in it; an older one of the demo's own is replaced."""
    if workspace.exists() and any(workspace.iterdir()):
        if not (workspace / MARK).exists():
            sys.exit(f"error: {workspace} holds something the demo did not make; name another folder")
        shutil.rmtree(workspace)
    workspace.mkdir(parents=True, exist_ok=True)
    (workspace / MARK).write_text("disgorge demo makes this folder anew each time\n")
    say("A workspace: a git and DVC repository with a ledger in it, and the digits as files.")
    subprocess.run(["git", "init", "--quiet", str(workspace)], check=True)
    os.environ["DVC_NO_ANALYTICS"] = "1"
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=workspace, check=True)
    write_digits(workspace / "data")
    for model in MODELS:
        shutil.copy(HERE / f"{model}.yaml", workspace)
    with chdir(workspace):
        disgorge("init")


def register_shards() -> None:
    """Register the core, the eight contributors and the held-out set, each checked before it is recorded."""
    say("Shards: each passes a Great Expectations suite before it is recorded, and is tracked by DVC.")
    columns = ["--key", "key", "--subject", "subject", "--source-column", "source", "--license-column", "license"]
    for path in sorted(Path("data").glob("*.npz")):
        if path.stem == "core":
            declared = ["--core", "--basis", "open-license"]
        else:
            declared = ["--basis", "consent" if path.stem != "held-out" else "open-license"]
        disgorge("shard", "add", str(path), "--name", path.stem, *columns, *declared)


def train_models() -> None:
    """Train and release three models, lineage recorded."""
    say("Three models, trained with lineage and released under an alias in MLflow's registry.")
    disgorge("train", *(f"{model}.yaml" for model in MODELS))


def contributor_leaves() -> None:
    """Withdraw all that a contributor brought, whose contract ends."""
    say("A contributor leaves and takes everything along: drop, subtract, retrain, whichever each model offers.")
    file = ["--standing", "contributor", "--ground", "contract", "--regime", "contract", "--shard", "contributor-3"]
    carry_out(LEAVES, *file, "--verified", "--fact", "all_theirs=true", "--fact", "license_irrevocable=false")


def person_is_erased() -> None:
    """One person's seven images are erased under the GDPR: consent is withdrawn, ground b of Art. 17(1)."""
    person = person_in("contributor-5")
    say(f"One person, {person}, asks for erasure: seven images; only what they fed is trained again.")
    file = ["--standing", "data-subject", "--ground", "privacy", "--regime", "gdpr", "--subject", person]
    file += ["--fact", "gdpr_ground=b"]
    carry_out(ERASURE, *file, "--verified", "--name", "A. Person", "--contact", "a.person@example.org")


def regulator_orders() -> None:
    """Destroy everything built in whole or in part on one source, as a regulator orders."""
    say("A regulator orders everything built in whole or in part on one source destroyed: partial removal will not do.")
    file = ["--standing", "regulator", "--ground", "regulator-order", "--regime", "regulator-order"]
    deadline = [
        "--fact",
        "order_deadline=2027-06-30",
        "--fact",
        "order_reference=C-0000",
        "--fact",
        "order_scope=whole-lineage",
    ]
    carry_out(ORDER, *file, "--source", "scraped-forum", "--verified", *deadline, approvers=("ann", "bea"))


def carry_out(request: str, *file: str, approvers: tuple[str, ...] = ("ann",)) -> None:
    """Take one request through the pass: file, impact, decide, plan, approve, execute, verify."""
    disgorge("request", "file", "--id", request, *file)
    disgorge("request", "impact", request)
    disgorge("request", "decide", request)
    disgorge("request", "plan", request)
    digest = plan_digest(request)
    for approver in approvers:
        disgorge("request", "approve", request, digest[:12], "--by", approver)
    disgorge("request", "execute", request)
    disgorge("verify", f"reports/{request}", "--key", ".disgorge/public.pem")


def show_bad_case(workspace: Path) -> bool:
    """In a copy of the workspace, train quietly on a withdrawn shard, and return whether the audit catches it."""
    say("The bad case, in a copy: somebody trains a model on a shard that was withdrawn, and the audit finds it.")
    copy = workspace.with_name(workspace.name + "-bad-case")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(workspace, copy, ignore=shutil.ignore_patterns("mlartifacts", ".git", ".dvc"))
    with chdir(copy):
        from examples.digits.bad_case import train_quietly

        train_quietly("contributor-3")
        code = disgorge("audit")
    console.print(f"exit code {code}")
    shutil.rmtree(copy)
    return code == 1


def table_of_removals(workspace: Path) -> None:
    """Print the demo's result, a row per request and release, and write it to ``results.json``."""
    from disgorge.request.case import docket
    from examples.digits.results import HEADINGS, cells, removals, write
    from lineage.workspace import Workspace

    found = removals(Workspace.open(workspace))
    write(workspace / "results.json", found)
    table = Table(title=f"{len(docket(Workspace.open(workspace)))} requests: what was removed, how, and what it took")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for removal in found:
        table.add_row(*cells(removal))
    console.print(table)


def person_in(shard: str) -> str:
    """Return the name of a person with exactly seven images in a shard, the first in order."""
    import numpy as np

    with np.load(Path("data") / f"{shard}.npz") as columns:
        names, counts = np.unique(columns["subject"], return_counts=True)
    return next(str(name) for name, count in zip(names, counts, strict=True) if count == 7)


def plan_digest(request: str) -> str:
    """Return the digest of a request's plan, as a person would copy it from the screen."""
    from disgorge.request.case import case_of
    from lineage.workspace import Workspace

    plan = case_of(Workspace.open(), request).plan
    if plan is None:
        raise SystemExit(f"error: {request} was not planned")
    return plan


def disgorge(*arguments: str) -> int:
    """Run a command as if it were typed here, and return its exit code."""
    console.print(f"[bold]$ disgorge {shlex.join(arguments)}[/bold]")
    code = app(list(arguments), prog_name="disgorge", standalone_mode=False)
    return code if isinstance(code, int) else 0


def say(words: str) -> None:
    """Print a heading."""
    console.rule(style="dim")
    console.print(f"[bold cyan]{words}[/bold cyan]")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
