"""Signed reports that differ from the recorded ones, or that name another ledger than the workspace's.

Of every closed request the folder and the zip are read. A report fact names the zip's SHA-256, which covers every byte,
and the id of the key. The statement must be about this request, plan and evidence, and the ledger must go on from the
head that it names.

A report is not verified here: nothing is derived again, because rules that a later version of this program adds would
accuse reports that were signed before (`disgorge verify` does it). What cannot be seen: a report written again under
another key by a person who also rewrote the ledger, and holds every copy of the old report.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from disgorge.audit.findings import FACTS_LOST, LEDGER_REWRITTEN, REPORT_CHANGED, Finding, Level
from disgorge.audit.rules.keys import public_key
from disgorge.audit.snapshot import Snapshot
from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.facts import ReportFact
from disgorge.locations.report_images import drawings
from disgorge.report.bundle import zip_of
from disgorge.request.case import Case
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.predicate import LedgerHead
from disgorge.statement.records import AGAIN, SLICE, facts_of_slice
from disgorge.statement.signing import Opened, key_id, open_envelope
from disgorge.verify.bundle import STATEMENT, check_signed_files, predicate_of
from disgorge.verify.verify import check_continued, open_members
from lineage.ledger.chain import Fact
from lineage.ledger.losses import losses_of

Members = Mapping[str, bytes]
_WITH_INPUTS = "-with-inputs.zip"


def reports(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding per report that is not the recorded one, or that names another ledger than the one here."""
    folder = snapshot.workspace.root / "reports"
    cases = snapshot.cases
    if not folder.is_dir() and not any(case.report for case in cases.values()):
        return
    compared = _Compared(snapshot)
    for name, case in cases.items():
        if case.closed and case.report:
            yield from compared.closed(case, folder / name)
        elif (folder / name / STATEMENT).is_file():
            yield from compared.open(case, folder / name)
    for path in sorted(folder.glob("*")):
        name = path.stem if path.suffix == ".zip" else path.name
        if name not in cases and not path.name.startswith(".") and not path.name.endswith(_WITH_INPUTS):
            yield from compared.unknown(path)


class _Compared:
    """Reports, compared with the ledger and the key of the workspace they lie in."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.workspace = snapshot.workspace
        self.cases = snapshot.cases
        self.public = public_key(snapshot)
        self.chain = [fact.digest for fact in snapshot.workspace.ledger.all_facts()]
        self.losses = tuple(losses_of(snapshot.workspace.ledger.facts()))

    def closed(self, case: Case, folder: Path) -> Iterator[Finding]:
        """Compare the folder and the zip of a closed request with the fact that its report was written."""
        fact = _last_report(case)
        there = [path for path in (folder, zip_of(folder)) if path.exists()]
        again = f"put it back from a copy, or write it again with `disgorge request report {case.request.id} --again`"
        if not there:
            yield self._missing(case, folder, fact, again)
        for path in there:
            try:
                members = read_members(path)
                opened = _recorded(members, path, case.last_report)
                head = predicate_of(opened).ledger
            except DisgorgeError as error:
                yield self._changed(path, _matter(error), again, fact.seq)
            else:
                yield from self._continued(path, head, members, case, fact.seq)

    def open(self, case: Case, folder: Path) -> Iterator[Finding]:
        """Check the report of a request that is not closed: a refusal, or what an interrupted report step left."""
        place = _last_report(case).seq if case.report else case.facts[0].seq
        try:
            members = read_members(folder)
            head = predicate_of(_signed(members, folder, public=self.public)).ledger
        except DisgorgeError as error:
            remedy = "put it back from a copy, or delete it: the end of the removal writes it anew"
            yield self._changed(folder, _matter(error), remedy, place)
        else:
            yield from self._continued(folder, head, members, case, place)

    def unknown(self, path: Path) -> Iterator[Finding]:
        """Check a report of an unknown request: a copy, another workspace's, or one whose request was taken out.

        Other files are not read.
        """
        try:
            members = read_members(path)
            opened = open_envelope(members[STATEMENT], public=members["public.pem"])
            predicate = predicate_of(opened)
        except (DisgorgeError, KeyError):
            return
        if self.public is not None and opened.key_id == key_id(self.public):
            yield from self._continued(path, predicate.ledger, members, self.cases.get(predicate.request), None)
            return
        words = "is a report that is not signed with this workspace's key, and the ledger knows no request of that name"
        yield Finding(REPORT_CHANGED, self._name(path), words, "move it to where it belongs", Level.WARNING)

    def _continued(
        self, path: Path, head: LedgerHead, members: Members, case: Case | None, place: int | None
    ) -> Iterator[Finding]:
        """Yield a finding unless the ledger goes on from the head that a report names."""
        try:
            check_continued(head, facts_of_slice(members[SLICE]), self.chain, case, "this workspace")
        except BundleBroken as error:
            lost = next((loss for loss in self.losses if loss.first <= head.size <= loss.last), None)
            if lost is None:
                yield self._rewritten(path, _matter(error), place)
                return
            words = f"names facts that the ledger does not have any more: {lost.words}"
            yield Finding(FACTS_LOST, self._name(path), words, "keep the report: it tells some of them", fact=lost.seq)

    def _missing(self, case: Case, folder: Path, fact: Fact, again: str) -> Finding:
        """Return what is to be said of a report that is not there; a later removal may have asked to delete it."""
        for drawing in drawings(self.workspace):
            if drawing.request == case.request.id and drawing.outlived:
                words = (
                    f"is not there; the report of {drawing.outlived[0]} said to delete it if its pictures show too much"
                )
                return Finding(REPORT_CHANGED, self._name(folder), words, "nothing, if you did", Level.NOTE, fact.seq)
        return self._changed(folder, "is missing, and so is its zip", again, fact.seq)

    def _changed(self, path: Path, words: str, remedy: str, place: int) -> Finding:
        here = f"{self.workspace.root}/"  # the same matter has the same words on every machine
        return Finding(REPORT_CHANGED, self._name(path), words.replace(here, ""), remedy, fact=place)

    def _rewritten(self, path: Path, words: str, place: int | None) -> Finding:
        remedy = "find out which facts were changed: `disgorge ledger verify --against COPY` compares with a copy"
        return Finding(LEDGER_REWRITTEN, self._name(path), words, remedy, fact=place)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.workspace.root).as_posix()


def _matter(error: Exception) -> str:
    """Return what is the matter, without what a reader of the report alone would do next."""
    return str(error).rpartition("; ")[0] or str(error)


def _last_report(case: Case) -> Fact:
    report: Fact = next(fact for fact in reversed(case.facts) if fact.kind == "report")
    return report


def _recorded(members: Members, path: Path, report: ReportFact) -> Opened:
    """Return the statement of a bundle that is the one a fact recorded; :class:`BundleBroken` says what is not."""
    same = sha256(pack(members)).hexdigest() == report.zip
    if same:
        opened = open_envelope(members[STATEMENT], public=members["public.pem"])
    else:
        opened = _signed(members, path, public=None)
    if opened.key_id != report.key:
        raise BundleBroken(
            f"is signed with key {opened.key_id[:16]}, and the one recorded with key {report.key[:16]}; {AGAIN}"
        )
    predicate = predicate_of(opened)
    about = {"request": predicate.request, "verdict": predicate.verdict}
    about |= {name: predicate.files[f"{name}.json"] for name in ("plan", "evidence")}
    for name, value in about.items():
        if value != getattr(report, name):
            raise BundleBroken(f"is signed, and about another {name} than the report that was recorded; {AGAIN}")
    if not same:
        raise BundleBroken(f"is signed, and is not the report that was recorded; {AGAIN}")
    return opened


def _signed(members: Members, path: Path, *, public: bytes | None) -> Opened:
    """Return the statement of a bundle whose files are those that were signed."""
    opened = open_members(members, path, public=public)
    check_signed_files(opened, members)
    return opened
