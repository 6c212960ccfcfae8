"""What lies on the disk, damaged: ledger, manifests, contents, weights, private files.

Also a ledger whose chain holds and whose facts are none we would write: appended by another program, or by somebody.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lineage.errors import LineageError
from lineage.storage.tensors import load_tensors, save_tensors
from tests.fuzz.kind import Kind
from tests.fuzz.place import Place
from tests.fuzz.strategies import CHANGES, DAMAGE, VALUE, changed, damaged

LOOKS = (
    ("ledger", "verify"), ("shard", "list", "--all"), ("shard", "check"), ("shard", "show", "shard-1"),
    ("request", "list", "--all"), ("request", "show", "R-1"), ("request", "impact", "R-1"), ("release", "list"),
    ("release", "show", "toy-averages"), ("release", "predict", "toy-averages", "shard-1"), ("trace", "shard-1"),
    ("request", "decide", "R-1"), ("request", "plan", "R-1"), ("policy", "explain", "R-1"),
)  # fmt: skip
_MANY = st.integers(0, 1 << 16)
LOOK = st.lists(st.tuples(st.sampled_from(LOOKS), st.booleans()), min_size=1, max_size=3)
BROKEN = st.tuples(_MANY, DAMAGE, st.sampled_from([0, 0, 12, 200, 2_000]), LOOK)
"""Which file, its damage, how far from its end, and how it is looked at."""


def looked(place: Place, looks: list[tuple[tuple[str, ...], bool]]) -> str:
    """Look at a damaged workspace with some verbs; ``refused`` if any of them said what is wrong."""
    codes = {place.run(*arguments, terminal=terminal).code for arguments, terminal in (*looks, (("audit",), False))}
    return "refused" if codes - {0} else "taken"


def attempt_on(*patterns: str) -> Callable[[Place, Any], str]:
    """Return what damages one of the files that match these patterns, and looks at it."""

    def attempt(place: Place, case: tuple[int, Any, int, Any]) -> str:
        number, damage, end, looks = case
        paths = [path for pattern in patterns for path in sorted(place.root.glob(pattern)) if path.is_file()]
        path: Path = paths[number % len(paths)]
        path.write_bytes(damaged(path.read_bytes(), damage, end=end))
        return looked(place, looks)

    return attempt


def facts(place: Place, case: tuple[list[tuple[int, Any, int]], Any]) -> str:
    """Append facts that follow the chain and have not the form of any, or a strange one."""
    known = list(place.workspace.ledger.facts())
    appended, looks = case
    for number, change, other in appended:
        fact = known[number % len(known)]
        body: Any = changed(fact.body, change["changes"]) if "changes" in change else change["value"]
        kind = known[other % len(known)].kind if other % 10 == 0 else fact.kind
        try:
            place.workspace.ledger.append(kind, body if isinstance(body, dict) else {"x": body})
        except LineageError as problem:
            place.refusal(str(problem))
    return looked(place, looks)


CHANGED = CHANGES.map(lambda changes: {"changes": changes})
FACTS = st.lists(
    st.tuples(_MANY, CHANGED | CHANGED | VALUE.map(lambda value: {"value": value}), _MANY), min_size=1, max_size=3
)

TENSORS = save_tensors({"w": np.zeros((2, 3), np.float32), "b": np.zeros(3, np.int64)})


def known_tensors() -> Iterator[bytes]:
    """Known bad ones."""
    yield b""
    yield b"\xff" * 8
    yield (1 << 40).to_bytes(8, "little") + b"{}"
    yield (2).to_bytes(8, "little") + b"{}"
    yield TENSORS[:-1]
    yield TENSORS + b"\x00"
    yield (100_000).to_bytes(8, "little") + b"[" * 100_000


def tensors(place: Place, data: bytes) -> str:
    """Read damaged safetensors."""
    try:
        assert load_tensors(data) is not None
    except LineageError as problem:
        place.refusal(str(problem))
        return "refused"
    return "taken"


NAMED = frozenset({"refused"})

KINDS = (
    Kind("ledger", attempt_on(".disgorge/ledger.jsonl", ".disgorge/head.json"), BROKEN, template="trained",
         outcomes=NAMED, isolated=True),
    Kind("facts", facts, st.tuples(FACTS, LOOK), template="trained", isolated=True),
    Kind("tables", attempt_on(".disgorge/manifests/*", "shards/*"), BROKEN, template="trained",
         outcomes=NAMED, isolated=True),
    Kind("weights", attempt_on(".disgorge/objects/**/*", ".disgorge/private/**/*"), BROKEN, full=100, outcomes=NAMED,
         template="trained", isolated=True),
    Kind("tensors", tensors, DAMAGE.map(lambda damage: damaged(TENSORS, damage)), known_tensors, full=500,
         isolated=True),
)  # fmt: skip
