"""Reports that were handed over: damaged zips and folders, hostile members, nonsense signed with a key of its own.

Also reports with their inputs, which are re-executed: whoever hands one over can sign anything, so every one of these
verifies up to where its recipes are carried out.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from disgorge.statement.bundle_zip import pack
from disgorge.statement.signing import new_key, open_envelope, public_pem, sign, sign_bytes
from lineage.records import canonical
from tests.fuzz.files import ZEROS, archive
from tests.fuzz.kind import Kind
from tests.fuzz.place import Place
from tests.fuzz.strategies import CHANGES, DAMAGE, SOUND, VALUE, changed, damaged

Members = dict[str, bytes]
Change = Callable[[Members], Members | bytes]
RECORDS = ("request.json", "decision.json", "plan.json", "evidence.json", "impact.json", "compositions.json",
           "recipes.json", "inputs.json")  # fmt: skip
_NUMBER = st.integers(0, 1 << 16)


def members_of(whole: bytes) -> Members:
    """Return a zip's members by name."""
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def written(value: Any) -> bytes:
    """Return canonical JSON; what it cannot carry is written as Python writes it."""
    try:
        return canonical(value)
    except Exception:
        return json.dumps(value).encode("utf-8", "surrogatepass")


def signed_by_another(
    members: Members, *, records: Mapping[str, Any] | None = None, statement: Any = (), pdf: bool = False
) -> bytes:
    """Return the bundle with records and statement changed, its digests made to fit, signed by a key of its own."""
    members = members | {
        name: written(changed(json.loads(members[name]), each)) for name, each in (records or {}).items()
    }
    said = open_envelope(members["statement.json"], public=members["public.pem"]).statement
    key = new_key()
    certificate = members.get("certificate.pdf", b"")
    members = {name: data for name, data in members.items() if not name.startswith("certificate.pdf")}
    said["predicate"]["pdf"] = pdf
    if pdf:
        members |= {"certificate.pdf": certificate, "certificate.pdf.sig": sign_bytes(certificate, key=key)}
    members["public.pem"] = public_pem(key)
    said["predicate"]["files"] = {
        name: sha256(members[name]).hexdigest() for name in said["predicate"]["files"] if name in members
    }
    said = changed(said, statement)
    try:
        members["statement.json"] = sign(said, key=key)
    except Exception:  # what cannot be signed is no envelope
        members["statement.json"] = json.dumps(said).encode()
    return pack(members)


# Reports as they are verified


def known_bundles() -> Iterator[Change]:
    """Known bad ones, as what makes one of a sound report's members."""
    yield lambda members: b""
    yield lambda members: b"PK\x05\x06" + bytes(18)
    yield lambda members: members
    yield lambda members: pack(members)[:-1]
    yield lambda members: pack(members) * 2
    yield lambda members: b"#!/bin/sh\ntouch CANARY\n" + pack(members)
    yield lambda members: archive({"statement.json": bytes(ZEROS)})
    yield lambda members: archive({"../../outside/x": b"x"})
    yield lambda members: archive({"/etc/x": b"x"})
    yield lambda members: archive({"..\\x": b"x", "C:\\x": b"x"})
    yield lambda members: archive({"statement.json": b"[" * 200_000, "public.pem": b"x"})
    yield lambda members: members | {"statement.json": b"[" * 200_000}
    yield lambda members: members | {"statement.json": b'{"payload": ' + b"9" * 200_000 + b"}"}
    yield lambda members: members | {"public.pem": b"x"}
    yield lambda members: members | {"public.pem": b"-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"}
    yield lambda members: members | {"../x.json": b"{}"}
    yield lambda members: members | {"a" * 300 + ".json": b"{}"}
    yield lambda members: members | {"x\x1b[31m.json": b"{}"}
    yield linked


def linked(members: Members) -> bytes:
    """A zip whose page is a link that leads out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)
            if name == "report.html":
                entry.external_attr, data = 0o120777 << 16, b"../../../outside/secret.txt"
            made.writestr(entry, data)
    return stream.getvalue()


NONSENSE = st.builds(
    partial,
    st.just(signed_by_another),
    records=st.dictionaries(st.sampled_from(RECORDS), CHANGES, max_size=2),
    statement=st.just(()) | CHANGES,
    pdf=st.booleans(),
)
"""Records and a statement that changed, signed by somebody else."""


def spoiled(members: Members, *, damage: Any, end: int) -> bytes:
    """Return a zip whose bytes are damaged."""
    return damaged(pack(members), damage, end=end)


SPOILED = st.builds(partial, st.just(spoiled), damage=DAMAGE, end=st.sampled_from([0, 3_000]))


@st.composite
def folders(draw: st.DrawFn) -> tuple[str, int, Any]:
    """Draw what is done to one file of a report's folder."""
    deed = draw(st.sampled_from(["link", "add", "below", "delete", "damage"]))
    more = {
        "link": st.sampled_from(["/dev/zero", "../../outside/secret.txt", "R-7", ".", "report.html"]),
        "add": SOUND.map(lambda name: name.replace("/", "_").replace("\x00", "")[:80].strip(".") or "x"),
        "damage": DAMAGE,
    }
    return deed, draw(_NUMBER), draw(more.get(deed, st.none()))


def in_a_folder(place: Place, case: tuple[str, int, Any]) -> str:
    """Verify the folder of a sound report in which one file is another, or one more."""
    deed, number, more = case
    path = place.incoming("R-7")
    path.mkdir()
    for name, data in members_of((place.root / "R-7.zip").read_bytes()).items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(data)
    target = sorted(path.iterdir())[number % len(list(path.iterdir()))]
    if deed in ("link", "delete"):
        target.unlink()
    match deed:
        case "link":
            target.symlink_to(more)
        case "add":
            (path / more).write_bytes(b"x")
        case "below":
            (path / "inputs" / "x").mkdir(parents=True)
        case "damage":
            target.write_bytes(damaged(target.read_bytes(), more) or b"x")
    return verified(place, path)


def in_a_zip(place: Place, change: Change) -> str:
    """Verify a zip, which must not be taken for a sound report unless it is as it was, or signed anew."""
    whole = (place.root / "R-7.zip").read_bytes()
    other = change(members_of(whole))
    path = place.incoming("R-7.zip", other if isinstance(other, bytes) else pack(other))
    outcome = verified(place, path)
    anew = isinstance(change, partial) and change.func is signed_by_another
    assert anew or (outcome == "taken") == (path.read_bytes() == whole), "damaged, and taken for a sound one"
    return outcome


def verified(place: Place, path: Path) -> str:
    """Verify one bundle."""
    ran = place.run("verify", str(path), terminal=True)
    assert ran.code in (0, 1), ran.err
    return "refused" if ran.code else "taken"


# Reports that are re-executed

LAYOUT = b"disgorge.content"
DIGEST = "0" * 64


def parquet(columns: dict[str, Any], layout: Any = None) -> bytes:
    """Return a shard's content with a layout, or with none that fits."""
    told = {name: {"dtype": "|i1", "shape": []} for name in columns} if layout is None else layout
    stream, table = io.BytesIO(), pa.table(columns)
    with pq.ParquetWriter(stream, table.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({LAYOUT: told if isinstance(told, bytes) else canonical(told)})
    return stream.getvalue()


def _times(text: str, rows: int) -> Any:
    """Return a column of one text, which lies there once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array([text]))


def known_inputs() -> Iterator[Change]:
    """The report as it was written, then with what one of the inputs is replaced by."""
    yield lambda members: members
    columns = {"digest": [DIGEST], "x": [1]}
    for data in (
        parquet({"digest": _times(DIGEST, 9_000_000), "x": np.zeros(9_000_000, np.int8)}),
        parquet({"digest": _times(DIGEST, 50_000), "x": _times("w" * 100_000, 50_000)}),
        parquet({"digest": [DIGEST], "x": pa.array([[[1]]])}),
        parquet(columns, b"[" * 100_000),
        parquet(columns, {"x": {"dtype": "O", "shape": [1 << 50]}}),
        parquet({"digest": [1], "x": [1]}),
        b"",
        b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
    ):
        yield partial(one_changed, number=0, change=partial(instead, value=data))


def one_changed(members: Members, *, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """Return the bundle with one of the inputs changed."""
    inputs = sorted(name for name in members if name.startswith("inputs/"))
    name = inputs[number % len(inputs)]
    return signed_by_another(members | {name: change(members[name])})


def instead(before: Any, *, value: Any) -> Any:
    """Return what stands in place of what was there."""
    return value


def other_layout(data: bytes, *, changes: Any) -> bytes:
    """Return an input with another layout than its columns have."""
    table = pq.read_table(io.BytesIO(data))
    layout = written(changed(json.loads(table.schema.metadata[LAYOUT]), changes))
    return parquet(dict(zip(table.column_names, table.columns, strict=True)), layout)


def other_rows(data: bytes, *, rows: list[int], words: str | None) -> bytes:
    """Return an input with other rows, and perhaps words for one of its columns."""
    table = pq.read_table(io.BytesIO(data))
    odd = table.take(pa.array([row % len(table) for row in rows], pa.int64()))
    columns = dict(zip(odd.column_names, odd.columns, strict=True))
    if words is not None:
        columns[sorted(columns)[len(rows) % len(columns)]] = pa.array([words[:99]] * len(odd), pa.string())
    return parquet(columns, table.schema.metadata[LAYOUT])


def with_recipe(members: Members, *, number: int, change: Callable[[Any], Any]) -> bytes:
    """Return the bundle with one part of a recipe changed, but not one by which a training is long."""
    recipes = json.loads(members["recipes.json"])
    recipe = recipes[number % len(recipes)]["recipe"]
    parts = sorted(set(recipe) - {"parameters", "threads"})
    part = parts[number // 7 % len(parts)]
    recipe[part] = change(recipe[part])
    return signed_by_another(members | {"recipes.json": written(recipes)})


OTHER = st.one_of(
    st.builds(partial, st.just(damaged), damage=DAMAGE, end=st.sampled_from([0, 12, 500])),
    st.builds(partial, st.just(other_layout), changes=CHANGES),
    st.builds(partial, st.just(other_rows), rows=st.lists(_NUMBER, max_size=20), words=st.none() | SOUND),
)
INPUTS = st.one_of(
    *[st.builds(partial, st.just(one_changed), number=_NUMBER, change=OTHER)] * 3,
    st.builds(
        partial, st.just(with_recipe), number=_NUMBER,
        change=st.builds(partial, st.just(changed), changes=CHANGES)
        | st.builds(partial, st.just(instead), value=VALUE),
    ),
)  # fmt: skip


def reexecuted(place: Place, case: Change) -> str:
    """Re-execute one report."""
    other = case(members_of((place.root / "R-1.zip").read_bytes()))
    path = place.incoming("R-1.zip", other if isinstance(other, bytes) else pack(other))
    ran = place.run("verify", str(path), "--level", "reexecute")
    assert ran.code in (0, 1, 2), ran.err
    return "refused" if ran.code else "taken"


KINDS = (
    Kind("bundle", in_a_zip, NONSENSE | SPOILED, known_bundles, full=300, template="report", isolated=True),
    Kind(
        "folder of a bundle",
        in_a_folder,
        folders(),
        full=100,
        outcomes=frozenset({"refused"}),
        template="report",
        isolated=True,
    ),
    Kind("handed", reexecuted, INPUTS, known_inputs, full=150, template="handed", isolated=True),
)
