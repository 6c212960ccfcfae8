"""The lines of a ledger and the chain they make: pure functions from bytes to facts.

A line is the canonical JSON (RFC 8785) of ``{at, body, digest, kind, previous, seq}``; ``digest`` is the SHA-256 of the
canonical JSON of the rest, ``previous`` the digest of the line before. Canonical JSON sorts keys, so a line ends in
``,"digest":...,"kind":...,"previous":...,"seq":...}`` and can be checked by hashing its bytes without the digest, with
no parsing: every byte of the file is covered.

>>> fact = next_fact(None, kind="opened", body={"format": FORMAT}, at="2026-11-02T09:00:00Z")
>>> read_fact(encode(fact), number=1, after=None, where="workspace.jsonl") == fact
True
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from lineage.errors import BadInput, LedgerBroken, UnknownFormat
from lineage.records import Json, canonical

FORMAT = 3
"""The format of workspaces that this version makes and reads; the first fact names it (docs/formats.md)."""
GENESIS = "0" * 64
"""What the first fact names as the one before it."""

REPAIR = "run `disgorge ledger verify --repair-torn` to set it aside; the facts before it are whole"
RESTORE = (
    "restore ledger.jsonl and head.json from version control or a backup (`disgorge ledger verify --against COPY` "
    "says whether a copy fits, docs/RECOVERY.md how)"
)
GO_ON = " or, if there is no copy, run `disgorge ledger verify --accept-loss` to go on without what was lost"

_KIND = re.compile(r"[a-z]+(-[a-z]+)*")
_TAIL = re.compile(
    rb',"digest":"(?P<digest>[0-9a-f]{64})"'
    rb'(?P<rest>,"kind":"(?P<kind>[a-z-]+)","previous":"(?P<previous>[0-9a-f]{64})","seq":(?P<seq>[0-9]{1,16})\})\Z'
)
_TAIL_BYTES = 400  # longer than any match of _TAIL: kinds are short words


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened. ``at`` is UTC, RFC 3339; ``seq`` counts from 1."""

    seq: int
    at: str
    kind: str
    body: dict[str, Json]
    previous: str
    digest: str


def begin_as(facts: Sequence[Fact], count: int, digest: str) -> bool:
    """Return whether the first ``count`` facts are those that were known when the last of them had this digest."""
    return count == 0 or (len(facts) >= count and facts[count - 1].digest == digest)


def next_fact(after: "Fact | None", *, kind: str, body: dict[str, Json], at: str) -> Fact:
    """Return the fact that follows ``after``; :class:`~lineage.errors.BadInput` if JSON cannot carry ``body``."""
    if not _KIND.fullmatch(kind) or len(kind) > 64:
        raise BadInput(f"invalid kind of fact {kind!r}: use lower-case words joined by hyphens")
    seq, previous = (after.seq + 1, after.digest) if after else (1, GENESIS)
    try:
        rest = canonical({"at": at, "body": body, "kind": kind, "previous": previous, "seq": seq})
    except Exception as problem:  # rfc8785 raises several types; all mean that JSON cannot carry the value
        raise BadInput(f"a fact of kind {kind!r} cannot be recorded exactly: {problem}") from problem
    return Fact(seq, at, kind, _loads(rest)["body"], previous, hashlib.sha256(rest).hexdigest())


def encode(fact: Fact) -> bytes:
    """Return the line of a fact, without its newline."""
    return canonical(
        {
            "at": fact.at,
            "body": fact.body,
            "digest": fact.digest,
            "kind": fact.kind,
            "previous": fact.previous,
            "seq": fact.seq,
        }
    )


def read_fact(line: bytes, *, number: int, after: Fact | None, where: str) -> Fact:
    """Return the fact of line ``number`` (from 1) if it follows ``after``; :class:`~lineage.errors.LedgerBroken`."""
    tail = _TAIL.search(line, max(0, len(line) - _TAIL_BYTES))
    if tail is None or not line.startswith(b'{"at":"'):
        raise LedgerBroken(f"{where}: line {number} is not a fact (edited or overwritten); {RESTORE}")
    hashed = hashlib.sha256(line[: tail.start()])
    hashed.update(tail["rest"])
    if hashed.hexdigest() != tail["digest"].decode():
        raise LedgerBroken(f"{where}: line {number} was edited, its digest does not match; {RESTORE}")
    if int(tail["seq"]) != number or tail["previous"].decode() != (after.digest if after else GENESIS):
        raise LedgerBroken(
            f"{where}: line {number} does not follow the line before it (lines reordered, inserted or missing); "
            f"{RESTORE}"
        )
    try:
        value = _loads(line)
        return Fact(value["seq"], value["at"], value["kind"], value["body"], value["previous"], value["digest"])
    except (ValueError, KeyError, TypeError) as problem:
        raise LedgerBroken(f"{where}: line {number} is not a fact ({problem}); {RESTORE}") from problem


def check_format(first: Fact, *, where: str) -> None:
    """Raise :class:`~lineage.errors.UnknownFormat` unless the first fact names the format that is read here."""
    if (found := first.body.get("format")) != FORMAT:
        raise UnknownFormat(
            f"{where}: workspace format {found!r:.20}, and this version of disgorge reads format {FORMAT}; use the "
            "version that made the workspace, or make one anew"
        )


def _loads(text: bytes) -> dict[str, Json]:
    value: dict[str, Json] = json.loads(text, parse_int=_number)
    return value


def _number(digits: str) -> int | float:
    """Return an integer as the float it was, where only a float can be that large: canonical JSON writes no ``.0``."""
    number = int(digits)
    return number if abs(number) < 2**53 else float(digits)
