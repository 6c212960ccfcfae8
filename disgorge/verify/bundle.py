"""Checks a report's claims against the records it carries. Pure: bytes in, findings or :class:`BundleBroken` out.

In this order: the files are those that were signed, before anything in them is read; each record is what it says; they
belong together (:mod:`disgorge.verify.agreement`); the certificate follows from the evidence. The sentences for people
(caveats, the pages) are signed and not derived again.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

from disgorge.errors import BundleBroken, CertificateRefused
from disgorge.statement.bundle_zip import ARTIFACTS, ATTESTATIONS, CODE, INPUTS, WEIGHTS, is_name
from disgorge.statement.certificate import Certificate, issue
from disgorge.statement.predicate import EARLIER_TYPES, PREDICATE_TYPE, STATEMENT_TYPE, Predicate, subjects_of
from disgorge.statement.records import AGAIN, SLICE, Records, record_files
from disgorge.statement.signing import Opened, is_signed, key_id
from disgorge.verify.agreement import check_agreement, recipes_read
from lineage.plural import counted
from lineage.records import canonical, restore
from lineage.storage.tree import files_listed

STATEMENT, PDF, PDF_SIGNATURE = "statement.json", "certificate.pdf", "certificate.pdf.sig"
_FRAME = {"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE, "subject": None, "predicate": None}
_UNSIGNED = frozenset({STATEMENT, PDF, PDF_SIGNATURE})
"""The files that the statement does not cover: itself, and the PDF that carries it."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose parts agree, read back, and the sentences about what was checked.

    ``inputs``, ``weights``, ``code`` and ``artifacts``, the listings and files of trees, are what is attached, by
    digest; ``attestations`` are envelopes and public keys, by name.
    """

    predicate: Predicate
    records: Records
    certificate: Certificate | None
    inputs: Mapping[str, bytes]
    weights: Mapping[str, bytes]
    code: Mapping[str, bytes]
    artifacts: Mapping[str, bytes]
    attestations: Mapping[str, bytes]
    checked: tuple[str, ...]

    @property
    def words(self) -> str:
        """The certificate's words, or why there is none."""
        return self.certificate.words if self.certificate else str(self.predicate.refusal)

    @property
    def subjects(self) -> dict[str, str]:
        """What the statement is about, SHA-256 by name."""
        listed = subjects_of(self.records.plan, self.records.compositions, certified=self.certificate is not None)
        return {each["name"]: each["digest"]["sha256"] for each in listed}


def check_bundle(opened: Opened, members: Mapping[str, bytes]) -> Bundle:
    """Return what the bundle says if everything in it bears out everything else.

    ``opened`` is the statement in ``statement.json``, its signature checked.
    """
    check_signed_files(opened, members)
    predicate = predicate_of(opened)
    records = check_agreement(predicate, Records.read(members))
    plan, certified = records.plan, predicate.certificate is not None
    if opened.statement.get("subject") != subjects_of(plan, records.compositions, certified=certified):
        raise BundleBroken(f"{STATEMENT} is about other artifacts than the evidence; {AGAIN}")
    certificate = _check_certificate(predicate, records)
    read = recipes_read(records.recipes)
    components = {note.component for note in records.recipes}
    return Bundle(
        predicate,
        records,
        certificate,
        inputs=_attached(members, INPUTS, ".parquet", allowed=read["shard"]),
        weights=_weights(members, components),
        code=_trees(members, CODE, {note.recipe["code"] for note in records.recipes if "code" in note.recipe}),
        artifacts=_trees(members, ARTIFACTS, read["artifact"]),
        attestations={name: data for name, data in members.items() if name.startswith(ATTESTATIONS)},
        checked=(
            f"the statement's signature{' and that of the PDF' * predicate.pdf}, by key {opened.key_id[:16]}",
            f"{len(members)} files, every byte covered by a signature",
            "that request, decision, plan, impact and evidence belong together",
            f"{len(records.facts)} facts by their digests, none after the ledger's head {predicate.ledger.digest[:16]}",
            f"{counted(len(records.recipes), 'component')} of "
            f"{counted(len(records.compositions), 'new composition')} by their digests, and that no recipe names a "
            f"shard that was withdrawn",
            *(["the certificate, issued again from the evidence"] if certificate else []),
            *(
                f"that it points to the report on {confirmed.request}, whose {STATEMENT} has the SHA-256 "
                f"{confirmed.statement}: the removal itself is shown there, and that report was not looked at; "
                "verify it too"
                for confirmed in [plan.confirmation]
                if confirmed is not None
            ),
        ),
    )


def check_signed_files(opened: Opened, members: Mapping[str, bytes]) -> None:
    """Check that every file is the one that was signed, the public key and the PDF included."""
    kind = str(opened.statement.get("predicateType"))
    if kind != PREDICATE_TYPE and kind.startswith(EARLIER_TYPES):
        raise BundleBroken(
            f"{STATEMENT} is of an earlier format ({kind[:60]}) and is not read any more; verify the report with the "
            "version of disgorge that wrote it"
        )
    try:
        signed = dict(opened.statement["predicate"]["files"])
        has_pdf = opened.statement["predicate"].get("pdf") is True
    except Exception as error:  # the maker may sign any nonsense
        raise BundleBroken(f"{STATEMENT} does not name the files of a report; {AGAIN}") from error
    needed = {*record_files(), SLICE, "public.pem", "report.html"}
    expected = needed | set(signed) | ({*_UNSIGNED} if has_pdf else {STATEMENT})
    for name in sorted(expected, key=str):
        if name not in members:
            raise BundleBroken(f"{str(name)[:80]} is missing; ask for the whole report")
        if name in needed and name not in signed:
            raise BundleBroken(f"{name} is not covered by the signature; {AGAIN}")
        if name in signed and sha256(members[name]).hexdigest() != signed[name]:
            raise BundleBroken(f"{name} was edited: its SHA-256 is not the one signed; {AGAIN}")
        if name in signed and name not in needed and not (is_name(name) and "/" in name):
            raise BundleBroken(f"{name[:80]!r} is signed and yet not part of a report; {AGAIN}")
    for name in sorted(set(members) - expected):
        raise BundleBroken(f"unexpected file {name} in the bundle, which is not signed; remove it, or {AGAIN}")
    if key_id(members["public.pem"]) != opened.key_id:
        raise BundleBroken(f"public.pem is not the key that signed the statement; {AGAIN}")
    if has_pdf and not is_signed(members[PDF], members[PDF_SIGNATURE], public=members["public.pem"]):
        raise BundleBroken(f"{PDF} was edited: {PDF_SIGNATURE} is not its signature; {AGAIN}")
    if has_pdf and not carries(members[PDF], members[STATEMENT]):
        raise BundleBroken(f"{PDF} does not carry the statement; {AGAIN}")


def carries(pdf: bytes, statement: bytes) -> bool:
    """Whether one of the PDF's streams is the statement, byte for byte, packed with zlib or not at all."""
    for match in re.finditer(rb"\bstream\r?\n", pdf):
        start = match.end()
        if pdf.startswith(statement, start):
            return True
        try:
            if zlib.decompressobj().decompress(pdf[start:], len(statement) + 1) == statement:
                return True
        except zlib.error:
            continue
    return False


def predicate_of(opened: Opened) -> Predicate:
    """Return what a statement says of its subjects; :class:`BundleBroken` if it is not a removal statement."""
    statement = opened.statement
    if {**statement, "subject": None, "predicate": None} != _FRAME:
        raise BundleBroken(f"{STATEMENT} is not a removal statement of a known version; {AGAIN}")
    try:
        predicate = restore(Predicate, statement["predicate"])
        sound = predicate.is_sound and canonical(predicate) == canonical(statement["predicate"])
    except Exception as error:  # whatever pydantic, rfc8785 and hostile values make of it
        raise BundleBroken(f"{STATEMENT} lacks what a removal statement must say; {AGAIN}") from error
    if not sound:
        raise BundleBroken(f"{STATEMENT} lacks what a removal statement must say; {AGAIN}")
    return predicate


def _check_certificate(predicate: Predicate, records: Records) -> Certificate | None:
    """Issue the certificate again and compare."""
    claimed = predicate.certificate
    if claimed is None:
        return None
    try:
        issued = issue(
            records.evidence,
            plan=records.plan,
            decision=records.decision,
            steps_done=records.steps_done,
            guarantee=claimed.guarantee,
        )
    except CertificateRefused as refusal:
        raise BundleBroken(f"{STATEMENT} claims a certificate the evidence does not carry: {refusal}") from refusal
    if issued != claimed:
        raise BundleBroken(f"{STATEMENT} carries another certificate than its evidence does; {AGAIN}")
    return issued


def _weights(members: Mapping[str, bytes], components: set[str]) -> dict[str, bytes]:
    """Return attached tensors, and the listings and files of components that are folders; each must be whole."""
    kinds = {ending: {} for ending in (".safetensors", ".tree", ".bin")}  # type: dict[str, dict[str, bytes]]
    for name, data in members.items():
        if name.startswith(WEIGHTS):
            kinds.get(PurePosixPath(name).suffix, kinds[".safetensors"])[name] = data
    found = _by_sha256(kinds[".safetensors"], WEIGHTS, ".safetensors", allowed=components)
    listings = _by_sha256(kinds[".tree"], WEIGHTS, ".tree", allowed=components)
    files = _files_of(listings, WEIGHTS, ".tree")
    found |= listings | _by_sha256(kinds[".bin"], WEIGHTS, ".bin", allowed=files)
    if lacking := sorted(files - found.keys()):
        raise BundleBroken(f"{WEIGHTS}{lacking[0]}.bin is missing, and a component lists it; {AGAIN}")
    return found


def _files_of(listings: Mapping[str, bytes], folder: str, ending: str) -> set[str]:
    """Return the digests of the files that the listings of trees, by digest, name."""
    files = {digest: files_listed(listing) for digest, listing in listings.items()}
    if broken := sorted(digest for digest, listed in files.items() if listed is None):
        raise BundleBroken(f"{folder}{broken[0]}{ending} is not the listing of a tree; {AGAIN}")
    return {file.sha256 for each in files.values() for file in each or ()}


def _attached(members: Mapping[str, bytes], folder: str, ending: str, *, allowed: set[str]) -> dict[str, bytes]:
    attached = {}
    for name, data in members.items():
        if name.startswith(folder):
            digest = name.removeprefix(folder).removesuffix(ending)
            if digest not in allowed or name != f"{folder}{digest}{ending}":
                raise BundleBroken(f"unexpected file {name}: no recipe read or made it; {AGAIN}")
            attached[digest] = data
    return attached


def _by_sha256(members: Mapping[str, bytes], folder: str, ending: str, *, allowed: set[str]) -> dict[str, bytes]:
    attached = _attached(members, folder, ending, allowed=allowed)
    for digest, data in attached.items():
        if sha256(data).hexdigest() != digest:
            raise BundleBroken(f"{folder}{digest}{ending} is not what has that digest; {AGAIN}")
    return attached


def _trees(members: Mapping[str, bytes], folder: str, trees: set[str]) -> dict[str, bytes]:
    """Return the listings and files of attached trees; each that is there must be whole."""
    listings = {digest: members[f"{folder}{digest}.bin"] for digest in trees if f"{folder}{digest}.bin" in members}
    listed = _files_of(listings, folder, ".bin")
    found = _by_sha256(members, folder, ".bin", allowed={*listings, *listed})
    if lacking := sorted(listed - found.keys()):
        what = "code of a recipe" if folder == CODE else "artifact of a recipe"
        raise BundleBroken(f"{folder}{lacking[0]}.bin is missing, and the {what} lists it; {AGAIN}")
    return found
