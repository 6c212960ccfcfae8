"""Verification of a report's bundle, at three levels, each of which includes the one before.

    digests     signatures, every file, canonical records, the certificate issued again
    ledger      with a workspace: its ledger goes on from the head that the statement names, and has just these facts
    reexecute   the recorded recipes run again in fresh processes, and reach the same digests

The first two trust nothing that can be derived again and need neither torch nor the ledger. What they cannot see:
whether the measurements were made, and whether the ledger was the only one. The third sees what was made, not who says
so: for that the public key has to come from elsewhere than the bundle. Sentences for people (caveats, report.html, the
PDF) are signed as they are; they are not compared with the evidence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from disgorge.errors import BundleBroken
from disgorge.evidence.checks import Utility
from disgorge.evidence.utility import headlines
from disgorge.request.case import docket
from disgorge.statement.bundle_zip import read_members
from disgorge.statement.predicate import LedgerHead
from disgorge.statement.records import AGAIN
from disgorge.statement.signing import Opened, open_envelope
from disgorge.training.recipe import OnProgress, unseen
from disgorge.verify.bundle import STATEMENT, Bundle, check_bundle
from disgorge.verify.reexecute import Reexecution, reexecute
from lineage.records import Json
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.request.case import Case

Level = Literal["digests", "ledger", "reexecute"]

GIVEN = "given"
SELF_ASSERTED = "self-asserted key"


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that holds together.

    ``key_source`` is ``given`` when the caller brought the public key, else ``self-asserted key``: then the bundle is
    only consistent with itself, and any key could have signed it. ``warning`` says so in words, "" otherwise.
    ``level`` is how far it was verified; ``reexecution`` what came of that, where it was asked for.
    """

    bundle: Path
    verdict: str
    request: str
    plan: str
    guarantee: str | None
    words: str
    subjects: Mapping[str, str]
    statement: str
    key_id: str
    key_source: str
    checked: tuple[str, ...]
    level: Level = "digests"
    reexecution: Reexecution | None = None
    utility: tuple[Utility, ...] = ()
    """The measure to speak of for every release, before and after."""

    @property
    def warning(self) -> str:
        """What a reader must be told before the verdict."""
        if self.key_source == GIVEN:
            return ""
        return (
            "SELF-ASSERTED KEY: the signature was checked with the key that lies in the bundle, which proves nothing "
            "about who signed it; get the public key from the issuer of the report and verify again with it"
        )


def verify_bundle(
    bundle: Path,
    *,
    public_key: Path | bytes | None = None,
    level: Level = "digests",
    workspace_folder: Path | None = None,
    on_progress: OnProgress | None = None,
    members: Mapping[str, bytes] | None = None,
) -> Verified:
    """Check a bundle, its zip or its folder, and return what it says; ``members`` if they were read already.

    Without ``public_key`` the bundle's own is taken, and the result says so. ``workspace_folder`` is where the ledger,
    and what the bundle lacks of inputs and weights, can be read. :class:`BundleBroken` names the file and what is wrong
    with it; :class:`~disgorge.errors.InputsMissing` what re-executing lacks.
    """
    members = read_members(bundle) if members is None else members
    public = _key(public_key)
    opened = open_members(members, bundle, public=public)
    try:
        checked_bundle = check_bundle(opened, members)
    except BundleBroken:
        raise
    except Exception as error:  # a dishonest maker signs any nonsense; it is refused, and nothing more is said of it
        raise BundleBroken(f"the report's records make no sense together ({type(error).__name__}); {AGAIN}") from error
    checked = [*checked_bundle.checked]
    if level != "digests" and workspace_folder is not None:
        checked.append(_check_live(checked_bundle, workspace_folder))
    again = None
    if level == "reexecute":
        again = reexecute(checked_bundle, workspace_folder=workspace_folder, on_progress=on_progress or unseen)
        checked.append(again.words)
    return Verified(
        bundle=bundle,
        verdict=checked_bundle.predicate.verdict,
        request=checked_bundle.records.request.id,
        plan=checked_bundle.records.plan.digest,
        guarantee=checked_bundle.certificate.guarantee.label if checked_bundle.certificate else None,
        words=checked_bundle.words,
        subjects=checked_bundle.subjects,
        statement=sha256(members[STATEMENT]).hexdigest(),
        key_id=opened.key_id,
        key_source=SELF_ASSERTED if public is None else GIVEN,
        checked=tuple(checked),
        level=level,
        reexecution=again,
        utility=headlines(checked_bundle.records.evidence.utility),
    )


def open_members(members: Mapping[str, bytes], bundle: Path, *, public: bytes | None) -> Opened:
    """Return the statement once its signature holds; ``public`` None takes the bundle's own key."""
    for name in (STATEMENT, "public.pem"):
        if name not in members:
            raise BundleBroken(f"{name} is missing from {bundle}; ask for the whole report")
    trusted = members["public.pem"] if public is None else public
    return open_envelope(members[STATEMENT], public=trusted, name=STATEMENT)


def _key(public_key: Path | bytes | None) -> bytes | None:
    if not isinstance(public_key, Path):
        return public_key
    try:
        return public_key.read_bytes()
    except OSError as error:
        raise BundleBroken(f"{public_key} cannot be read ({error.strerror}); check the file and try again") from error


def _check_live(bundle: Bundle, workspace_folder: Path) -> str:
    """Check that the workspace's ledger begins with the one the statement names, and told all it has of the request."""
    workspace, records = Workspace.open(workspace_folder), bundle.records
    cases = docket(workspace)
    chain = [fact.digest for fact in workspace.ledger.all_facts()]
    case, where = cases.get(records.request.id), str(workspace_folder)
    check_continued(bundle.predicate.ledger, records.facts, chain, case, where)
    if (confirmed := records.plan.confirmation) is not None:
        _check_pointed_to(confirmed.request, confirmed.statement, workspace_folder, cases)
    return f"the ledger in {where}: it begins with those facts, and has no other about the request up to then"


def check_continued(
    head: LedgerHead, facts: Iterable[Mapping[str, Json]], chain: Sequence[str], case: "Case | None", where: str
) -> None:
    """Check that a ledger goes on from a report's head, and had just ``facts`` about the request by then.

    ``chain`` holds the digests of all its facts; ``case`` is the request as that ledger knows it.
    :class:`BundleBroken` says which of the two does not hold.
    """
    if not 0 < head.size <= len(chain) or chain[head.size - 1] != head.digest:
        raise BundleBroken(f"the ledger in {where} is not the one this report was written from; ask which it was")
    digests = [fact.digest for fact in case.facts if fact.seq <= head.size] if case else []
    if digests != [fact["digest"] for fact in facts]:
        raise BundleBroken(f"the ledger in {where} has other facts about the request than the report; {AGAIN}")


def _check_pointed_to(request: str, statement: str, workspace_folder: Path, cases: "Mapping[str, Case]") -> None:
    """Check that the workspace has the very report that this one rests on."""
    report = cases[request].report if request in cases else None
    path = workspace_folder / report.bundle / STATEMENT if report else None
    if path is None or not path.is_file():
        raise BundleBroken(
            f"the report on {request}, on which this one rests, is not in {workspace_folder}; ask for both"
        )
    if sha256(path.read_bytes()).hexdigest() != statement:
        raise BundleBroken(f"{path} is not the report on {request} that this one rests on; {AGAIN}")
