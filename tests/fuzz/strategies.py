"""What Hypothesis draws: names and values that hurt, and changes to what was valid, which are applied to it later."""

import copy
import string
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

WORDS = (
    "", " ", "\t", "\n", "a\nb", "a\r\nb", "\x00", "a\x00b", "\x0b\x0c", "\x7f", "\x85", "\x07", "\x08\x08\x08",
    "\x1b[31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\", "\x9b31m",
    "\u202eevil\u202c", "\u2066x\u2069", "\u200b", "\ufeff", "a\u2028b\u2029c", "\u00ad", "e\u0301", "\u0301" * 2000,
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(2)>", "</style><script>alert(3)</script>", "]]>", "<!--",
    "--><svg onload=alert(4)>", "&amp;&#x1b;[31m&lt;", "{{ 7*7 }}", "{% raw %}{{ x", "${7*7}", "javascript:alert(5)",
    "../../../../outside", "../x", "..", ".", "/", "a/b", "/etc/passwd", "~", "~root", "..\\..\\x", "C:\\Windows\\x",
    "\\\\server\\share", "CON", "NUL", "aux.txt", "x.", "x ", "file:///etc/passwd", "%2e%2e%2fx", "%s%n%x", "%00",
    "'; drop table item; --", "' or 1=1 --", "%", "_", "*", "?", "[a", "**", "{a,b}", "$(touch CANARY)",
    "`touch CANARY`", "| touch CANARY", "; touch CANARY", "[red]x[/red]", "[/red]", "[link=file:///x]y[/link]",
    ":boom:", "-", "--", "--json", "-h", "--help", "@CANARY", "=1+1", "+1", "@SUM(1)", "\N{GRINNING FACE}",
    "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}", "\U000e0001", "\U0010ffff", "\ufffe",
    "\ue000", "\ud800", "\udcff", "a\udfffb", "\u0645\u0631\u062d\u0628\u0627", "\u6f22\u5b57", "0" * 64,
    "f" * 64, "ff" * 33, "a" * 300, "a" * 100_000, "\U0001f600" * 5_000, "a " * 5_000, "nan", "NaN", "Infinity", "-inf",
    "1e999", "-0", "007", "9" * 5_000, "0x10", "1_000", "true", "null", "yes", "on", "2026-11-02", "2026-02-30",
    "12:30:45", "None", "!!python/object/apply:os.system [touch CANARY]", "&a [*a]", "<<", "? x", "a: b", "- a", "# x",
    "%TAG ! x", "__proto__", "__class__", "{0.__class__}", "key", "subject", "digest", "live", "x@live", "@", "a@b@c",
    "latest", "v1", "R-1", "shard-1", "toy-averages", "toy-averages@live",
)  # fmt: skip

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**53, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.0, -0.0, 1e-320, 1e308, float("nan"),
    float("inf"), float("-inf"), True, False, None,
)  # fmt: skip

_LETTERS = (
    string.ascii_letters + string.digits + " ._-/@\\'\"<>&%$#{}[]()*?|;:=,\n\r\t\x00\x1b\x9b"
    "\u202e\u200b\u2028\u0301\ud800\udc80\ufeff\N{GRINNING FACE}\u00e9\u6f22"
)

_KNOWN = st.integers(0, len(WORDS) - 1).map(lambda number: WORDS[number])  # which a message shows short
WORD = st.one_of(
    _KNOWN,
    st.lists(_KNOWN, min_size=2, max_size=2).map(lambda two: (two[0][:200] + two[1][:200])[:300]),
    st.lists(st.sampled_from(_LETTERS), min_size=1, max_size=20).map("".join),
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
)
TYPED = WORD.map(lambda word: word.replace("\x00", "")[:2_000])
"""Words that can be typed or stand in a path: without a zero character, shorter than a path may be."""
SOUND = WORD.map(lambda word: word[:20_000].encode("utf-8", "replace").decode())
"""Words that UTF-8 can carry."""
VALUE = st.recursive(
    WORD | st.sampled_from(NUMBERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD.map(lambda word: word[:300]), inner, max_size=3),
    max_leaves=6,
)

_EDGES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00" * 64, b"\n", b'"')
"""Bytes that lengths, counts and signs are sensitive to."""
_PLACES = 1 << 16
_PLACE = st.integers(0, _PLACES - 1)
DAMAGE = st.lists(
    st.tuples(
        st.sampled_from(["flip", "flip", "write", "write", "insert", "delete", "copy", "step", "cut"]), _PLACE,
        st.binary(min_size=1, max_size=8) | st.sampled_from(_EDGES),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
"""Changes to bytes, for :func:`damaged`."""
CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "put", "put", "delete", "copy", "add"]), _PLACE, WORD, VALUE | WORD),
    min_size=1,
    max_size=3,
)
"""Changes to a tree, for :func:`changed`."""


def damaged(data: bytes, damage: Sequence[tuple[str, int, bytes]], *, end: int = 0) -> bytes:
    """Return ``data`` damaged; ``end`` > 0 keeps the changes to that many last bytes (where footers are)."""
    made = bytearray(data)
    for deed, place, some in damage:
        if not made:
            break
        first = max(len(made) - end, 0) if end else 0
        at = first + place * (len(made) - first) // _PLACES
        match deed:
            case "flip":
                made[at] ^= 1 << some[0] % 8
            case "write":
                made[at : at + len(some)] = some
            case "insert":
                made[at:at] = some
            case "delete":
                del made[at : at + (1 << 16 if some[0] > 240 else some[0])]
            case "copy":
                made[at : at + 16] = made[place % len(made) :][:16]
            case "step":
                made[at] = (made[at] + (1 if some[0] % 2 else -1)) % 256
            case "cut":
                del made[at:]
    return bytes(made)


def changed(tree: Any, changes: Sequence[tuple[str, int, str, Any]]) -> Any:
    """Return a JSON-like tree with a value, a key or a branch put, gone, doubled or moved."""
    made = copy.deepcopy(tree)
    for deed, place, word, value in changes:
        places = list(_places(made))
        if not places:
            return value
        parent, key = places[place % len(places)]
        match deed:
            case "put":
                parent[key] = copy.deepcopy(value)
            case "delete":
                del parent[key]
            case "copy":
                parent[key] = copy.deepcopy(places[place // 7 % len(places)][0])
            case "add" if isinstance(parent, dict):
                parent[word[:300]] = copy.deepcopy(value)
            case "add":
                parent.insert(key, copy.deepcopy(parent[key]))
    return made


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a tree as its parent and key."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])
