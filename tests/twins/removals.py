"""A removal of one row of a file that DVC tracks in a git repository, whose pipeline reads the file itself."""

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

from disgorge.locations.every import purge, search
from disgorge.locations.location import Deletion, Target, Traces
from lineage.dvc.storage import md5_of
from lineage.shards.add import add_shard
from lineage.shards.files import shard_rows
from lineage.workspace import Workspace
from tests.disgorge.test_purge import Removal, component, shard
from tests.stores import quiet_dvc

FIT = """import hashlib, pathlib, sys
source, out = map(pathlib.Path, sys.argv[1:])
out.write_text("learned " + hashlib.sha256(source.read_bytes()).hexdigest())
"""
ROWS = "key,x\na,1.5\nb,2.5\nc,3.5\n"
_AS = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Repository(Removal):
    """``alice.csv`` is added as a shard, and a stage makes ``model.bin`` of the file, another ``bob.bin``."""

    def __init__(self, root: Path, *, before: str = "", track: bool = True) -> None:
        """``before`` is what the file held in an earlier commit, tagged v1, in which the stage ran as well."""
        self.root, self.alice_file = root, root / "alice.csv"
        root.mkdir(parents=True)
        self.git("init", "-q")
        with quiet_dvc():
            from dvc.repo import Repo

            Repo.init(str(root)).close()
        self.workspace = Workspace.init(root)
        (root / "fit.py").write_text(FIT)
        (root / "bob.csv").write_text("key,x\nd,4.5\n")
        stages = "".join(
            f"  {name}:\n    cmd: {Path(sys.executable).as_posix()} fit.py {source} {out}\n"
            f"    deps: [fit.py, {source}]\n    outs: [{out}]\n"
            for name, source, out in (("fit", "alice.csv", "model.bin"), ("other", "bob.csv", "bob.bin"))
        )
        (root / "dvc.yaml").write_text(f"stages:\n{stages}")
        self.track = track
        if before:
            self.make(before, "v1")
            self.old = md5_of(root / "model.bin")
        self.make(ROWS, "v2")
        add_shard(self.workspace, self.alice_file, name="alice", key="key", license="MIT", check=False, dvc=True)
        (self.alice,) = (entry.record for entry in self.workspace.ledger.state().shards.values())
        self.bob = shard(self.workspace, "bob", [4.0, 5.0])
        self.head = component(self.workspace, "head", self.alice, value=1.0)
        rows = shard_rows(self.workspace, self.alice.digest)
        self.items = frozenset({next(row.digest for row in rows if row.key == "a")})
        self.targets: dict[str, Any] = {"shards": (self.alice.digest,), "weights": (self.head.digest,)}
        self.target = Target(items=self.items, **self.targets)
        self.withdraw()

    def make(self, rows: str, tag: str) -> None:
        """Write the file, let DVC keep it and what the stages make of it, and commit and tag that."""
        self.alice_file.write_text(rows)
        if self.track:
            self.dvc("add", "alice.csv")
        self.dvc("reproduce")
        self.git("add", "-A")
        self.git("commit", "-qm", tag)
        self.git("tag", tag)

    def git(self, *arguments: str) -> None:
        """Let git do something here."""
        subprocess.run(["git", "-C", str(self.root), *arguments], check=True, env=os.environ | _AS, capture_output=True)

    def dvc(self, verb: str, *given: Any, **named: Any) -> None:
        """Let DVC do something here."""
        with quiet_dvc(), chdir(self.root):
            from dvc.repo import Repo

            with Repo(str(self.root)) as repo:
                getattr(repo, verb)(*given, **named)

    def search(self) -> Traces:
        """Return what every location holds of the row and of what learned from it."""
        return search(self.workspace, self.target)

    def purge(self) -> Deletion:
        """Delete it."""
        return purge(self.workspace, self.target)

    def checkout(self, tag: str) -> None:
        """Go to an earlier commit, and let DVC bring back what it can."""
        self.git("checkout", "-qf", tag)
        self.dvc("checkout", force=True, allow_missing=True)

    def holds(self, md5: str) -> bool:
        """Whether bytes lie anywhere in the repository."""
        return any(path.is_file() and md5_of(path) == md5 for path in self.root.rglob("*"))
