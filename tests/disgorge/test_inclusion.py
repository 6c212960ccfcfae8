"""Proofs of inclusion: those of facts that are there hold, for ledgers of every small size, and nothing else does."""

import hashlib
import json
from typing import Any

import pytest

from disgorge.errors import BundleBroken
from disgorge.statement.inclusion import Chain, TreeHead, check, prove
from lineage.records import canonical, plain


def digests(count: int) -> list[str]:
    """Digests that stand for facts."""
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()


@pytest.mark.parametrize("size", range(1, 34))
def test_every_fact_of_a_small_ledger_is_proved_under_the_root_of_the_standard(size: int) -> None:
    facts = digests(size)
    assert Chain.of(facts).root(size) == plain_root([bytes.fromhex(digest) for digest in facts]).hex()
    proved = prove(facts, range(1, size + 1))
    check(proved.proofs, dict(enumerate(facts, start=1)), proved.head)
    for place in range(1, size + 1):
        one = prove(facts, [place])
        check(one.proofs, {place: facts[place - 1]}, one.head)


def test_a_fact_that_is_not_there_is_not_proved() -> None:
    facts = digests(21)
    proved = prove(facts, [4, 9])
    other = digests(22)[-1]
    wrong: list[dict[int, str]] = [
        {4: facts[3]},
        {4: facts[3], 9: other},
        {4: facts[8], 9: facts[3]},
        {4: facts[3], 10: facts[9]},
    ]
    for told in wrong:
        with pytest.raises(BundleBroken):
            check(proved.proofs, told, proved.head)
    for head in (
        TreeHead(other, 21, facts[-1]),
        TreeHead(proved.head.root, 20, facts[-1]),
        TreeHead(proved.head.root, 21, other),
    ):
        with pytest.raises(BundleBroken):
            check(
                canonical({**json.loads(proved.proofs), **plain(head)}),
                {4: facts[3], 9: facts[8]},
                head,
            )


HOSTILE: list[Any] = [
    None,
    [],
    {},
    {"proofs": 3},
    {"proofs": [3]},
    {"proofs": [{"seq": []}]},
    {"proofs": [{"seq": 4, "rule": "x", "path": "y"}]},
]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_nonsense_is_refused(value: Any) -> None:
    facts = digests(5)
    head = prove(facts, [4]).head
    with pytest.raises(BundleBroken):
        check(json.dumps(value).encode(), {4: facts[3]}, head)


@pytest.mark.parametrize("field", ["rule", "path", "seq"])
@pytest.mark.parametrize("value", [None, True, 1e300, -1, "x", [], ["zz"], [2], [[]], {"a": 1}, ["A" * 64] * 4])
def test_a_proof_with_other_values_is_refused(field: str, value: Any) -> None:
    facts = digests(9)
    proved = prove(facts, [4])
    changed = json.loads(proved.proofs)
    changed["proofs"][0][field] = value
    with pytest.raises(BundleBroken):
        check(canonical(changed), {4: facts[3]}, proved.head)


def test_every_flipped_bit_of_a_proof_is_seen() -> None:
    facts = digests(9)
    proved = prove(facts, [4])
    for place in range(len(proved.proofs)):
        flipped = bytearray(proved.proofs)
        flipped[place] ^= 1
        with pytest.raises(BundleBroken):
            check(bytes(flipped), {4: facts[3]}, proved.head)
