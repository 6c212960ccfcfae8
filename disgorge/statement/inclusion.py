"""That facts stand in the ledger, shown without the ledger: a Merkle tree over all of it, as in RFC 6962.

The leaves are the digests of all facts up to the head, in the order of the chain; a digest covers its fact's content
and tells nothing of it, so nothing of other requests is told. The statement names root, size and head; a proof leads
from each fact of the slice, and from the head, to that root. What a proof cannot show: that the root
was the ledger's only one (an operator can keep two), or that no other fact is about the request. Whoever has the ledger
can ask it both.

>>> from lineage.ledger.chain import next_fact
>>> first = next_fact(None, kind="opened", body={}, at="2026-11-02T09:00:00Z")
>>> second = next_fact(first, kind="request", body={}, at="2026-11-02T09:00:01Z")
>>> proved = prove([first.digest, second.digest], [2])
>>> check(proved.proofs, {2: second.digest}, proved.head)
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from disgorge.errors import BundleBroken
from lineage.records import Json, canonical, plain

if TYPE_CHECKING:
    from pymerkle import InmemoryTree

ALGORITHM = "rfc6962-sha256"
_FILE = "ledger-proofs.json"
_AGAIN = "ask for the report again"


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A ledger at one moment: the Merkle root over its facts, how many they are, and the last one's digest."""

    root: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Proved:
    """A tree's head, and the bytes of ``ledger-proofs.json``: for each place, the way from its leaf to the root."""

    head: TreeHead
    proofs: bytes


def tree_of(digests: Iterable[str]) -> "InmemoryTree":
    """Return the tree whose leaves are these facts' digests, as bytes, in order."""
    from pymerkle import InmemoryTree

    tree = InmemoryTree(algorithm="sha256")
    for digest in digests:
        tree.append_entry(bytes.fromhex(digest))
    return tree


@dataclass(frozen=True, slots=True)
class Chain:
    """The digests of a ledger's facts, and the tree over them, built once however many heads are asked for."""

    digests: tuple[str, ...]
    tree: "InmemoryTree"

    @classmethod
    def of(cls, digests: Iterable[str]) -> "Chain":
        """Return the chain of these digests, in the ledger's order."""
        listed = tuple(digests)
        return cls(listed, tree_of(listed))

    def root(self, size: int) -> str:
        """Return the Merkle root over the first ``size`` facts, in hex."""
        return bytes(self.tree.get_root(size)).hex()


def prove(digests: Sequence[str], places: Iterable[int]) -> Proved:
    """Return the proofs that the facts at ``places`` (from 1), and the last one, are in the tree over ``digests``."""
    tree, size = tree_of(digests), len(digests)
    wanted = sorted({*places, size})
    proofs = []
    for place in wanted:
        proof = tree.prove_inclusion(place, size)
        proofs.append({"seq": place, "rule": proof.rule, "path": [step.hex() for step in proof.path]})
    head = TreeHead(tree.get_root(size).hex(), size, digests[-1])
    return Proved(head, canonical({"algorithm": ALGORITHM, **plain(head), "proofs": proofs}))


def check(data: bytes, facts: Mapping[int, str], head: TreeHead) -> None:
    """Check that every fact, by its place, and the head's own digest lead to the head's root.

    Raises :class:`BundleBroken` for a proof that is missing, left over, or does not hold.
    """
    proofs = _proofs(data, head)
    expected = {**facts, head.size: head.digest}
    if facts.get(head.size, head.digest) != head.digest or set(proofs) != set(expected):
        raise BundleBroken(f"{_FILE} proves other facts than ledger-slice.jsonl holds; {_AGAIN}")
    for place, digest in expected.items():
        _check_one(proofs[place], place=place, digest=digest, head=head)


def _proofs(data: bytes, head: TreeHead) -> dict[int, dict[str, Json]]:
    try:
        found = json.loads(data)
        listed = found["proofs"]
        proofs = {proof["seq"]: proof for proof in listed}
        same = canonical({"algorithm": ALGORITHM, **plain(head), "proofs": listed}) == data
        sound = same and [*proofs] == sorted(proofs) and len(proofs) == len(listed)
    except Exception as error:  # arbitrary JSON: whatever is not a list of proofs
        raise BundleBroken(f"{_FILE} does not hold proofs ({type(error).__name__}); {_AGAIN}") from error
    if not sound:
        raise BundleBroken(f"{_FILE} is not about the head of the ledger that the statement names; {_AGAIN}")
    return proofs


def _check_one(proof: Mapping[str, Json], *, place: int, digest: str, head: TreeHead) -> None:
    from pymerkle import InclusionProof
    from pymerkle.hasher import MerkleHasher

    try:
        path = [bytes.fromhex(step) for step in proof["path"]]
        if [step.hex() for step in path] != proof["path"] or len(proof) != 3:
            raise ValueError("not written as a proof is")
        leaf = MerkleHasher("sha256").hash_buff(bytes.fromhex(digest))
        whole = InclusionProof("sha256", True, head.size, place, proof["rule"], path)
        whole.verify(leaf, bytes.fromhex(head.root), index=place, size=head.size, algorithm="sha256")
    except Exception as error:  # InvalidProof, or whatever nonsense in its place makes the library raise
        raise BundleBroken(
            f"{_FILE}: fact {place} is not shown to be in the ledger that the statement names ({error}); {_AGAIN}"
        ) from error
