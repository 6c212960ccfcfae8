"""Making, opening and diagnosing a workspace; verifying and exporting its ledger."""

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from disgorge.errors import ExecutionFailed, Refused, WrongUse
from disgorge.request.case import case_of
from disgorge.request.history import lost_facts
from disgorge.request.history.lost_facts import Accepted
from disgorge.result import Listing, Result
from disgorge.tracking.client import database_beside, tracking_uri, without_secrets
from disgorge.training.sandbox import landlock
from disgorge.training.sandbox.installed import strays
from disgorge.training.sandbox.levels import Reached, level_line, reached
from disgorge.training.sandbox.namespace import bwrap, bwrap_version, package_folders
from disgorge.training.sandbox.nvidia import gpu, lacking
from lineage.dvc.repo import is_repo
from lineage.errors import LedgerBroken, NoWorkspace
from lineage.ledger.chain import Fact
from lineage.ledger.compare import compared, copy_of
from lineage.plural import counted
from lineage.records import Json, plain
from lineage.shown import Attention, table
from lineage.workspace import Workspace

_LIBRARIES = ("torch", "mlflow", "dvc")
_SHARED = Path("/dev/shm")
_MEBIBYTE = 1 << 20
_LEAST_SHARED = 64 * _MEBIBYTE
"""Free bytes of shared memory below which loaders with several processes are known to fail."""
_SHOWN = 5
NO_KEY = "none yet; the first training makes it"


@dataclass(frozen=True, slots=True)
class Initialized(Result):
    """A new workspace, and what its folder lacks."""

    workspace: Workspace
    notes: tuple[str, ...]
    dvc: bool
    confinement: Reached

    def plain(self) -> Json:
        """Return where it is, the head of its ledger, the level of confinement that jobs reach, and the notes."""
        root, head = str(self.workspace.root), self.workspace.ledger.head()
        notes, level = list(self.notes), plain(self.confinement)
        return {"workspace": root, "head": head, "dvc": self.dvc, "confinement": level, "notes": notes}


def init(folder: Path | str = ".") -> Initialized:
    """Make a workspace: the ledger, the keys that keep people's names out of it, and what git is to ignore."""
    workspace = Workspace.init(Path(folder))
    confinement = reached()
    without_dvc, elsewhere = _without_dvc(workspace.root), _mlflow_elsewhere(workspace.root)
    notes = tuple(words for words in (without_dvc, elsewhere) if words)
    shown = (
        f"workspace {workspace.root} is ready; record data with `disgorge shard add PATH --name NAME`",
        f"git: {workspace.root / '.gitignore'} ignores data, models and reports; commit .disgorge/ as it is",
        level_line(confinement),
        *notes,
    )
    return Initialized(workspace, notes, not without_dvc, confinement, shown=shown)


def open_workspace(folder: Path | str | None = None) -> Workspace:
    """Return the workspace that holds a folder, the current one by default."""
    return Workspace.open(None if folder is None else Path(folder))


def _without_dvc(workspace_folder: Path) -> str:
    """Return why DVC will not keep the shards, and what that means, "" if it will."""
    if find_spec("dvc") is None:
        why = "it is not installed (pip install 'disgorge[dvc]')"
    elif not is_repo(workspace_folder):
        why = "this folder is not the root of a DVC repository (`dvc init`, with --subdir inside a repository)"
    else:
        return ""
    return f"DVC: not used, for {why}; nothing but this folder keeps what is in shards/, so back that up"


def _mlflow_elsewhere(workspace_folder: Path) -> str:
    """Return where runs and releases go, where the database in the folder is another program's, else ""."""
    if database_beside(workspace_folder) is None:
        return ""
    place = without_secrets(tracking_uri(workspace_folder))
    return (
        f"MLflow: mlflow.db in this folder is not the workspace's, so runs and releases go to {place}; a removal looks "
        f"into both"
    )


@dataclass(frozen=True, slots=True)
class LedgerVerified(Result):
    """That the chain holds: its facts, its head, where the clock went back, and what was set aside or accepted."""

    facts: int
    head: str
    set_aside: str | None
    clock_went_back: tuple[int, ...]
    against: str | None
    accepted: Accepted | None

    def plain(self) -> Json:
        """Return the fields; a comparison and an accepted loss only where there is one."""
        fields = Result.plain(self)
        del fields["accepted"]
        if self.against is None:
            del fields["against"]
        lost = self.accepted
        return fields | ({"loss": plain(lost.loss), "open": lost.open} if lost else {})


def verify_ledger(
    workspace: Workspace, *, repair_torn: bool = False, accept_loss: bool = False, against: Path | None = None
) -> LedgerVerified:
    """Check that no fact was edited, reordered or cut off.

    ``repair_torn`` sets a torn last line aside first, as a crash leaves it. ``accept_loss`` goes on though the last
    facts are gone and no copy has them, which is recorded. ``against`` is a copy of the ledger to compare with.
    """
    if repair_torn and accept_loss:
        raise WrongUse("--repair-torn is for a line never acknowledged, --accept-loss for facts that count; give one")
    compared = _compared(workspace, against) if against is not None else None
    aside = workspace.ledger.set_aside_torn_line() if repair_torn else None
    accepted = lost_facts.accept_loss(workspace) if accept_loss else None
    count, head = workspace.ledger.verify(), workspace.ledger.head()
    back = tuple(fact.seq for before, fact in pairwise(workspace.ledger.facts()) if fact.at < before.at)
    shown = [f"a torn last line was moved to {aside}; it was never acknowledged as recorded"] if aside else []
    if accepted is not None:
        shown += [accepted.loss.words, lost_facts.NOT_KNOWN]
        shown += [f"open, as far as is known: {request}, {state}" for request, state in accepted.open.items()]
        shown += [f"what is left of them was moved to {accepted.aside}"] if accepted.aside is not None else []
    shown.append(f"the chain holds: {counted(count, 'fact')}, head {head}")
    if back:
        shown.append(
            f"the clock went back before line {', '.join(map(str, back[:5]))}{', ...' if back[5:] else ''}; facts "
            "are ordered by their place, which holds; set the machine's clock before deadlines are counted from it"
        )
    shown += [compared] if compared else []
    moved = str(aside) if aside else None
    return LedgerVerified(count, head, moved, back, compared, accepted, shown=tuple(shown))


def _compared(workspace: Workspace, against: Path) -> str:
    """Return in words how a copy compares with the ledger; refuse, with both, where the ledger is not whole."""
    try:
        data = workspace.ledger.journal.file.read_bytes()
    except FileNotFoundError:
        data = b""
    comparison = compared(data, copy_of(against), where=str(against))
    try:
        workspace.ledger.verify()
    except LedgerBroken as broken:
        raise Refused(f"{broken}; compared with {against}: {comparison.words}") from None
    if not comparison.is_prefix:
        raise Refused(f"{against}: {comparison.words}; it is not an earlier copy of this ledger, do not go back to it")
    return comparison.words


def export_facts(workspace: Workspace, *, request: str | None = None) -> Listing[Fact]:
    """Return the facts, or those about one request. They hold no personal data."""
    return Listing(tuple(workspace.ledger.facts() if request is None else case_of(workspace, request).facts))


@dataclass(frozen=True, slots=True)
class Diagnosis(Result):
    """The level of confinement that jobs reach here, and what it rests on."""

    confinement: Reached
    python: str
    libraries: dict[str, str | None]
    """Versions of libraries; None where one is not installed."""
    bwrap: str | None
    """Version and path of the program that starts a box, None where there is none that is new enough."""
    landlock: int
    """The version of the kernel's Landlock, 0 without it."""
    gpu: dict[str, str] | None
    """Model and driver of the GPU that a job would be given, None without one."""
    shared_memory: tuple[int, int] | None
    """Free and all bytes of ``/dev/shm``."""
    strays: tuple[str, ...]
    """Files and links among the installed packages that no distribution lists."""
    signing_key: str | None
    """Whether this workspace has one, None outside of a workspace."""

    def plain(self) -> Json:
        """Return the fields, with the words that a report may use of this level."""
        return Result.plain(self) | {"confinement": plain(self.confinement) | {"words": self.confinement.words}}


def doctor(workspace: Workspace | None = None) -> Diagnosis:
    """Find what this machine has and lacks for confined training. Changes nothing."""
    confinement = reached()
    libraries = {name: _version(name) for name in _LIBRARIES}
    usage = shutil.disk_usage(_SHARED) if _SHARED.is_dir() else None
    shared = (usage.free, usage.total) if usage else None
    found = tuple(str(folder / path) for folder in package_folders() for path in strays(folder))
    try:
        program = f"{bwrap_version()} ({bwrap()})"
    except ExecutionFailed:
        program = None
    device = gpu()
    key = None
    if workspace is not None:
        key = "there" if (workspace.private.folder / "signing.pem").is_file() else NO_KEY
    rows = (
        ("confinement", confinement.words),
        ("why", confinement.why),
        ("to raise it", confinement.raise_by),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        *((name, number or "not installed") for name, number in libraries.items()),
        ("bwrap", program or "not found"),
        ("Landlock", f"version {landlock.abi()}" if landlock.abi() else "not in this kernel"),
        ("GPU", f"{device.model or 'there'}, driver {device.driver or 'unknown'}" if device else lacking()),
        ("shared memory", f"{shared[0] // _MEBIBYTE} of {shared[1] // _MEBIBYTE} MiB free" if shared else "none"),
        ("signing key", key),
    )
    return Diagnosis(
        confinement,
        platform.python_version(),
        libraries,
        program,
        landlock.abi(),
        device.plain() if device else None,
        shared,
        found,
        key,
        shown=(table(rows=rows), *_attention(shared, found)),
    )


def workspace_here() -> Workspace | None:
    """Return the workspace that holds the current folder, None outside of one."""
    try:
        return Workspace.open()
    except NoWorkspace:
        return None


def _attention(shared: tuple[int, int] | None, found: tuple[str, ...]) -> list[Attention]:
    lines = []
    if shared is not None and shared[0] < _LEAST_SHARED:
        lines.append(
            f"{_SHARED} has {shared[0] // _MEBIBYTE} MiB free, and training with several processes may fail outside of "
            f"a box; delete what is left in it, or enlarge it (mount -o remount,size=1G {_SHARED})"
        )
    if found:
        more = f", and {counted(len(found) - _SHOWN, 'more')}" if len(found) > _SHOWN else ""
        lines.append(
            f"no installed distribution lists {', '.join(found[:_SHOWN])}{more}; jobs in a box do not see them, others "
            "do; delete them"
        )
    return [Attention(line) for line in lines]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
