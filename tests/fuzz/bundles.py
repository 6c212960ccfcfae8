"""Reports that were handed over: damaged zips and folders, hostile members, nonsense signed with a key of its own."""

import io
import json
import random
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fuzz import hostile
from tests.fuzz.mutation import changed, damaged
from tests.fuzz.npz_cases import ZEROS, archive
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming

KNOWN: tuple[Callable[[bytes], bytes], ...] = (
    lambda whole: b"",
    lambda whole: b"PK\x05\x06" + bytes(18),
    lambda whole: whole,
    lambda whole: whole[:-1],
    lambda whole: whole * 2,
    lambda whole: b"#!/bin/sh\ntouch CANARY\n" + whole,
    lambda whole: archive({"statement.json": bytes(ZEROS)}),
    lambda whole: archive({"../../outside/x": b"x"}),
    lambda whole: archive({"/etc/x": b"x"}),
    lambda whole: archive({"..\\x": b"x", "C:\\x": b"x"}),
    lambda whole: archive({"statement.json": b"[" * 200_000, "public.pem": b"x"}),
    lambda whole: _with(whole, {"statement.json": b"[" * 200_000}),
    lambda whole: _with(whole, {"statement.json": b'{"payload": ' + b"9" * 200_000 + b"}"}),
    lambda whole: _with(whole, {"public.pem": b"x"}),
    lambda whole: _with(whole, {"public.pem": b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"}),
    lambda whole: _with(whole, {"../x.json": b"{}"}),
    lambda whole: _with(whole, {"a" * 300 + ".json": b"{}"}),
    lambda whole: _with(whole, {"x\x1b[31m.json": b"{}"}),
    lambda whole: _linked(whole),
)
"""Each once, given the bytes of a sound report."""
RECORDS = ("request.json", "decision.json", "plan.json", "evidence.json", "impact.json", "compositions.json",
           "recipes.json", "inputs.json")  # fmt: skip


def case(place: Place, number: int) -> str:
    """Verify one bundle."""
    rng = place.fresh("report", kind="bundle", number=number).rng
    whole = (place.root / "R-7.zip").read_bytes()
    path = incoming(place, "R-7.zip")
    if number < len(KNOWN):
        path.write_bytes(KNOWN[number](whole))
    else:
        match number % 4:
            case 0:
                path.write_bytes(damaged(whole, rng, end=rng.choice((0, 0, 3_000))))
            case 1:
                path = incoming(place, "R-7")
                _spoil_folder(path, whole, rng)
            case _:
                path.write_bytes(_signed_nonsense(whole, rng))
    ran = place.run("verify", str(path), terminal=number % 2 == 0)
    assert ran.code in (0, 1), ran.err
    if number < len(KNOWN) or number % 4 < 2:
        same = path.is_file() and path.read_bytes() == whole
        assert (ran.code == 0) == same or path.is_dir(), "a damaged report was taken for a sound one"
    return "refused" if ran.code else "taken"


def members_of(whole: bytes) -> dict[str, bytes]:
    """Return a zip's members by name."""
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _with(whole: bytes, more: dict[str, bytes]) -> bytes:
    from disgorge.statement.bundle_zip import pack

    return pack(members_of(whole) | more)


def _linked(whole: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, data in members_of(whole).items():
            entry = zipfile.ZipInfo(name)
            if name == "report.html":
                entry.external_attr, data = 0o120777 << 16, b"../../../outside/secret.txt"
            made.writestr(entry, data)
    return stream.getvalue()


def _spoil_folder(folder: Path, whole: bytes, rng: random.Random) -> None:
    folder.mkdir()
    for name, data in members_of(whole).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    target = rng.choice(sorted(folder.iterdir()))
    match rng.randrange(5):
        case 0:
            target.unlink()
            target.symlink_to(rng.choice(("/dev/zero", "../../outside/secret.txt", "R-7", ".", target.name)))
        case 1:
            name = hostile.typed(rng).replace("/", "_").encode("utf-8", "replace")[:200].decode("utf-8", "replace")
            (folder / (name.strip(".") or "x")).write_bytes(b"x")
        case 2:
            (folder / "inputs").mkdir(exist_ok=True)
            (folder / "inputs" / "x").mkdir(exist_ok=True)
        case 3:
            target.unlink()
        case 4:
            target.write_bytes(damaged(target.read_bytes(), rng) or b"x")


def _signed_nonsense(whole: bytes, rng: random.Random) -> bytes:
    """Return a bundle whose records changed, with a statement made to fit and signed by somebody else."""
    from disgorge.statement.bundle_zip import pack
    from disgorge.statement.signing import new_key, open_envelope, public_pem, sign, sign_bytes
    from lineage.records import canonical

    members = members_of(whole)
    statement = open_envelope(members["statement.json"], public=members["public.pem"]).statement
    key = new_key()
    members["public.pem"] = public_pem(key)
    pdf = members.pop("certificate.pdf", b"")
    if rng.random() < 0.5:
        statement["predicate"]["pdf"] = False
        members.pop("certificate.pdf.sig", None)
    else:
        members |= {"certificate.pdf": pdf, "certificate.pdf.sig": sign_bytes(pdf, key=key)}
    for name in rng.sample(RECORDS, rng.randrange(3)):
        members[name] = _json(changed(json.loads(members[name]), rng), canonical)
    statement["predicate"]["files"] = {
        name: sha256(members[name]).hexdigest() for name in statement["predicate"]["files"] if name in members
    }
    if rng.random() < 0.5:
        statement = changed(statement, rng)
    members["statement.json"] = _signed(statement, key, sign)
    return pack(members)


def _json(value: Any, canonical: Callable[[Any], bytes]) -> bytes:
    try:
        return canonical(value)
    except Exception:  # what canonical JSON cannot carry is written as Python writes it
        return json.dumps(value).encode()


def _signed(statement: Any, key: Any, sign: Callable[..., bytes]) -> bytes:
    try:
        return sign(statement, key=key)
    except Exception:  # the same: then the envelope is none
        return json.dumps(statement).encode()
