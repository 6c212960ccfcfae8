"""What lies on the disk, damaged: ledger, manifests, contents, weights, private files; and DVC's files beside data.

Also a ledger whose chain holds and whose facts are none we would write: appended by another program, or by somebody.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lineage.errors import LineageError
from tests.fuzz import hostile
from tests.fuzz.documents import trap
from tests.fuzz.mutation import changed, damaged
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming

LOOKS = (
    ("ledger", "verify"), ("audit",), ("shard", "list", "--all"), ("shard", "check"), ("shard", "show", "shard-1"),
    ("request", "list", "--all"), ("request", "show", "R-1"), ("request", "impact", "R-1"), ("release", "list"),
    ("release", "show", "toy-averages"), ("release", "predict", "toy-averages", "shard-1"), ("trace", "shard-1"),
    ("request", "decide", "R-1"), ("request", "plan", "R-1"), ("policy", "explain", "R-1"),
)  # fmt: skip


def workspace(place: Place, number: int) -> str:
    """Damage the bytes of the ledger or of its head."""
    rng = place.fresh("trained", kind="ledger", number=number).rng
    path = place.root / ".disgorge" / rng.choice(("ledger.jsonl", "ledger.jsonl", "head.json"))
    path.write_bytes(damaged(path.read_bytes(), rng, end=rng.choice((0, 0, 200))))
    return _looked(place, rng, looks=3)


def facts(place: Place, number: int) -> str:
    """Append facts that follow the chain and have not the form of any, or a strange one."""
    rng = place.fresh("trained", kind="facts", number=number).rng
    known = list(place.workspace.ledger.facts())
    for _ in range(rng.choice((1, 1, 3))):
        fact = rng.choice(known)
        body: Any = changed(fact.body, rng) if rng.random() < 0.8 else hostile.value(rng)
        kind = fact.kind if rng.random() < 0.9 else rng.choice([other.kind for other in known])
        try:
            place.workspace.ledger.append(kind, body if isinstance(body, dict) else {"x": body})
        except LineageError as problem:
            place.refusal(str(problem))
    return _looked(place, rng, looks=5)


def tables(place: Place, number: int) -> str:
    """Damage a manifest or the content of a shard."""
    rng = place.fresh("trained", kind="tables", number=number).rng
    path = rng.choice([*sorted((place.root / ".disgorge" / "manifests").iterdir()),
                       *sorted((place.root / "shards").iterdir())])  # fmt: skip
    data = path.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    path.write_bytes(damaged(data, rng, end=rng.choice((0, footer, footer, 12))))
    return _looked(place, rng, looks=3)


def weights(place: Place, number: int) -> str:
    """Damage a weight file, a recorded report, or something private."""
    rng = place.fresh("trained", kind="weights", number=number).rng
    home = place.root / ".disgorge"
    paths = [path for folder in ("objects", "private") for path in sorted((home / folder).rglob("*")) if path.is_file()]
    path = rng.choice(paths)
    path.write_bytes(damaged(path.read_bytes(), rng) if rng.random() < 0.9 else rng.randbytes(rng.randrange(99)))
    return _looked(place, rng, looks=3)


def tensors(place: Place, number: int) -> str:
    """Read damaged safetensors."""
    import numpy as np

    from lineage.storage.objects import load_tensors, save_tensors

    rng = place.fresh("empty", kind="tensors", number=number).rng
    data = save_tensors({"w": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.int64)})
    known: tuple[Callable[[], bytes], ...] = (
        lambda: b"", lambda: b"\xff" * 8, lambda: (1 << 40).to_bytes(8, "little") + b"{}",
        lambda: (2).to_bytes(8, "little") + b"{}", lambda: data[:-1], lambda: data + b"\x00",
        lambda: (100_000).to_bytes(8, "little") + b"[" * 100_000,
    )  # fmt: skip
    text = known[number]() if number < len(known) else damaged(data, rng, end=rng.choice((0, 0, 30)))
    try:
        assert load_tensors(text) is not None
    except LineageError as problem:
        place.refusal(str(problem))
        return "refused"
    return "taken"


def dvc(place: Place, number: int) -> str:
    """Look for a file's hash in what stands beside it where DVC's files stand."""
    from lineage.dvc.repo import tracked_hash

    rng = place.fresh("empty", kind="dvc", number=number).rng
    path = incoming(place, "data.csv")
    path.write_text("x\n1\n")
    beside = rng.random() < 0.5
    target = incoming(place, "data.csv.dvc" if beside else "dvc.lock")
    if (trapped := trap(number)) is not None:
        target.write_bytes(trapped)
    else:
        outs = [{"md5": "d8e8fca2dc0f896fd7cb4cb0031ba249", "size": 4, "hash": "md5", "path": "data.csv"}]
        valid = (
            {"outs": outs} if beside else {"schema": "2.0", "stages": {"make": {"cmd": "touch CANARY", "outs": outs}}}
        )
        _write_yaml(target, valid if rng.random() < 0.3 else changed(valid, rng))
        if rng.random() < 0.25:
            target.write_bytes(damaged(target.read_bytes(), rng))
    try:
        found = tracked_hash(path)
    except LineageError as problem:
        place.refusal(str(problem))
        return "refused"
    assert found is None or isinstance(found, str)
    return "found" if found else "taken"


def _write_yaml(path: Path, value: Any) -> None:
    import json

    import yaml

    try:
        text = yaml.safe_dump(value, allow_unicode=True)
    except yaml.YAMLError:
        text = json.dumps(value, default=str)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def _looked(place: Place, rng: random.Random, *, looks: int) -> str:
    """Look at a damaged workspace with some verbs; ``refused`` if any of them said what is wrong."""
    codes = set()
    for arguments in rng.sample(LOOKS, looks):
        codes.add(place.run(*arguments, terminal=rng.random() < 0.3).code)
    return "refused" if codes - {0} else "taken"
