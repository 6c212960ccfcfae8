"""Names and values that somebody hostile, or just unlucky, gives: for shards, keys, people, reasons and file names."""

import random
import string
from typing import Any

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
"""Every one is in some case of the first tier."""

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**53, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.0, -0.0, 1e-320, 1e308, float("nan"),
    float("inf"), float("-inf"), True, False, None,
)  # fmt: skip

_LETTERS = (
    string.ascii_letters + string.digits + " ._-/@\\'\"<>&%$#{}[]()*?|;:=,\n\r\t\x00\x1b\x9b"
    "\u202e\u200b\u2028\u0301\ud800\udc80\ufeff\N{GRINNING FACE}\u00e9\u6f22"
)


def word(rng: random.Random) -> str:
    """Return a word: a known hostile one, two of them joined, random letters, or an ordinary one."""
    draw = rng.random()
    if draw < 0.45:
        return rng.choice(WORDS)
    if draw < 0.6:
        return (rng.choice(WORDS)[:200] + rng.choice(WORDS)[:200])[:300]
    if draw < 0.85:
        return "".join(rng.choices(_LETTERS, k=rng.randrange(1, 20)))
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randrange(1, 9)))


def typed(rng: random.Random) -> str:
    """Return a word that can be typed or stand in a path: without a zero character, shorter than a path may be."""
    return word(rng).replace("\x00", "")[:2_000]


def value(rng: random.Random, *, depth: int = 3) -> Any:
    """Return any JSON-like value: words and numbers, lists and mappings of them."""
    draw = rng.random()
    if depth and draw < 0.12:
        return [value(rng, depth=depth - 1) for _ in range(rng.randrange(4))]
    if depth and draw < 0.24:
        return {word(rng)[:300]: value(rng, depth=depth - 1) for _ in range(rng.randrange(4))}
    return word(rng) if draw < 0.7 else rng.choice(NUMBERS)
