"""The whole pass as it is typed, with everything installed: ``python -m tests.crash_harness.whole_pass FOLDER``.

Data with invented persons in it comes in through Great Expectations and DVC, a model is trained and released in MLflow
by worker processes, one person asks for removal and gets it. What was to be forgotten is written to ``forgotten.json``
beside the workspace, before it is.
"""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

NAME, CONTACT, NOTE = "Zebulon Quillfeather", "zeb@quillfeather.example", "by letter QX-77 of 3 May"
APPROVER = "Wilhelmina Approverson"
OTHERS = ("Ottilie Pennyworth", "Barnaby Thistlewood", "Cosima Underhill")
REQUEST = "R-1"
MODEL = """
release: toy
method: averages
core: [core]
shards: [shard-1, shard-2, shard-3]
evaluate: [held-out]
"""


def main(folder: Path) -> None:
    """Go through all of it in ``folder / "workspace"``; raise at the first command that is not fine."""
    from dvc.repo import Repo

    os.umask(0)  # whoever runs it may be careless: what is private must be closed all the same
    workspace_folder = folder / "workspace"
    workspace_folder.mkdir(parents=True)
    os.chdir(workspace_folder)
    subprocess.run(["git", "init", "-q"], check=True)
    with redirect_stdout(io.StringIO()):  # which DVC's log keeps from then on
        Repo.init().close()
    fine("init")
    for name in ("core", "shard-1", "shard-2", "shard-3", "held-out"):
        terms = ("--core", "--basis", "public domain") if name == "core" else ("--basis", "consent")
        source = str(written(folder, name))
        fine("shard", "add", source, "--name", name, "--key", "key", "--subject", "subject", "--license", "MIT", *terms)
    Path("model.yaml").write_text(MODEL)
    fine("train", "model.yaml")
    remember(folder)
    fine("request", "file", "--id", REQUEST, "--standing", "contributor", "--ground", "contract", "--regime",
         "contract", "--verified", "--subject", NAME, "--name", NAME, "--contact", CONTACT, "--note", NOTE)  # fmt: skip
    fine("request", "decide", REQUEST)
    digest = json.loads(fine("request", "plan", REQUEST, "--json"))["digest"]
    fine("request", "approve", REQUEST, digest, "--by", APPROVER)
    fine("request", "execute", REQUEST, "--references", "1")
    fine("verify", f"reports/{REQUEST}", "--key", ".disgorge/public.pem")
    fine("audit", "--sarif", "audit.sarif", "--junit", "audit.xml")
    fine("trace", "toy", "--svg", "trace.svg")
    fine("ledger", "verify")


def fine(*arguments: str) -> str:
    """Run a command in this process, return what it printed, and stop if it was not fine."""
    from typer.testing import CliRunner

    from disgorge.cli.app import app

    result = CliRunner().invoke(app, list(arguments), prog_name="disgorge")
    if result.exit_code:
        sys.exit(f"disgorge {' '.join(arguments)}: {result.exit_code}\n{result.output}\n{result.exception!r}")
    return str(result.stdout)


def written(folder: Path, name: str) -> Path:
    """Write one shard's source; in the second, a third of the items are those of the person who will ask."""
    from averages import METHOD

    items = METHOD.toy(3).items[name]
    people = [OTHERS[row % 3] for row in range(len(items))]
    keys = [f"{name}-{row}" for row in range(len(items))]
    for row in range(0, len(items), 3):
        if name == "shard-2":
            people[row], keys[row] = NAME, f"quillfeather-scan-{row}"
    path = folder / f"{name}.npz"
    np.savez(path, key=np.array(keys), subject=np.array(people), **dict(items.arrays))
    return path


def remember(folder: Path) -> None:
    """Write down what is about to be forgotten."""
    from lineage.catalog.catalog import Catalog
    from lineage.records import Selector
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    with Catalog.of(workspace) as catalog:
        selected = catalog.selected([Selector("subject", workspace.pseudonym(NAME))])
        shard = catalog.shard("shard-2").digest
        component = catalog.component("toy/mean/shard-2").digest
    found: dict[str, Any] = {
        "items": sorted({digest for digests in selected.values() for digest in digests}),
        "keys": [f"quillfeather-scan-{row}" for row in range(0, 12, 3)],
        "shard": shard,
        "component": component,
    }
    (folder / "forgotten.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
