r"""The text in a file, whatever it is called: plain text, SQLite databases, Parquet, and the members of archives.

Text is handed out in pieces of up to ``LONGEST`` characters, never as a whole. A piece ends with a line or a record
where there is one, and begins with the end of the piece before, so that what lies across a cut is whole in one of them.

Text is UTF-8, UTF-16 with its mark, or of eight bits without control characters. What is no text is noted as unread: a
picture, an encrypted member, an archive in an archive, a value of bytes in a database. Rows that a database deleted and
did not overwrite yet are not seen.

>>> import tempfile
>>> file = FileTexts(Path(tempfile.mkdtemp()) / "a", largest=100)
>>> _ = file.path.write_text("key,x\n")
>>> list(file), file.unread
(['key,x\n'], [])
"""

import bz2
import codecs
import gzip
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

LONGEST = 1 << 18
"""Characters of a piece of text."""
_OVERLAP = 2_000  # characters that a piece begins with of the one before: more than a phrase that is looked for
_HEAD = 4096  # bytes by which content is judged
_ROWS = 1_000  # of a database or table that are handed out at once
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\b\x1b")
_SQLITE, _ZIP, _PARQUET, _TAR, _TAR_AT = b"SQLite format 3\0", b"PK\3\4", b"PAR1", b"ustar", 257
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_WORD_BEGUN, _WORD_CUT = re.compile(r"\w*"), re.compile(r"\w*\Z")
_DAMAGED = (
    OSError, ValueError, EOFError, RuntimeError, sqlite3.Error, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError,
    zlib.error,
)  # fmt: skip
"""What reading a file may raise that is closed, encrypted or damaged."""


@dataclass(slots=True)
class FileTexts:
    """The text of a file, piece by piece, once, and what was not read of it: what has more than ``largest`` bytes."""

    path: Path
    largest: int
    unread: list[str] = field(default_factory=list)
    """Names in the file of what was not read, "" for the file itself."""

    def __iter__(self) -> Iterator[str]:
        """Yield every piece; a damaged or closed file ends early, and is unread."""
        try:
            with self.path.open("rb") as file:
                yield from self._of_file(file)
        except FileNotFoundError:
            return  # another program's file, deleted meanwhile
        except _DAMAGED:
            self.unread.append("")

    def _of_file(self, file: IO[bytes]) -> Iterator[str]:
        head, size = file.read(_HEAD), self.path.stat().st_size
        file.seek(0)
        if head.startswith(_ZIP):
            yield from self._of_zip(file)
        elif (opened := _opener(head)) is not None:
            with opened(file) as inside:
                yield from self._of_compressed(inside)
        elif head[_TAR_AT:].startswith(_TAR):
            yield from self._of_tar(file)
        elif self._fits("", size):
            if head.startswith(_SQLITE):
                yield from pieces(self._of_sqlite())
            elif head.startswith(_PARQUET):
                yield from pieces(self._of_parquet())
            else:
                yield from self._of_stream("", file)

    def _fits(self, name: str, size: int) -> bool:
        if size > self.largest:
            self.unread.append(name)
        return size <= self.largest

    def _of_stream(self, name: str, file: "IO[bytes] | _Joined") -> Iterator[str]:
        """Yield the pieces of what a stream holds, if that is text, up to the largest size."""
        head = file.read(_HEAD)
        encoding = encoding_of(head)
        if encoding is None:
            self.unread.append(name)
        else:
            yield from pieces(self._decoded(name, head, file, encoding))

    def _decoded(self, name: str, head: bytes, file: "IO[bytes] | _Joined", encoding: str) -> Iterator[str]:
        decoder, read = codecs.getincrementaldecoder(encoding)("replace"), len(head)
        yield decoder.decode(head)
        while data := file.read(LONGEST):
            yield decoder.decode(data)
            if (read := read + len(data)) > self.largest:  # what a compressed stream holds is known at its end only
                self.unread.append(name)
                return
        yield decoder.decode(b"", True)

    def _of_compressed(self, inside: IO[bytes]) -> Iterator[str]:
        head = inside.read(_HEAD)
        inside.seek(0)
        if head[_TAR_AT:].startswith(_TAR):
            yield from self._of_tar(inside)
        else:
            yield from self._of_stream("", inside)

    def _of_zip(self, file: IO[bytes]) -> Iterator[str]:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or not self._fits(entry.filename, entry.file_size):
                    continue
                if entry.flag_bits & 1:
                    self.unread.append(entry.filename)
                    continue
                with archive.open(entry) as member:
                    yield from self._of_member(entry.filename, member)

    def _of_tar(self, file: IO[bytes]) -> Iterator[str]:
        with tarfile.open(fileobj=file, mode="r|") as archive:
            for entry in archive:
                member = archive.extractfile(entry) if entry.isreg() else None
                if member is not None and self._fits(entry.name, entry.size):
                    yield from self._of_member(entry.name, member)

    def _of_member(self, name: str, member: IO[bytes]) -> Iterator[str]:
        """Yield the text of an archive's member: one that is a database is unpacked into memory, never to a disk."""
        head = member.read(_HEAD)
        rest = _Joined(head, member)
        if head.startswith(_SQLITE):
            with closing(sqlite3.connect(":memory:")) as database:
                database.deserialize(rest.read())
                yield from pieces(self._rows(database, name))
        else:
            yield from self._of_stream(name, rest)

    def _of_sqlite(self) -> Iterator[str]:
        with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield from self._rows(database, "")

    def _rows(self, database: sqlite3.Connection, name: str) -> Iterator[str]:
        """Yield the rows of every table, a line each."""
        database.text_factory = lambda data: data.decode(errors="replace")
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0").fetchall()
        has_bytes = False
        for (table,) in tables:
            quoted = '"' + table.replace('"', '""') + '"'
            rows = database.execute(f"SELECT * FROM {quoted}")
            while several := rows.fetchmany(_ROWS):
                for row in several:
                    values = [_decoded_value(value) for value in row if value is not None]
                    has_bytes |= None in values
                    yield ", ".join(value for value in values if value is not None).replace("\n", " ") + "\n"
        if has_bytes:
            self.unread.append(name)

    def _of_parquet(self) -> Iterator[str]:
        """Yield the rows of a Parquet file, a line each; columns of bytes and of lists are unread."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.path) as table:
                columns = [
                    each.name
                    for each in table.schema_arrow
                    if not pa.types.is_nested(each.type) and not _is_bytes(each.type)
                ]
                if len(columns) < len(table.schema_arrow):
                    self.unread.append("")
                for batch in table.iter_batches(batch_size=_ROWS, columns=columns):
                    for row in batch.to_pylist():
                        yield (
                            ", ".join(str(value) for value in row.values() if value is not None).replace("\n", " ")
                            + "\n"
                        )
        except pa.ArrowException as problem:
            raise ValueError(f"{self.path}: damaged Parquet ({problem})") from problem


class _Joined:
    """A stream of which the first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head if head and size > 0 else head + self._rest.read(size)


def is_too_large(path: Path, largest: int) -> bool:
    """Whether a file is unread because it is larger, and not for what it is; ``OSError`` for one that is closed."""
    if path.stat().st_size <= largest:
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head.startswith((_SQLITE, _PARQUET)) or encoding_of(head) is not None


def encoding_of(head: bytes) -> str | None:
    """Return the encoding of text by its first bytes, None for what is no text."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the head may end within a character
        return None if b"\0" in head else "utf-8-sig"
    except UnicodeDecodeError:
        return None if not _CONTROLS.isdisjoint(head) else "cp1252"


def pieces(texts: Iterable[str]) -> Iterator[str]:
    """Cut a stream of text into pieces of up to ``LONGEST`` characters, each with the end of the one before."""
    held = ""
    for text in texts:
        held += text
        while len(held) > LONGEST:
            cut = _cut(held)
            yield held[:cut]
            begin = cut - _OVERLAP
            held = held[_WORD_BEGUN.match(held, begin).end() if cut > _OVERLAP else cut :]  # type: ignore[union-attr]
    if held:
        yield held


def _cut(text: str) -> int:
    """Return where the longest piece of a text ends: behind a line, a record, or a word."""
    for end in ("\n", "}", "]"):
        if (place := text.rfind(end, LONGEST // 2, LONGEST)) > 0:
            return place + 1
    begun = len(_WORD_CUT.search(text, LONGEST - _OVERLAP, LONGEST)[0])  # type: ignore[index]
    return LONGEST - begun if begun < _OVERLAP else LONGEST


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind))


def _opener(head: bytes) -> Any:
    return next((opener for magic, opener in _COMPRESSED.items() if head.startswith(magic)), None)


def _decoded_value(value: Any) -> str | None:
    """Return a value of a database as text, None for bytes that are none."""
    if not isinstance(value, bytes):
        return str(value)
    encoding = encoding_of(value)
    return value.decode(encoding, "replace") if encoding else None
