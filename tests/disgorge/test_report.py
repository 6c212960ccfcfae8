"""The bundle round-trips, verifies with nothing of ours, and refuses whatever was changed in it, signed or not."""

import builtins
import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import disgorge
from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.evidence.checks import Verdict
from disgorge.plan.plan import Action
from disgorge.report.bundle import ReportCase, verify_bundle, write_bundle
from disgorge.report.page import render_certificate
from disgorge.report.pdf import MISSING, render_pdf
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import new_key, open_envelope, public_pem
from disgorge.verify.bundle import carries
from lineage.records import canonical, digest_of, plain
from tests.disgorge.report_cases import (
    RELEASES,
    case,
    decision,
    evidence,
    facts_of,
    plan,
    request,
    sign_again,
    step,
    without,
)

DRAWS_PDF = True

KEY = new_key()
PUBLIC = public_pem(KEY)
SCHEMA = json.loads((Path(disgorge.__file__).parent / "statement" / "schemas" / "removal-v6.json").read_text())


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certified bundle nobody touches."""
    return write_bundle(tmp_path_factory.mktemp("reports") / "R-7", case(), key=KEY)


@pytest.fixture
def bundle(pristine: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(pristine, tmp_path / "R-7"))


def refused() -> ReportCase:
    """An execution that stopped in its probe step."""
    decided = decision()
    planned = plan(decided)
    found = evidence(planned)
    checks = tuple(
        replace(each, verdict=Verdict.FAIL) if each.name == "never-trained" else each
        for each in found.checks
        if each.name != "residue"
    )
    facts = facts_of(planned, decided, request(), steps=["contain-digits-maker"])
    return case(
        evidence=replace(found, checks=checks, after={}),
        refusal="digits-maker is not adopted: check never-trained is fail for digits-maker",
        facts=tuple(plain(fact) for fact in facts),
    )


def test_a_certified_bundle_verifies(pristine: Path) -> None:
    found = verify_bundle(pristine, public_key=PUBLIC)
    assert (found.verdict, found.request, found.guarantee) == ("certified", "R-7", "exact")
    assert found.key_source == "given"
    assert found.warning == ""
    assert f"<code>{found.key_id}</code>" in (pristine / "report.html").read_text(), "who has it on paper can ask"
    assert found.statement == sha256((pristine / "statement.json").read_bytes()).hexdigest()
    parts = {f"{release}/node/bob" for release in RELEASES}
    assert set(found.subjects) == {*RELEASES, *parts}


def test_the_key_can_be_a_file(pristine: Path, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(PUBLIC)
    assert verify_bundle(pristine, public_key=tmp_path / "key.pem").key_source == "given"
    with pytest.raises(BundleBroken, match="cannot be read"):
        verify_bundle(pristine, public_key=tmp_path / "none.pem")


def test_without_a_key_the_result_says_so_loudly(pristine: Path) -> None:
    found = verify_bundle(pristine)
    assert found.key_source == "self-asserted key"
    assert found.warning.startswith("SELF-ASSERTED KEY")


def test_somebody_elses_key_is_refused(pristine: Path) -> None:
    with pytest.raises(BundleBroken, match="not signed by this key"):
        verify_bundle(pristine, public_key=public_pem(new_key()))


def test_a_file_that_holds_a_record_has_its_digest(pristine: Path) -> None:
    made = case()
    for name, digest in (("plan", made.plan.digest), ("decision", made.decision.digest)):
        assert sha256((pristine / f"{name}.json").read_bytes()).hexdigest() == digest
    assert sha256((pristine / "evidence.json").read_bytes()).hexdigest() == digest_of(made.evidence)


@pytest.mark.parametrize("made", [case, refused])
def test_the_predicate_fits_its_schema(made: Callable[[], ReportCase], tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "report", made(), key=KEY)
    statement = open_envelope((folder / "statement.json").read_bytes(), public=PUBLIC).statement
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    validator.validate(statement["predicate"])
    for field in statement["predicate"]:
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(without(statement["predicate"], field))


def test_it_verifies_with_public_libraries_alone(pristine: Path) -> None:
    """What an auditor without our code does: DSSE by securesystemslib, then sha256 of each file."""
    script = """
import hashlib, json, pathlib, sys
sys.modules.update(dict.fromkeys(("disgorge", "lineage", "policies")))  # to import one of these is an error
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
folder = pathlib.Path(sys.argv[1])
key = SSlibKey.from_crypto(load_pem_public_key((folder / "public.pem").read_bytes()))
envelope = Envelope.from_dict(json.loads((folder / "statement.json").read_bytes()))
envelope.verify([key], 1)
statement = json.loads(envelope.payload)
assert envelope.payload_type == "application/vnd.in-toto+json"
assert statement["_type"] == "https://in-toto.io/Statement/v1"
files = statement["predicate"]["files"]
for name, digest in files.items():
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
pdf, signature = ((folder / name).read_bytes() for name in ("certificate.pdf", "certificate.pdf.sig"))
load_pem_public_key((folder / "public.pem").read_bytes()).verify(signature, pdf)
beside = {"statement.json", "certificate.pdf", "certificate.pdf.sig"}
assert set(files) | beside == {path.name for path in folder.iterdir()}
try:
    import disgorge
    raise SystemExit("disgorge can be imported")
except ImportError:
    pass
print(statement["predicate"]["verdict"])
"""
    result = subprocess.run([sys.executable, "-c", script, str(pristine)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "certified"


def link_to_a_file_outside(folder: Path) -> None:
    outside = Path(shutil.move(folder / "plan.json", folder.parent / "plan.json"))
    (folder / "plan.json").symlink_to(outside)


def cut_last_line(folder: Path) -> None:
    path = folder / "ledger-slice.jsonl"
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1]) + b"\n")


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (
        lambda folder: (folder / "impact.json").write_bytes(b"{}"),
        r"impact\.json was edited: its SHA-256 is not the one signed",
    ),
    **{
        f"{name} missing": (lambda folder, name=name: (folder / name).unlink(), name)
        for name in ("statement.json", "public.pem", "report.html", "ledger-slice.jsonl")
    },
    "cut": (cut_last_line, r"ledger-slice\.jsonl was edited"),
    "too many": (lambda folder: (folder / "notes.txt").touch(), r"unexpected file notes\.txt in the bundle"),
    "folder": (lambda folder: (folder / "more").mkdir(), "more is not a file of the report"),
    "link": (link_to_a_file_outside, r"plan\.json is not a file"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_changed_folder_is_refused_and_the_error_names_the_file(bundle: Path, name: str) -> None:
    change, words = FOLDERS[name]
    change(bundle)
    with pytest.raises(BundleBroken, match=words):
        verify_bundle(bundle, public_key=PUBLIC)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleBroken, match="is not a report"):
        verify_bundle(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleBroken, match=r"statement\.json is missing"):
        verify_bundle(tmp_path / "empty")


Predicate = dict[str, Any]
Files = dict[str, bytes]


def edited(files: Files, name: str, change: Callable[[Any], object]) -> str:
    """Edit a record and return its new digest, which a certificate names."""
    value = json.loads(files[name])
    change(value)
    files[name] = canonical(value)
    return digest_of(value)


def checks(change: Callable[[list[Any]], object]) -> Callable[[Predicate, Files], None]:
    """Edit the checks in the evidence, and name that evidence in the certificate."""

    def forge(predicate: Predicate, files: Files) -> None:
        told = edited(files, "evidence.json", lambda value: change(value["checks"]))
        predicate["certificate"]["evidence"] = told

    return forge


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Predicate, Files], None]:
    """Edit the facts."""

    def forge(predicate: Predicate, files: Files) -> None:
        files["ledger-slice.jsonl"] = b"".join(change(files["ledger-slice.jsonl"].splitlines(keepends=True)))

    return forge


FORGERIES: dict[str, tuple[Callable[[Predicate, Files], object], str]] = {
    "fail_a_check": (
        checks(lambda found: found[0].update(verdict="fail")),
        "claims a certificate the evidence does not carry.*answers|never-trained|lineage-closure",
    ),
    "drop_controls": (checks(lambda found: [c.update(controls=[]) for c in found]), "without a negative control"),
    "forget_the_evidence_digest": (
        lambda predicate, files: edited(files, "evidence.json", lambda value: value["environment"].clear()),
        "carries another certificate",
    ),
    "other_plan": (
        lambda predicate, files: edited(files, "plan.json", lambda value: value.update(approvals=0)),
        "evidence.json is about another plan",
    ),
    "claim_more_subjects": (
        lambda predicate, files: predicate["certificate"].update(subjects=["everything"]),
        "carries another certificate",
    ),
    "claim_certified_by_words": (
        lambda predicate, files: predicate["certificate"].update(words="All is well."), "carries another certificate",
    ),
    "leave_out_a_step": (
        lines(lambda found: [line for line in found if b'"step":"purge' not in line]), "steps not done: purge",
    ),
    "leave_out_the_approval": (
        lines(lambda found: [line for line in found if b'"kind":"approval"' not in line]),
        "0 approvals of the plan and it needs 1",
    ),
    "edit_a_fact": (
        lines(lambda found: [line.replace(b'"seconds":0.5', b'"seconds":0.6', 1) for line in found]),
        "does not match its digest in the chain",
    ),
    "reorder_facts": (lines(lambda found: [found[1], found[0], *found[2:]]), "out of order"),
    "no_facts": (lines(lambda found: []), "no fact that records this request"),
    "nonsense_facts": (lines(lambda found: [b"[]\n"]), "line 1 is not a fact"),
    "certificate_without_guarantee": (
        lambda predicate, files: predicate["certificate"].update(guarantee=9),
        "lacks what a removal statement must say",
    ),
    "refusal_with_certificate": (
        lambda predicate, files: predicate.update(verdict="refused"), "lacks what a removal statement must say",
    ),
    "no_predicate_to_speak_of": (
        lambda predicate, files: predicate.clear(), "lacks what a removal statement must say",
    ),
    "other_request": (
        lambda predicate, files: edited(files, "request.json", lambda value: value.update(identity_verified=False)),
        "no fact that records this request",
    ),
    "loose_json": (
        lambda predicate, files: files.update({"plan.json": json.dumps(json.loads(files["plan.json"])).encode()}),
        "plan.json is not written in canonical form",
    ),
    "another_key": (
        lambda predicate, files: files.update({"public.pem": public_pem(new_key())}), "is not the key that signed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_signed_claims_that_do_not_follow_are_refused(bundle: Path, name: str) -> None:
    forge, words = FORGERIES[name]
    path = bundle.with_name("forged.zip")
    path.write_bytes(pack(sign_again(read_members(bundle), KEY, forge)))
    with pytest.raises(BundleBroken, match=words):
        verify_bundle(path, public_key=PUBLIC)


def test_a_refused_execution_has_a_signed_report_and_no_certificate(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "R-7", refused(), key=KEY)
    found = verify_bundle(folder, public_key=PUBLIC)
    assert (found.verdict, found.guarantee) == ("refused", None)
    assert "never-trained is fail" in found.words
    predicate = open_envelope((folder / "statement.json").read_bytes(), public=PUBLIC).statement["predicate"]
    assert predicate["certificate"] is None
    assert set(found.subjects) == {"plan of request R-7"}


def test_a_certificate_the_evidence_does_not_carry_is_never_written(tmp_path: Path) -> None:
    """The writer verifies what it wrote: a caller that brings its own certificate gets no bundle."""
    good = case()
    checks = tuple(each for each in good.evidence.checks if each.name != "residue")
    broken = replace(good, evidence=replace(good.evidence, checks=checks))
    with pytest.raises(BundleBroken):
        write_bundle(tmp_path / "R-7", broken, key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_neither_or_both_of_certificate_and_refusal_is_an_error() -> None:
    with pytest.raises(DisgorgeError, match="not both"):
        case(certificate=None)
    with pytest.raises(DisgorgeError, match="not both"):
        case(certificate=case().certificate, refusal="and yet")


def test_a_value_json_cannot_carry_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    stopped = refused()
    checks = (replace(stopped.evidence.checks[0], value=float("nan")), *stopped.evidence.checks[1:])
    with pytest.raises(DisgorgeError, match="not a finite number"):
        write_bundle(tmp_path / "R-7", replace(stopped, evidence=replace(stopped.evidence, checks=checks)), key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_another_report_takes_its_place(bundle: Path) -> None:
    write_bundle(bundle, refused(), key=KEY)
    assert verify_bundle(bundle).verdict == "refused"
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["R-7", "R-7.zip"]


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    stale = tmp_path / ".R-7.partial-abc"
    stale.mkdir()
    (stale / "plan.json").write_text("half")
    write_bundle(tmp_path / "R-7", case(), key=KEY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R-7", "R-7.zip"]


def test_a_plan_that_needs_two_needs_two_different_people(tmp_path: Path) -> None:
    decided = decision()
    planned = replace(plan(decided), approvals=2)
    with pytest.raises(BundleBroken, match="1 approvals of the plan and it needs 2"):
        write_bundle(tmp_path / "R-7", case(plan=planned, decision=decided), key=KEY)


def test_a_destroyed_release_is_reported_on_the_plan(tmp_path: Path) -> None:
    decided = decision()
    old = plan(decided)
    withdrawals = tuple(step(Action.WITHDRAW, name, name) for name in ("digits-maker", "digits-reader"))
    kept = [step for step in old.steps if step.action in (Action.WITHDRAW_ITEMS, Action.PURGE, Action.REPORT)]
    planned = replace(old, steps=(*withdrawals, *kept), required=("lineage-closure", "residue"))
    found = evidence(planned)
    checks = tuple(each for each in found.checks if each.name in ("lineage-closure", "residue"))
    made = case(decision=decided, plan=planned, evidence=replace(found, checks=checks, after={}), samples=None)
    verified = verify_bundle(write_bundle(tmp_path / "R-7", made, key=KEY), public_key=PUBLIC)
    assert verified.verdict == "certified"
    assert set(verified.subjects) == {"plan of request R-7"}
    assert "Withdrawn and destroyed" in verified.words


# The PDF: one or two sheets of PDF/A-3 that carry the statement, the same bytes each time


STATEMENT = b'{"payload":"e30="}\n'


@pytest.fixture(scope="module")
def pdf() -> bytes:
    """The certificate of a usual case."""
    drawn = render_pdf(case(), STATEMENT)
    assert drawn is not None, MISSING
    return drawn


def streams(pdf: bytes) -> list[bytes]:
    """What the streams of a PDF hold, unpacked where they are packed."""
    found = []
    for match in re.finditer(rb"\bstream\r?\n", pdf):
        try:
            found.append(zlib.decompressobj().decompress(pdf[match.end() :]))
        except zlib.error:
            found.append(pdf[match.end() : pdf.index(b"endstream", match.end())])
    return found


def test_it_says_that_it_is_an_archival_pdf_and_attaches_the_statement(pdf: bytes) -> None:
    told = b"".join(streams(pdf))
    assert re.search(rb"pdfaid:part[^0-9]+3", told)
    assert re.search(rb"pdfaid:conformance[^A-Z]+B", told)
    assert b"/AFRelationship/Source" in told.replace(b" ", b"")
    assert STATEMENT in streams(pdf)


def test_it_is_one_or_two_sheets_of_a4(pdf: bytes) -> None:
    told = b"".join((pdf, *streams(pdf))).replace(b" ", b"")
    assert 1 <= len(re.findall(rb"/Type/Page\b(?!s)", told)) <= 2
    assert set(re.findall(rb"/MediaBox\[([0-9.]+)\]", told)) == {b"00595.275591841.889764"}


def test_it_says_everything_a_reader_must_know() -> None:
    words = re.sub(r"<[^>]*>", " ", render_certificate(case()))
    for needed in ("Carried out and certified", "What was asked", "What was done", "What was checked", "Controls held"):
        assert needed in words
    for needed in (
        "What is not promised, and not shown",
        "About this removal",
        "About this machine",
        "Always",
        "the operator, whose key signed it, is honest",
        "How to verify",
    ):
        assert needed in words
    assert "4 of 4" in words  # both controls of both attacks


def test_another_statement_is_not_carried(pdf: bytes) -> None:
    assert carries(pdf, STATEMENT)
    assert not carries(pdf, STATEMENT + b"\n")
    assert not carries(pdf, STATEMENT[:-2])
    assert not carries(b"%PDF-1.7 stream\n" + b"x" * 1000 + b"endstream", STATEMENT)


def test_without_pango_the_report_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, *rest: Any) -> Any:
        if name.startswith("weasyprint"):
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    key = new_key()
    folder = write_bundle(tmp_path / "R-7", case(), key=key)
    monkeypatch.undo()
    assert "certificate.pdf" not in read_members(folder)
    assert verify_bundle(folder.with_name("R-7.zip"), public_key=public_pem(key), level="ledger").verdict == "certified"


def test_verifying_loads_nothing_heavy(tmp_path: Path) -> None:
    """Digests and ledger are checked where neither torch nor the library that draws is installed."""
    key = new_key()
    folder = write_bundle(tmp_path / "R-7", case(), key=key)
    script = (
        "import sys, pathlib\n"
        "sys.modules.update(dict.fromkeys(('torch', 'weasyprint', 'jinja2', 'mlflow', 'dvc', 'pandas')))\n"
        "from disgorge.verify.verify import verify_bundle\n"
        f"print(verify_bundle(pathlib.Path({str(folder)!r}), level='ledger').verdict)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "certified"
