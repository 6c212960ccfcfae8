r"""A ledger beside a copy of it: up to where the two say the same, and what going back to the copy would lose.

An edited, reordered or cut ledger cannot be mended, only replaced by a copy from version control or a backup. Before
that the operator wants to know whether the copy is whole, whether it is of this very ledger, and which facts it lacks.
A copy that lacks facts is still the truth about what it holds; what was done since has to be done again.

>>> from lineage.ledger.chain import encode, next_fact
>>> first = next_fact(None, kind="opened", body={}, at="2026-11-02T09:00:00Z")
>>> second = next_fact(first, kind="hold", body={"on": True}, at="2026-11-02T09:01:00Z")
>>> copy, here = encode(first) + b"\n", encode(first) + b"\n" + encode(second) + b"\n"
>>> compared(here, copy, where="backup.jsonl").words
'the copy is whole, 1 fact, and the ledger goes on from it: 1 later line here is not in the copy'
"""

from dataclasses import dataclass
from pathlib import Path

from lineage.errors import BadInput, LedgerBroken
from lineage.ledger.chain import Fact, read_fact
from lineage.plural import counted


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a whole copy relates to a ledger: lines in the copy, lines both begin with, and lines of the ledger."""

    copied: int
    shared: int
    here: int

    @property
    def is_prefix(self) -> bool:
        """Whether the ledger begins with all that the copy holds."""
        return self.shared == self.copied

    @property
    def words(self) -> str:
        """The comparison in words."""
        whole = f"the copy is whole, {counted(self.copied, 'fact')}"
        lost = self.here - self.shared
        more = f"{counted(lost, 'later line')} here {'is' if lost == 1 else 'are'} not in the copy"
        if self.is_prefix:
            return (
                f"{whole}, and the ledger goes on from it: {more}" if lost else f"{whole}, and the ledger is the same"
            )
        if not self.shared:
            return f"{whole}, and is of another ledger: no line is the same"
        return f"{whole}, and differs from the ledger from line {self.shared + 1} on: {more}"


def compared(here: bytes, copy: bytes, *, where: str) -> Comparison:
    """Return how the lines of a ledger, damaged perhaps, compare with those of a copy of it.

    Raises :class:`~lineage.errors.LedgerBroken`, naming ``where`` and the line, if the copy is not whole itself.
    """
    lines = copy.split(b"\n")
    if lines.pop() != b"" or not lines:
        raise LedgerBroken(f"{where}: the copy does not end in a whole line; take an older one")
    after: Fact | None = None
    for number, line in enumerate(lines, start=1):
        try:
            after = read_fact(line, number=number, after=after, where=where)
        except LedgerBroken as broken:
            raise LedgerBroken(
                f"{str(broken).rpartition('; ')[0]}; the copy is damaged as well, take an older one"
            ) from None
    mine = here.split(b"\n")
    if mine[-1] == b"":
        mine.pop()
    shared = next((n for n, (a, b) in enumerate(zip(mine, lines, strict=False)) if a != b), min(len(mine), len(lines)))
    return Comparison(len(lines), shared, len(mine))


def copy_of(path: Path) -> bytes:
    """Return the bytes of a copy: the file itself, or ``ledger.jsonl`` in a folder or in its ``.disgorge``."""
    inside = (path / "ledger.jsonl", path / ".disgorge" / "ledger.jsonl")
    found = next((each for each in inside if each.is_file()), path) if path.is_dir() else path
    try:
        return found.read_bytes()
    except OSError as problem:
        raise BadInput(f"{found}: cannot be read ({problem.strerror}); give a copy of ledger.jsonl") from problem
