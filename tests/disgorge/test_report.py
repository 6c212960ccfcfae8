"""The bundle round-trips, verifies with nothing of ours, and refuses whatever was changed in it, signed or not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import disgorge
from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.evidence.checks import Verdict
from disgorge.plan.plan import Action
from disgorge.report.bundle import ReportCase, verify_bundle, write_bundle
from disgorge.statement.signing import new_key, open_envelope, public_pem, sign
from lineage.records import canonical, digest_of, plain
from tests.disgorge.report_cases import RELEASES, case, decision, evidence, facts_of, plan, request, without

KEY = new_key()
PUBLIC = public_pem(KEY)
SCHEMA = json.loads((Path(disgorge.__file__).parent / "statement" / "schemas" / "removal-v5.json").read_text())


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
    assert found.statement == sha256((pristine / "statement.json").read_bytes()).hexdigest()
    parts = {f"{release}/node/bob" for release in RELEASES}
    assert set(found.subjects) == {*RELEASES, *parts}


def test_the_page_says_which_key_signed_it(pristine: Path) -> None:
    """Whoever has the page on paper can ask the issuer whether that key is theirs."""
    found = verify_bundle(pristine, public_key=PUBLIC)
    assert f"<code>{found.key_id}</code>" in (pristine / "report.html").read_text()


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


def test_any_flipped_byte_is_refused(bundle: Path) -> None:
    """Of the folder: every file's first and last bytes and some between; test_bundle_bytes has all of the zip."""
    generator = np.random.default_rng(7)
    tried = 0
    for path in sorted(bundle.iterdir()):
        whole = path.read_bytes()
        places = {0, len(whole) - 1, *generator.integers(len(whole), size=12).tolist()}
        for place in sorted(places):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << int(generator.integers(8))
            path.write_bytes(flipped)
            with pytest.raises(BundleBroken):
                verify_bundle(bundle, public_key=PUBLIC)
            with pytest.raises(BundleBroken):
                verify_bundle(bundle)
            tried += 1
        path.write_bytes(whole)
    verify_bundle(bundle, public_key=PUBLIC)
    assert tried >= 10 * len(list(bundle.iterdir()))


def test_the_error_names_the_file(bundle: Path) -> None:
    (bundle / "impact.json").write_bytes(b"{}")
    with pytest.raises(BundleBroken, match=r"impact\.json was edited: its SHA-256 is not the one signed"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["statement.json", "public.pem", "report.html", "ledger-slice.jsonl"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleBroken, match=name):
        verify_bundle(bundle, public_key=PUBLIC)


def test_a_truncated_file_is_refused(bundle: Path) -> None:
    path = bundle / "ledger-slice.jsonl"
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1]) + b"\n")
    with pytest.raises(BundleBroken, match=r"ledger-slice\.jsonl was edited"):
        verify_bundle(bundle)


def test_a_file_too_many_is_refused(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("looks official")
    with pytest.raises(BundleBroken, match=r"unexpected file notes\.txt in the bundle"):
        verify_bundle(bundle)


def test_a_link_or_folder_inside_is_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "more").mkdir()
    with pytest.raises(BundleBroken, match="more is not a file of the report"):
        verify_bundle(bundle)
    (bundle / "more").rmdir()
    (tmp_path / "plan.json").write_bytes((bundle / "plan.json").read_bytes())
    (bundle / "plan.json").unlink()
    (bundle / "plan.json").symlink_to(tmp_path / "plan.json")
    with pytest.raises(BundleBroken, match=r"plan\.json is not a file"):
        verify_bundle(bundle)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleBroken, match="is not a report"):
        verify_bundle(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleBroken, match=r"statement\.json is missing"):
        verify_bundle(tmp_path / "empty")


def signed_anew(folder: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> None:
    """What a dishonest maker does: edit records or claims, hash again, sign again with the real key; a PDF less."""
    for name in ("certificate.pdf", "certificate.pdf.sig"):
        (folder / name).unlink(missing_ok=True)
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "statement.json"}
    statement = open_envelope((folder / "statement.json").read_bytes(), public=PUBLIC).statement
    statement["predicate"]["pdf"] = False
    change(statement["predicate"], files)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    statement["predicate"]["files"] = {name: sha256(data).hexdigest() for name, data in files.items()}
    (folder / "statement.json").write_bytes(sign(statement, key=KEY))


def edit_json(files: dict[str, bytes], name: str, change: Callable[[Any], None]) -> str:
    """Edit a record and return its new digest."""
    value = json.loads(files[name])
    change(value)
    files[name] = canonical(value)
    return digest_of(value)


def fail_a_check(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    def change(value: Any) -> None:
        value["checks"][0]["verdict"] = "fail"

    predicate["certificate"]["evidence"] = edit_json(files, "evidence.json", change)


def drop_controls(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    def change(value: Any) -> None:
        for check in value["checks"]:
            check["controls"] = []

    predicate["certificate"]["evidence"] = edit_json(files, "evidence.json", change)


def forget_the_evidence_digest(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    edit_json(files, "evidence.json", lambda value: value["environment"].clear())


def other_plan(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    edit_json(files, "plan.json", lambda value: value.update(approvals=0))


def claim_more_subjects(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    predicate["certificate"]["subjects"] = ["everything"]


def claim_certified_by_words(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    predicate["certificate"]["words"] = "All is well."


def leave_out_a_step(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    lines = files["ledger-slice.jsonl"].splitlines(keepends=True)
    files["ledger-slice.jsonl"] = b"".join(line for line in lines if b'"step":"purge' not in line)


def leave_out_the_approval(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    lines = files["ledger-slice.jsonl"].splitlines(keepends=True)
    files["ledger-slice.jsonl"] = b"".join(line for line in lines if b'"kind":"approval"' not in line)


def edit_a_fact(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    files["ledger-slice.jsonl"] = files["ledger-slice.jsonl"].replace(b'"seconds":0.5', b'"seconds":0.6', 1)


def reorder_facts(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    lines = files["ledger-slice.jsonl"].splitlines(keepends=True)
    files["ledger-slice.jsonl"] = b"".join([lines[1], lines[0], *lines[2:]])


def no_facts(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    files["ledger-slice.jsonl"] = b""


def nonsense_facts(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    files["ledger-slice.jsonl"] = b"[]\n"


def certificate_without_guarantee(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    predicate["certificate"]["guarantee"] = 9


def refusal_with_certificate(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    predicate["verdict"] = "refused"


def no_predicate_to_speak_of(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    predicate.clear()


def other_request(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    edit_json(files, "request.json", lambda value: value.update(identity_verified=False))


def loose_json(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    files["plan.json"] = json.dumps(json.loads(files["plan.json"]), indent=1).encode()


def another_key(predicate: dict[str, Any], files: dict[str, bytes]) -> None:
    files["public.pem"] = public_pem(new_key())


FORGERIES = {
    fail_a_check: "claims a certificate the evidence does not carry.*answers|never-trained|lineage-closure",
    drop_controls: "without a negative control",
    forget_the_evidence_digest: "carries another certificate",
    other_plan: "evidence.json is about another plan",
    claim_more_subjects: "carries another certificate",
    claim_certified_by_words: "carries another certificate",
    leave_out_a_step: "steps not done: purge",
    leave_out_the_approval: "0 approvals of the plan and it needs 1",
    edit_a_fact: "does not match its digest in the chain",
    reorder_facts: "out of order",
    no_facts: "no fact that records this request",
    nonsense_facts: "line 1 is not a fact",
    certificate_without_guarantee: "lacks what a removal statement must say",
    refusal_with_certificate: "lacks what a removal statement must say",
    no_predicate_to_speak_of: "lacks what a removal statement must say",
    other_request: "no fact that records this request",
    loose_json: "plan.json is not written in canonical form",
    another_key: "is not the key that signed",
}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.__name__)
def test_signed_claims_that_do_not_follow_are_refused(
    bundle: Path, forgery: Callable[[dict[str, Any], dict[str, bytes]], None]
) -> None:
    signed_anew(bundle, forgery)
    with pytest.raises(BundleBroken, match=FORGERIES[forgery]):
        verify_bundle(bundle, public_key=PUBLIC)


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
    withdrawals = tuple(
        replace(old.steps[0], id=f"withdraw-{name}", action=Action.WITHDRAW, subject=name, release=name)
        for name in ("digits-maker", "digits-reader")
    )
    kept = [step for step in old.steps if step.action in (Action.WITHDRAW_ITEMS, Action.PURGE, Action.REPORT)]
    planned = replace(old, steps=(*withdrawals, *kept), required=("lineage-closure", "residue"))
    found = evidence(planned)
    checks = tuple(each for each in found.checks if each.name in ("lineage-closure", "residue"))
    made = case(decision=decided, plan=planned, evidence=replace(found, checks=checks, after={}), samples=None)
    verified = verify_bundle(write_bundle(tmp_path / "R-7", made, key=KEY), public_key=PUBLIC)
    assert verified.verdict == "certified"
    assert set(verified.subjects) == {"plan of request R-7"}
    assert "Withdrawn and destroyed" in verified.words


def test_reading_and_writing_reports_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys, disgorge.report.bundle, disgorge.evidence.checks\n"
        "import disgorge.statement.certificate, disgorge.report.page\n"
        "print([n for n in ('torch', 'duckdb', 'mlflow', 'pandas', 'PIL') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
