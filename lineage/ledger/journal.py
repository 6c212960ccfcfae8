"""The file that holds the chain: reading it, appending to it, and telling apart what can have damaged it.

An append is acknowledged when ``head.json`` names its last fact. So what a crash leaves behind can be told from an
edit by hand: a damaged line after the acknowledged head is *torn*, and can be set aside; any other damage is an edit, a
reordering or a cut, and only a copy of the file helps.

Order of an append: the new ``head.json`` aside, then the lines, fsync, then the rename. A full disk is met before or
during the second step, and the file is cut back to its old size. The cost: whole lines after the acknowledged head,
left by a crash between fsync and rename, count as facts, although the writer never reported them as recorded.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lineage.errors import LedgerBroken, LineageError, WorkspaceBusy
from lineage.ledger.chain import GO_ON, REPAIR, RESTORE, Fact, check_format, encode, read_fact
from lineage.lock import locked
from lineage.records import canonical
from lineage.storage.objects import file_stamp, sync_folder, write_atomically, written_aside

LOCK_SECONDS = 30.0  # a writer holds the lock for milliseconds; a longer wait is for something stuck


@dataclass(frozen=True, slots=True)
class Head:
    """The last acknowledged fact."""

    seq: int
    digest: str


_Stamps = tuple[tuple[int, ...], ...]
"""Inode, size and times of the ledger and of ``head.json``."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts that were checked, the bytes they stand in, and the two files as they were then."""

    facts: tuple[Fact, ...] = ()
    data: bytes = b""
    stamps: _Stamps | None = None


class Journal:
    """``ledger.jsonl``, ``head.json`` and ``ledger.lock`` in one folder."""

    def __init__(self, home: Path, *, lock_seconds: float = LOCK_SECONDS):
        self.file = home / "ledger.jsonl"
        self.head_file = home / "head.json"
        self._lock_seconds = lock_seconds
        self._known = _Known()

    def create(self, first: Fact) -> None:
        """Write the first fact."""
        write_atomically(self.file, encode(first) + b"\n")
        write_atomically(self.head_file, _head_bytes(first))

    def writing(self) -> AbstractContextManager[None]:
        """Hold the workspace's lock; :class:`~lineage.errors.WorkspaceBusy` if another process keeps it."""
        path, seconds = self.file.with_suffix(".lock"), self._lock_seconds
        busy = f"{path}: another process has been writing for {seconds:g} s; nothing was changed, wait and repeat"
        return locked(path, seconds=seconds, busy=busy, again=True)

    def facts(self) -> tuple[Fact, ...]:
        """Return every fact, the whole chain checked against itself and the acknowledged head.

        While neither file's inode, size or times changed, facts that this object checked before are returned unread.
        """
        stamps = self._stamps()
        if stamps is None or stamps != self._known.stamps:
            head, data = self._read_all()
            self._known = replace(self._checked(data, head.seq, head.digest), stamps=stamps)
        return self._known.facts

    def text(self) -> bytes:
        """Return the bytes of the file, checked as :meth:`facts` says."""
        self.facts()
        return self._known.data

    def append(self, make: Callable[[Fact], Sequence[Fact]]) -> tuple[Fact, ...]:
        """Append what ``make`` returns for the last fact; on any failure the file is as it was."""
        with self.writing():
            last = self.facts()[-1]
            if last.seq > self._head().seq:
                write_atomically(self.head_file, _head_bytes(last))
            facts = tuple(make(last))
            lines = b"".join(encode(fact) + b"\n" for fact in facts)
            try:
                with written_aside(self.head_file, _head_bytes(facts[-1])) as aside:
                    self._extend(lines, acknowledge=aside, head=facts[-1])
            except OSError as problem:
                raise LineageError(
                    f"{self.file}: nothing was recorded ({problem.strerror}); make room on the disk and repeat"
                ) from problem
            self._known = _Known((*self._known.facts, *facts), self._known.data + lines, self._stamps())
        return facts

    def _stamps(self) -> _Stamps | None:
        try:
            return (file_stamp(self.file), file_stamp(self.head_file))
        except OSError:
            return None  # reading says what is wrong

    def set_aside_torn_line(self) -> Path | None:
        """Move what a crash left after the acknowledged head into ``ledger.torn-<n>`` and return that path.

        Returns None if no line is torn. Raises :class:`~lineage.errors.LedgerBroken` if acknowledged facts are damaged.
        """
        with self.writing():
            head, data = self._read_all()
            cut = 0
            for _ in range(head.seq):
                cut = data.find(b"\n", cut) + 1 or len(data)
            self._checked(data[:cut], head.seq, head.digest)
            with suppress(LedgerBroken):
                self._checked(data, head.seq, head.digest)
                return None
            return self._set_aside("torn", data[cut:], cut=cut)

    def accept_loss(
        self, keep: Callable[[Sequence[Fact]], int], make: Callable[[Fact, Head], Fact]
    ) -> tuple[Fact, Path | None]:
        """Go on without acknowledged lines that are gone from the end; return the fact that says so.

        ``keep`` returns how many of the facts that are there stay, one at least; what follows them is moved into
        ``ledger.lost-<n>``, whose path is returned too, None if nothing does. ``make`` returns the fact for the last
        one that stays and the head that was acknowledged. Raises :class:`~lineage.errors.LedgerBroken` for any other
        damage, and :class:`~lineage.errors.LineageError` if nothing is lost.
        """
        with self.writing():
            head, data = self._read_all()
            lines = data.split(b"\n")[:-1]
            if len(lines) >= head.seq:
                self._checked(data, head.seq, head.digest)
                raise LineageError(f"{self.file}: no fact is lost; it holds the {head.seq} that were recorded")
            if not lines:
                raise LedgerBroken(f"{self.file}: holds no whole fact, so there is nothing to go on from; {RESTORE}")
            facts = self._checked(b"".join(line + b"\n" for line in lines), len(lines), None).facts
            kept = max(1, keep(facts))
            size = sum(len(line) + 1 for line in lines[:kept])
            fact = make(facts[kept - 1], head)
            aside = self._set_aside("lost", data[size:], cut=size) if data[size:] else None
            with written_aside(self.head_file, _head_bytes(fact)) as acknowledged:
                self._extend(encode(fact) + b"\n", acknowledge=acknowledged, head=fact)
            return fact, aside

    def _set_aside(self, name: str, data: bytes, *, cut: int) -> Path:
        """Keep the end of the file in ``ledger.<name>-<n>``, cut it off at ``cut``, and return that path."""
        number = 1
        while (aside := self.file.with_name(f"ledger.{name}-{number}")).exists():
            number += 1
        write_atomically(aside, data)
        with self.file.open("rb+") as file:
            file.truncate(cut)
            os.fsync(file.fileno())
        return aside

    def _extend(self, lines: bytes, *, acknowledge: Path, head: Fact) -> None:
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
                os.replace(acknowledge, self.head_file)
            except BaseException:  # Ctrl-C too: a half-written line would stop every reader
                if self._head().digest != head.digest:
                    os.ftruncate(descriptor, size)
                    os.fsync(descriptor)
                raise
        finally:
            os.close(descriptor)
        sync_folder(self.file.parent)

    def _head(self) -> Head:
        try:
            value = json.loads(self.head_file.read_bytes())
            return Head(int(value["seq"]), str(value["digest"]))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise LedgerBroken(f"{self.head_file}: missing or damaged; {RESTORE}") from problem

    def _read_all(self) -> tuple[Head, bytes]:
        """Return the head and then the file, which holds at least what the head acknowledges."""
        head, data = self._head(), self._bytes()
        if not data.endswith(b"\n"):
            self._wait_for_writer()
            head, data = self._head(), self._bytes()
        return head, data

    def _bytes(self) -> bytes:
        try:
            return self.file.read_bytes()
        except OSError as problem:
            raise LedgerBroken(f"{self.file}: cannot be read ({problem.strerror}); {RESTORE}") from problem

    def _wait_for_writer(self) -> None:
        """Let a writer that may be in the middle of an append finish."""
        try:
            with self.writing():
                return
        except WorkspaceBusy:
            raise
        except LineageError:
            time.sleep(0.1)  # a read-only copy: no writer to wait for

    def _checked(self, data: bytes, acknowledged: int, digest: str | None) -> _Known:
        """Check the lines of ``data``; those that this object checked before are only compared.

        ``digest`` is that of the last of the ``acknowledged`` lines, None where it is not known. Damage after them is
        a torn append.
        """
        known = self._known if data.startswith(self._known.data) else _Known()
        facts, where = list(known.facts), str(self.file)
        lines = data[len(known.data) :].split(b"\n")
        torn = lines.pop() != b""
        for number, line in enumerate(lines, start=len(facts) + 1):
            try:
                facts.append(read_fact(line, number=number, after=facts[-1] if facts else None, where=where))
            except LedgerBroken:
                if number > acknowledged:
                    raise self._torn(number) from None
                raise
            if number == 1:
                check_format(facts[0], where=where)
        if len(facts) < acknowledged:
            raise LedgerBroken(
                f"{where}: ends after line {len(facts)}, but {acknowledged} facts were recorded: it was cut; "
                f"{RESTORE}{GO_ON}"
            )
        if acknowledged and digest not in (None, facts[acknowledged - 1].digest):
            raise LedgerBroken(
                f"{where}: line {acknowledged} is not the fact that {self.head_file.name} remembers: it was rewritten; "
                f"{RESTORE}"
            )
        if torn:
            raise self._torn(len(facts) + 1)
        return _Known(tuple(facts), data)

    def _torn(self, number: int) -> LedgerBroken:
        return LedgerBroken(f"{self.file}: line {number} is torn, an append was interrupted; {REPAIR}")


def _head_bytes(fact: Fact) -> bytes:
    return canonical({"digest": fact.digest, "seq": fact.seq}) + b"\n"
