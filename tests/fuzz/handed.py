"""Reports handed over with their inputs and re-executed: bombs, damaged Parquet, layouts and recipes that are none.

Whoever hands a report over can sign anything, so every one of these verifies up to where its recipes are carried out.
"""

import io
import json
import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lineage.records import canonical
from tests.fuzz import hostile
from tests.fuzz.bundles import members_of
from tests.fuzz.mutation import changed, damaged
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming
from tests.toys import person, populate, remove, toy_of, train

LAYOUT = b"disgorge.content"
DIGEST = "0" * 64
Members = dict[str, bytes]


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


KNOWN: tuple[Callable[[], bytes], ...] = (
    lambda: parquet({"digest": _times(DIGEST, 9_000_000), "x": np.zeros(9_000_000, np.int8)}),
    lambda: parquet({"digest": _times(DIGEST, 50_000), "x": _times("w" * 100_000, 50_000)}),
    lambda: parquet({"digest": [DIGEST], "x": pa.array([[[1]]])}),
    lambda: parquet({"digest": [DIGEST], "x": [1]}, b"[" * 100_000),
    lambda: parquet({"digest": [DIGEST], "x": [1]}, {"x": {"dtype": "O", "shape": [1 << 50]}}),
    lambda: parquet({"digest": [1], "x": [1]}),
    lambda: b"",
    lambda: b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
)
"""What one of the inputs is replaced by, each once."""


def case(place: Place, number: int) -> str:
    """Re-execute one report; the first is as it was written."""
    rng = place.fresh(place.template("handed", _hand_over), kind="handed", number=number).rng
    whole = (place.root / "R-1.zip").read_bytes()
    path = incoming(place, "R-1.zip")
    path.write_bytes(whole if number == 0 else _spoiled(whole, number - 1, rng))
    ran = place.run("verify", str(path), "--level", "reexecute", terminal=number % 2 == 0)
    assert ran.code in (0, 1, 2), ran.err
    assert number or ran.code == 0, ran.err
    return "refused" if ran.code else "taken"


def _spoiled(whole: bytes, number: int, rng: random.Random) -> bytes:
    members = members_of(whole)
    inputs = rng.choice(sorted(name for name in members if name.startswith("inputs/")))
    if number < len(KNOWN):
        members[inputs] = KNOWN[number]()
        return _signed_by_another(members)
    match number % 4:
        case 0:
            data = members[inputs]
            footer = int.from_bytes(data[-8:-4], "little") + 8
            members[inputs] = damaged(data, rng, end=rng.choice((0, footer, footer, 12)))
        case 1:
            table = pq.read_table(io.BytesIO(members[inputs]))
            layout = changed(json.loads(table.schema.metadata[LAYOUT]), rng)
            members[inputs] = parquet(dict(zip(table.column_names, table.columns, strict=True)), _json(layout))
        case 2:
            table = pq.read_table(io.BytesIO(members[inputs]))
            odd = table.take(pa.array([rng.randrange(len(table)) for _ in range(rng.randrange(20))], pa.int64()))
            columns = dict(zip(odd.column_names, odd.columns, strict=True))
            if rng.random() < 0.5:
                columns[rng.choice(sorted(columns))] = pa.array([hostile.word(rng)[:99]] * len(odd), pa.string())
            members[inputs] = parquet(columns, table.schema.metadata[LAYOUT])
        case _:
            _spoil_recipes(members, rng)
    return _signed_by_another(members)


def _spoil_recipes(members: Members, rng: random.Random) -> None:
    """Change what recipes say, but not the numbers by which a training is long."""
    recipes = json.loads(members["recipes.json"])
    recipe = rng.choice(recipes)["recipe"]
    part = rng.choice(sorted(set(recipe) - {"parameters", "threads"}))
    recipe[part] = changed(recipe[part], rng) if rng.random() < 0.6 else hostile.value(rng)
    members["recipes.json"] = _json(recipes)


def _signed_by_another(members: Members) -> bytes:
    """Return the bundle with everything that names its members made to fit, signed by a key of its own."""
    from disgorge.statement.bundle_zip import pack
    from disgorge.statement.signing import new_key, open_envelope, public_pem, sign

    statement = open_envelope(members["statement.json"], public=members["public.pem"]).statement
    key = new_key()
    members = {name: data for name, data in members.items() if not name.startswith("certificate.pdf")}
    statement["predicate"]["pdf"] = False
    members["public.pem"] = public_pem(key)
    for name in statement["predicate"]["files"]:
        statement["predicate"]["files"][name] = sha256(members[name]).hexdigest()
    members["statement.json"] = sign(statement, key=key)
    return pack(members)


def _json(value: Any) -> bytes:
    try:
        return canonical(value)
    except Exception:  # what canonical JSON cannot carry is written as Python writes it
        return json.dumps(value).encode("utf-8", "surrogatepass")


def _hand_over(folder: Path) -> None:
    """Write the report of a real removal, with its inputs, by the method that trains at once."""
    from disgorge.report.compile import write_with_inputs
    from disgorge.request.case import case_of, plan_of
    from lineage.workspace import Workspace

    workspace = Workspace.init(folder / "made")
    toy = toy_of("averages", 3)
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    remove(workspace, [person(workspace, toy.spec.shards[0], 0)])
    found = case_of(workspace, "R-1")
    written = write_with_inputs(workspace, plan_of(workspace, found), found)
    written.rename(folder / "R-1.zip")
