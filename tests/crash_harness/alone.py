"""Programs run apart from the network and from what this machine has set up: an empty home, nothing switched off.

Where the system allows it they get a network namespace of their own, in which there is no way out; the kernel counts
who looks for one. That hears native code as well, which Python's audit hooks do not.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from tests.crash_harness.nursery import ROOT
from tests.tier import made_once

GUARD = Path(__file__).parent / "offline"


@dataclass(frozen=True)
class Ran:
    """How a program ended, what its processes were heard doing, and how often a way out was looked for (or None)."""

    code: int
    said: str
    heard: list[list[str]]
    sought: int | None

    @property
    def tried(self) -> list[list[str]]:
        """What was tried of the network."""
        return [words for words in self.heard if words[0].startswith("socket.")]


@cache
def namespaces() -> bool:
    """Whether a program can be given a network of its own here."""
    try:
        return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run_alone(*arguments: str, guarded: bool = True, confined: bool = True) -> Ran:
    """Run Python with these arguments; ``guarded`` puts the hook into it and everything it starts.

    Jobs in a box see nothing of the hook. Where they are not to be ``confined`` they have it as well, from a folder
    that is called as those of installed packages are.
    """
    with tempfile.TemporaryDirectory() as home, tempfile.NamedTemporaryFile("r") as told:
        guard = GUARD if confined else Path(shutil.copytree(GUARD, Path(home, "site-packages")))
        if not confined:
            (guard / "told").write_text(told.name)
        path = [*([str(guard)] if guarded else []), str(ROOT / "tests" / "plugins"), str(ROOT)]
        env = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        env |= {"DVC_SITE_CACHE_DIR": home}  # else below /var, for good
        env |= {} if confined else {"DISGORGE_CONFINEMENT": "process"}
        env |= {"PYTHONPATH": os.pathsep.join(path), "DISGORGE_TOLD": told.name}
        command, counts = [sys.executable, *arguments], Path(home, "counts")
        if namespaces():
            script = f'"$@"; code=$?; cat /proc/net/snmp /proc/net/snmp6 > {counts}; exit $code'
            command = ["unshare", "--net", "sh", "-c", script, "sh", *command]
        ended = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        heard = [json.loads(line) for line in told.read().splitlines()]
        sought = no_routes(counts.read_text()) if counts.exists() else None
    return Ran(ended.returncode, ended.stdout + ended.stderr, heard, sought)


def no_routes(counts: str) -> int:
    """Return how many packets found no way out, of both versions of IP, from the kernel's counters."""
    lines = [line.split() for line in counts.splitlines()]
    ip = [line for line in lines if line and line[0] == "Ip:"]
    found = int(ip[1][ip[0].index("OutNoRoutes")])
    return found + sum(int(line[1]) for line in lines if line and line[0] == "Ip6OutNoRoutes")


def whole_pass(temporary: Path) -> tuple[Path, Ran]:
    """Go through :mod:`tests.crash_harness.whole_pass` once a session and return where, and what was heard of it.

    ``temporary`` is where pytest keeps this process's temporary folders; whoever comes second waits for the first.
    """

    def make(folder: Path) -> None:
        ran = run_alone("-m", "tests.crash_harness.whole_pass", str(folder))
        folder.with_name("whole-pass.json").write_text(json.dumps(asdict(ran)))

    folder = made_once(temporary, "whole-pass", make)
    return folder, Ran(**json.loads(folder.with_name("whole-pass.json").read_text()))
