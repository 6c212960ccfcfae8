"""Making and opening a workspace; verifying and exporting its ledger."""

from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from disgorge.errors import Refused, WrongUse
from disgorge.request.case import case_of
from disgorge.request.history import lost_facts
from disgorge.request.history.lost_facts import Accepted
from disgorge.result import Listing, Result
from disgorge.tracking.client import database_beside, tracking_uri, without_secrets
from disgorge.training.sandbox.levels import Reached, level_line, reached
from lineage.dvc.repo import is_repo
from lineage.errors import LedgerBroken
from lineage.ledger.chain import Fact
from lineage.ledger.compare import compared, copy_of
from lineage.plural import counted
from lineage.records import Json, plain
from lineage.workspace import Workspace


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
