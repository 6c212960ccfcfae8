"""The control of confinement: a planted job must find nothing of what is hidden from it, and must find its input.

A level of confinement is what a machine claims; that it holds is tried once a request, on this machine, by the runner
that carries out its jobs. An item is hidden wherever a job must not reach
(:mod:`disgorge.examination.hidden_item`), and a job that knows every place and tries every known way to it
(:mod:`disgorge.training.sandbox.planted`) is ordered like any other. The same ways are tried in this process, which is
not confined: one that does not lead to the item here shows nothing, and is named as not tried. A second job is given
the item as an input, and must find it: one that could read nothing at all would find nothing either.

Where a level says that it lets something through, that is tried and reported, and breaks no control. It cannot show
that there is no other way: only the known ones are tried.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from disgorge.errors import ExecutionFailed
from disgorge.evidence.checks import Control
from disgorge.examination.hidden_item import OWED, SEEN_UNDER_LANDLOCK, Hidden, hidden
from disgorge.training.recipe import Job, Runner
from disgorge.training.sandbox.levels import Level, Reached, reached
from disgorge.training.sandbox.planted import ENTRY, GIVEN, PLANTED, look
from lineage.activity import activity
from lineage.plural import counted
from lineage.records import Json
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace

NAME = "confinement"
_LOOKING, _FINDING = "confinement control", "confinement control with its input"


@dataclass(frozen=True, slots=True)
class ConfinementControl:
    """The control, and for a report what became of each way."""

    control: Control
    detail: dict[str, Json]


@activity("trying the confinement of jobs")
def confinement_control(workspace: Workspace, runner: Runner, *, device: str = "cpu") -> ConfinementControl | None:
    """Return the control for jobs of this runner on a device, None where they are not confined.

    ``runner`` starts a process for each job. The caller holds the workspace lock. A failure of the machine passes
    through.
    """
    if reached().level is Level.PROCESS:
        return None
    start = time.perf_counter()
    with hidden(workspace) as there:
        found, confinement = _carry_out(workspace, runner, there, device)
        here = {name: look(*way) for name, way in there.ways.items()}
    if confinement.level is Level.PROCESS:
        return None
    names = sorted({*there.ways, *OWED})
    outcomes = {name: _outcome(name, confinement.level, found.get(name), here.get(name, b"")) for name in names}
    is_given = all(found.get(f"{kind} 0") == _sha256(there.item) for kind in ("shard", "component"))
    seconds = time.perf_counter() - start
    detail: dict[str, Json] = {
        "level": confinement.level.value,
        "gaps": list(confinement.gaps),
        "ways": outcomes,
        "input found": is_given,
        "seconds": round(seconds, 3),
    }
    return ConfinementControl(_control(confinement.level, outcomes, is_given=is_given), detail)


def _carry_out(workspace: Workspace, runner: Runner, there: Hidden, device: str) -> tuple[dict[str, bytes], Reached]:
    """Return the SHA-256 of what each way and input led the two jobs to, and how they were confined.

    A job that failed was led to nothing.
    """
    ways = {name: list(way) for name, way in there.ways.items()}
    uses = [("shard", there.shard), ("component", there.component)]
    jobs = [_job(_LOOKING, "looking", {"ways": ways}, [], device), _job(_FINDING, GIVEN, {}, uses, device)]
    found: dict[str, bytes] = {}
    confinements = []
    try:
        for done in runner.run(jobs):
            confinements.append(done.confinement)
            result = load_tensors(workspace.objects.get(done.digest))
            found |= {name: digest.tobytes() for name, digest in result.items()}
            workspace.objects.delete(done.digest)
    except ExecutionFailed as failure:
        if isinstance(failure.__cause__, OSError):
            raise
    return found, min(confinements, key=lambda each: each.level.rank, default=reached())


def _job(name: str, kind: str, parameters: dict[str, Json], uses: list[tuple[str, str]], device: str) -> Job:
    recipe: dict[str, Json] = {
        "method": PLANTED.name,
        "version": PLANTED.version,
        "kind": kind,
        "parameters": parameters,
        "uses": [{"of": of, "digest": digest, "role": "train"} for of, digest in uses],
        "threads": 1,
        "device": device,
        "deterministic": True,
    }
    return Job(name, recipe, 1, entry=ENTRY)


def _outcome(name: str, level: Level, found: bytes | None, here: bytes) -> str:
    """Return what became of a way that led a job to ``found``, as its SHA-256, and this process to ``here``."""
    if found is None or not here:
        return "not tried"
    if found != _sha256(here):
        return "closed"
    return "let through" if level is Level.LANDLOCK and name in SEEN_UNDER_LANDLOCK else "found"


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _control(level: Level, outcomes: Mapping[str, str], *, is_given: bool) -> Control:
    def those(outcome: str) -> list[str]:
        return [name for name, each in outcomes.items() if each == outcome]

    found, missing = those("found"), [name for name in OWED if outcomes[name] == "not tried"]
    tried = len(outcomes) - len(those("not tried"))
    words = [
        f"A job planted in the same confinement ({level}) must not find an item that lay within reach of this program "
        f"by {counted(tried, 'way')}: {'it came by ' + ', '.join(found) if found else 'it found nothing'}"
        + (f", but for what this level lets through ({', '.join(seen)})" if (seen := those("let through")) else "")
        + (f"; it was not tried by {', '.join(missing)}" if missing else "")
        + ".",
        f"Given the item as an input it must find it: it {'did' if is_given else 'did not'}.",
    ]
    return Control(NAME, " ".join(words), float(len(found)), is_given and not found and not missing)
