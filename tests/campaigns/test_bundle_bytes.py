"""Every byte of a bundle counts: in the zip as it lies there, and in a member packed again by somebody who knows how.

The first tier flips a seeded share of places; the second every byte of the zip's structure and 20,000 of its content,
and, packed again with right checksums so that only signatures and digests can notice, every byte of each JSON member
and key, a seventh of those of HTML and PDF, 4,000 of weights.
"""

import json
import random
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.errors import BundleBroken
from disgorge.report.bundle import verify_bundle, write_bundle, write_zip
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import new_key, open_envelope, public_pem, sign, sign_bytes
from lineage.records import canonical
from lineage.storage.tensors import save_tensors
from tests.disgorge.report_cases import RECIPES, case, evidence, hexadecimal, plan, sign_again
from tests.tier import amount, tally

DRAWS_PDF = True

KEY = new_key()
PUBLIC = public_pem(KEY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a certified bundle nobody touches."""
    folder = tmp_path_factory.mktemp("bytes") / "R-7"
    write_bundle(folder, case(), key=KEY)
    return folder.with_name("R-7.zip")


def opened(whole: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The members of a bundle, and its statement."""
    members = read_members(whole)
    return members, open_envelope(members["statement.json"], public=PUBLIC).statement


def places(size: int, count: int, rng: random.Random) -> list[int]:
    """Places to flip: first, last, and others between; every one of them where there are no more."""
    return (
        list(range(size)) if size <= count else sorted({0, size - 1, *(rng.randrange(size) for _ in range(count - 2))})
    )


def refused(path: Path, changes: Iterable[bytes]) -> int:
    """Return how many changed bundles were refused, with our key and with the one inside, as all must be."""
    count = 0
    for changed in changes:
        path.write_bytes(changed)
        for key in (PUBLIC, None):
            with pytest.raises(BundleBroken) as told:
                verify_bundle(path, public_key=key)
            assert "\n" not in str(told.value)
        count += 1
    return count


def flipped(data: bytes, place: int, rng: random.Random) -> bytes:
    """The data with one bit of one byte turned."""
    changed = bytearray(data)
    changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


@pytest.mark.timeout(900)
def test_every_byte_of_the_zip_counts(whole: Path, tmp_path: Path) -> None:
    data, rng = whole.read_bytes(), random.Random(11)
    structure = sorted(set(range(len(data))) - within(data, read_members(whole)))
    tried = sorted({*rng.sample(structure, amount(300, len(structure))), *places(len(data), amount(300, 20_000), rng)})
    seen = refused(tmp_path / "R-7.zip", (flipped(data, place, rng) for place in tried))
    tally("bytes flipped", "zip as it lies", flipped=len(tried), detected=seen)
    assert seen == len(tried)


def within(data: bytes, members: dict[str, bytes]) -> set[int]:
    """The places of a zip that are a member's content and no structure."""
    found: set[int] = set()
    for content in members.values():
        start = data.index(content)
        found.update(range(start, start + len(content)))
    return found


MEMBERS = (
    "certificate.pdf", "certificate.pdf.sig", "compositions.json", "decision.json", "evidence.json", "impact.json",
    "inputs.json", "ledger-slice.jsonl", "plan.json", "public.pem", "recipes.json",
    "report.html", "request.json", "statement.json",
)  # fmt: skip


def test_the_members_are_those_that_are_flipped(whole: Path) -> None:
    assert tuple(read_members(whole)) == MEMBERS


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MEMBERS)
def test_every_byte_of_a_member_counts_where_it_is_packed_again(whole: Path, tmp_path: Path, name: str) -> None:
    members, rng = read_members(whole), random.Random(name)
    data = members[name]
    every = 1 if name.endswith(("json", "jsonl", "pem")) else 7  # pages are large, and only ever hashed
    tried = places(len(data), amount(25, len(data) // every), rng)
    changes = (pack({**members, name: flipped(data, place, rng)}) for place in tried)
    seen = refused(tmp_path / "R-7.zip", changes)
    tally("bytes flipped", name, flipped=len(tried), detected=seen)
    assert seen == len(tried)


@pytest.mark.timeout(900)
def test_every_byte_of_attached_weights_counts(tmp_path: Path) -> None:
    weights = save_tensors({"w": np.arange(40_000, dtype=np.float32)})
    digest = sha256(weights).hexdigest()
    made = case()
    release = "digits-maker"
    note = replace(next(note for note in RECIPES if note.name.startswith(release)), component=digest)
    composition = made.compositions[release]
    changed = replace(composition, members=(replace(composition.members[0], component=digest),))
    decided = made.decision
    planned = plan(decided)
    after = {**made.evidence.after, release: changed.digest}
    recipes = tuple(
        sorted((note, *(n for n in RECIPES if not n.name.startswith(release))), key=lambda each: each.component)
    )
    again = case(
        decision=decided,
        plan=planned,
        evidence=evidence(planned, after=after),
        compositions={**made.compositions, release: changed},
        recipes=recipes,
        attached={f"weights/{digest}.safetensors": weights},
    )
    path = write_zip(tmp_path / "R-7.zip", again, key=KEY)
    assert verify_bundle(path, public_key=PUBLIC, level="ledger").verdict == "certified"
    members, rng = read_members(path), random.Random(5)
    name = f"weights/{digest}.safetensors"
    tried = places(len(weights), amount(40, 4000), rng)
    seen = refused(path, (pack({**members, name: flipped(weights, place, rng)}) for place in tried))
    tally("bytes flipped", "weights", flipped=len(tried), detected=seen)
    assert seen == len(tried)
    for wrong in (f"weights/{hexadecimal('x')}.safetensors", f"weights/{digest}.pt", f"inputs/{digest}.parquet"):
        with pytest.raises(BundleBroken):
            verify_bundle(_written(path, {**members, wrong: weights}), public_key=PUBLIC)


def _written(path: Path, members: dict[str, bytes]) -> Path:
    path.write_bytes(pack(members))
    return path


NONSENSE: dict[str, bytes] = {
    "brackets": b"[" * 200_000,
    "braces": b'{"a":' * 100_000,
    "not UTF-8": b"\xff\xfe\x00",
    "huge number": b"9" * 10_000,
    "huge float": b"1e999999",
    "NaN": b"NaN",
    "null": b"null",
    "true": b"true",
    "number": b"7",
    "text": b'"plan"',
    "empty": b"",
    "object": b"{}",
    "list": b"[]",
    "list of nulls": b"[null,null]",
    "doubled key": b'{"a":1,"a":2}',
    "surrogate": b'"\\ud800"',
}


def resigned(members: dict[str, bytes], name: str, data: bytes) -> dict[str, bytes]:
    """What a hostile maker does: put anything in a member, and sign it properly."""
    return sign_again({**members, name: data}, KEY)


def without_pdf(members: dict[str, bytes], statement: dict[str, Any]) -> dict[str, bytes]:
    """The members with this statement, signed, and with no PDF: that one carries the statement it was drawn for."""
    if isinstance(predicate := statement.get("predicate"), dict) and predicate.get("pdf") is True:
        statement = {**statement, "predicate": {**predicate, "pdf": False}}
    kept = {name: data for name, data in members.items() if not name.startswith("certificate.pdf")}
    return {**kept, "statement.json": sign(statement, key=KEY)}


@pytest.mark.parametrize("name", [name for name in MEMBERS if name.endswith(("json", "jsonl")) and name[0] != "s"])
def test_signed_nonsense_is_refused_in_one_line(whole: Path, tmp_path: Path, name: str) -> None:
    members = read_members(whole)
    for data in NONSENSE.values():
        path = _written(tmp_path / "R-7.zip", resigned(members, name, data))
        if data == members[name]:
            continue
        for level in ("digests", "ledger"):
            with pytest.raises(BundleBroken) as told:
                verify_bundle(path, public_key=PUBLIC, level=level)
            assert "\n" not in str(told.value)


VALUES: list[Any] = [None, True, 0, -1, 1.5, "", "x" * 70, [], {}, [[]], {"a": {"b": []}}]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at a place."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(copied[path[0]], path[1:], new)
    return copied


FREE = {"issued", "by", "methods", "caveats", "refusal"}
"""What only the maker can know; a wrong type is refused there, another value of the right type is the maker's word."""


def complaint(bundle: Path) -> str:
    """Why a bundle is refused, "" if it is not."""
    try:
        verify_bundle(bundle, public_key=PUBLIC)
    except BundleBroken as told:
        return str(told)
    return ""


@pytest.mark.timeout(900)
def test_any_value_in_a_signed_statement_may_be_of_any_type(whole: Path, tmp_path: Path) -> None:
    """A wrong type anywhere, properly signed: refused, or what it says is the maker's to say; never a traceback."""
    (members, statement), rng = opened(whole), random.Random(9)
    todo = [(path, new) for path in leaves(statement) for new in VALUES]
    for path, new in rng.sample(todo, min(len(todo), amount(60, 2000))):
        changed = put(statement, path, new)
        if changed == statement or not isinstance(changed, dict):
            continue
        bundle = _written(tmp_path / "R-7.zip", without_pdf(members, changed))
        free = len(path) > 1 and path[1] in FREE
        words = complaint(bundle)
        assert words or free, (path, new)
        assert "\n" not in words


def test_the_same_case_makes_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    again = write_bundle(tmp_path / "R-7", case(), key=KEY)
    assert again.with_name("R-7.zip").read_bytes() == whole.read_bytes()
    assert read_members(again) == read_members(whole)


def test_the_pdf_is_the_one_that_was_signed_with_this_statement(whole: Path, tmp_path: Path) -> None:
    """It is announced in the statement, signed by the same key with a bare Ed25519 signature, and carries it."""
    members, path = read_members(whole), tmp_path / "R-7.zip"
    for name in ("key.pem", "certificate.pdf", "certificate.pdf.sig"):
        (tmp_path / name).write_bytes(PUBLIC if name == "key.pem" else members[name])
    told = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-sigfile", "certificate.pdf.sig",
         "-in", "certificate.pdf"], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verified Successfully" in told.stdout
    bare = {name: data for name, data in members.items() if not name.startswith("certificate.pdf")}
    other = members["certificate.pdf"].replace(b"%PDF-1.7", b"%PDF-1.6")
    carrying_none = {"certificate.pdf": b"%PDF-1.7", "certificate.pdf.sig": sign_bytes(b"%PDF-1.7", key=KEY)}
    stranger = sign_bytes(members["certificate.pdf"], key=new_key())
    for changed, words in (
        (bare, "certificate.pdf is missing"),
        ({**members, "certificate.pdf": other}, "certificate.pdf was edited"),
        ({**members, "certificate.pdf.sig": stranger}, "certificate.pdf was edited"),
        ({**members, **carrying_none}, "does not carry the statement"),
    ):
        with pytest.raises(BundleBroken, match=words):
            verify_bundle(_written(path, changed), public_key=PUBLIC)
    statement = open_envelope(members["statement.json"], public=PUBLIC).statement
    kept = without_pdf(members, statement)
    assert verify_bundle(_written(path, kept), public_key=PUBLIC).verdict == "certified"
    pdf = {name: members[name] for name in members if name.startswith("certificate.pdf")}
    with pytest.raises(BundleBroken, match=r"unexpected file certificate\.pdf in the bundle"):
        verify_bundle(_written(path, {**kept, **pdf}), public_key=PUBLIC)


def test_a_report_of_an_earlier_format_is_refused_by_name(whole: Path, tmp_path: Path) -> None:
    """With the second statement it had, under a domain that was never this project's."""
    members, statement = opened(whole)
    statement["predicateType"] = "https://disgorge.dev/removal/v2"
    old = {**without_pdf(members, statement), "svr.json": sign({"_type": "x"}, key=KEY)}
    with pytest.raises(BundleBroken, match=r"of an earlier format \(https://disgorge.dev/removal/v2\) and is not read"):
        verify_bundle(_written(tmp_path / "R-7.zip", old), public_key=PUBLIC)


@pytest.mark.parametrize("wrong", [{"size": 1}, {"digest": "0" * 64}])
def test_facts_fit_the_head_that_the_statement_names(whole: Path, tmp_path: Path, wrong: dict[str, Any]) -> None:
    """No fact lies after it, and the one in its place has its digest."""
    members, statement = opened(whole)
    statement["predicate"]["ledger"] |= wrong
    path = _written(tmp_path / "R-7.zip", without_pdf(members, statement))
    assert "does not fit the ledger's head" in complaint(path)


def test_subjects_impact_and_recipes_are_tied_to_evidence_and_plan(whole: Path, tmp_path: Path) -> None:
    """The statement may be about nothing but what the evidence measured, made by recipes that never saw the shard."""
    members = read_members(whole)
    withdrawn = json.loads(members["impact.json"])["shards"][0]["before"]["digest"]
    recipes = json.loads(members["recipes.json"])
    recipes[0]["recipe"]["uses"].append({"of": "shard", "digest": withdrawn, "role": "calibrate"})
    inputs = sorted(
        [*json.loads(members["inputs.json"]), {"digest": withdrawn, "name": "z", "count": 1, "dvc": None}],
        key=lambda shard: shard["digest"],
    )
    trained = resigned(resigned(members, "recipes.json", canonical(recipes)), "inputs.json", canonical(inputs))
    remarks = json.loads(members["recipes.json"])
    remarks[0]["recipe"]["parameters"] = {"ancestor": withdrawn}
    impact = json.loads(members["impact.json"])
    impact["items"] = 1
    compositions = json.loads(members["compositions.json"])
    compositions["digits-maker"]["members"][0]["weight"] = 0.5
    for changed, words in (
        (trained, "was trained on alice, which was withdrawn"),
        (resigned(members, "recipes.json", canonical(remarks)), "names the digest of alice, which was withdrawn"),
        (resigned(members, "impact.json", canonical(impact)), "no fact that records this impact"),
        (resigned(members, "compositions.json", canonical(compositions)), "other compositions than the evidence"),
        (resigned(members, "recipes.json", canonical(recipes[:1])), "one recipe for each component"),
    ):
        with pytest.raises(BundleBroken, match=words):
            verify_bundle(_written(tmp_path / "R-7.zip", changed), public_key=PUBLIC)
