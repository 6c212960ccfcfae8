r"""``metadata.csv`` or ``metadata.jsonl`` beside a folder's files: whose each of them is, and what belongs to it.

A line for each file, which the column ``file_name`` or ``file`` names by its path within the folder, as Hugging Face's
ImageFolder and AudioFolder have it. The other columns play parts or are content, as those of a table. A file without a
line and a line without a file are refused by name; the file of metadata is no item. It lies at the top of the folder:
one below it is refused, or the names in it would be content.

>>> import tempfile
>>> folder = Path(tempfile.mkdtemp())
>>> _ = (folder / "metadata.csv").write_text("file_name,subject\na.png,Ann\nb.png,Bob\n")
>>> found = read_metadata(folder)
>>> found.files, found.text("subject"), found.without({"a.png"})
(('a.png', 'b.png'), ('Ann', 'Bob'), b'file_name,subject\nb.png,Bob\n')
"""

import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.columns import Choice, Text, fit_floats, too_long_beside_empty
from lineage.formats.csv_file import decoded, read_csv, table
from lineage.formats.stand_ins import refuse_stand_in
from lineage.storage.content import as_text
from lineage.storage.size_limits import LIMIT, too_large

NAMES = ("metadata.csv", "metadata.jsonl")
_COLUMNS = ("file_name", "file")
Lines = list[tuple[int, list[Any]]]
"""Number of the text's line on which each line of metadata ends, from 1, and its cells."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The lines of a file of metadata: the file each is about, in Unicode's form NFC, and its cells by column.

    ``ends`` are the numbers of the text's lines on which the header ends, and each line of metadata.
    """

    path: Path
    files: tuple[str, ...]
    cells: Mapping[str, Sequence[Any]]
    column: str
    ends: tuple[int, ...]
    encoding: str
    delimiter: str | None

    def rows_of(self, files: Sequence[str], *, every: bool) -> list[int]:
        """Return the line of each file; ``every`` line must have a file then; ``BadInput`` names the first."""
        rows: dict[str, int] = {}
        for row, name in enumerate(self.files):
            if rows.setdefault(name, row) != row:
                raise BadInput(f"{self._line(row)}: '{name}' has a line already; leave one")
        found = [rows.pop(normalize("NFC", file), None) for file in files]
        if None in found:
            bare = [file for file, row in zip(files, found, strict=True) if row is None]
            raise BadInput(
                f"{self.path.parent / bare[0]}: has no line in {self.path.name}{_more(bare)}; add a line for each "
                "file, or move it out"
            )
        if every and rows:
            row = min(rows.values())
            raise BadInput(
                f"{self._line(row)}: '{self.files[row]}' is not in the folder{_more(list(rows))}; put it there, or "
                "delete the line"
            )
        return [row for row in found if row is not None]

    def text(self, column: str) -> Text:
        """Return a column as text, None where it is empty."""
        for row, cell in enumerate(self.cells[column]):
            if not isinstance(cell, str | int | None) or isinstance(cell, bool):
                raise BadInput(f"{self._line(row)}: '{column}' is neither text nor a whole number; write it as text")
        return tuple(None if cell in (None, "") else str(cell) for cell in self.cells[column])

    def content(self, columns: Sequence[str], kinds: Mapping[str, str]) -> dict[str, NDArray[Any]]:
        """Return columns as fields, shape (lines, ...); ``kinds`` are those of fields that were read before."""
        if self.path.suffix == ".csv" and columns:
            choice = Choice(fields=tuple(columns), unasked=False)
            return read_csv(
                self.path, choice, encoding=self.encoding, limit=LIMIT, kinds=kinds, delimiter=self.delimiter
            ).content
        return {name: self._field(name, self.cells[name], kinds.get(name)) for name in columns}

    def without(self, files: Collection[str]) -> bytes:
        """Return the file's bytes without the lines about some files; every other line keeps its own."""
        data = self.path.read_bytes()
        lines = _split(decoded(data, self.path, self.encoding))
        if "".join(lines).encode(self.encoding) != data:
            raise BadInput(
                f"{self.path}: not the same bytes when it is written as {self.encoding} again; save as UTF-8"
            )
        unwanted = {normalize("NFC", file) for file in files}
        gone, start = set[int](), self.ends[0]
        for name, end in zip(self.files, self.ends[1:], strict=True):
            gone |= set(range(start, end)) if name in unwanted else set()
            start = end
        return "".join(line for place, line in enumerate(lines) if place not in gone).encode(self.encoding)

    def _field(self, name: str, values: Sequence[Any], kind: str | None) -> NDArray[Any]:
        """Return values of JSON as a field: all text, all true or false, or all numbers, null among these being NaN."""
        types = {type(value) for value in values}
        if types == {str}:
            return as_text(name, list(values))
        if types == {bool}:
            return np.array(values, np.bool_)
        if types == {int} and kind != "<f8" and all(-(2**63) <= value < 2**63 for value in values):
            return np.array(values, np.int64)
        if types <= {int, float, type(None)} and types != {type(None)}:
            whole = [value for value in values if isinstance(value, int)]
            if whole and (max(map(abs, whole)) >= 2**63 or not fit_floats(np.array(whole))):
                raise too_long_beside_empty(str(self.path), name)
            return np.array([np.nan if value is None else value for value in values], np.float64)
        odd = next((row for row, value in enumerate(values) if type(value) is not type(values[0])), 0)
        raise BadInput(
            f"{self._line(odd)}: '{name}' is neither text in every line nor a number in every line; write it alike, or "
            "leave it out (--fields)"
        )

    def _line(self, row: int) -> str:
        return f"{self.path}: line {self.ends[row + 1]}"


def read_metadata(folder: Path, *, encoding: str = "utf-8", delimiter: str | None = None) -> Metadata | None:
    """Return the lines of a folder's metadata, None if it has none; raises ``BadInput``."""
    there = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(there) > 1:
        raise BadInput(f"{folder}: has {' and '.join(path.name for path in there)}; leave one of both")
    if not there:
        return None
    (path,) = there
    refuse_stand_in(path)
    if path.stat().st_size > LIMIT:
        raise too_large(str(path), path.stat().st_size, LIMIT)
    text = decoded(path.read_bytes(), path, encoding).removeprefix("\ufeff")
    start, header, lines = _csv(text, path, delimiter) if path.suffix == ".csv" else _json(text, path)
    column = next((name for name in _COLUMNS if name in header), None)
    if column is None:
        raise BadInput(
            f"{path}: has no column 'file_name' or 'file' with the name of each file; add one, or rename this file if "
            "it is no metadata"
        )
    cells = {name: [cells[place] for _, cells in lines] for place, name in enumerate(header)}
    for (end, _), name in zip(lines, cells[column], strict=True):
        if not isinstance(name, str) or not name:
            raise BadInput(f"{path}: line {end}: names no file in '{column}'; fill it in")
    files = tuple(normalize("NFC", PurePosixPath(name).as_posix()) for name in cells.pop(column))
    if len(header) > len(cells) + 1:
        raise BadInput(f"{path}: has a column more than once; give every column a name of its own")
    ends = (start, *(end for end, _ in lines))
    return Metadata(path, files, cells, column, ends, encoding, delimiter)


def refuse_unread(path: Path) -> None:
    """Raise ``BadInput`` for a file that is called as metadata is, and is none that is read: it may tell of persons."""
    if path.name in (*NAMES, "metadata.parquet"):
        raise BadInput(
            f"{path}: only {' or '.join(NAMES)} at the top of a folder is read as metadata; add its folder by itself, "
            "save it so, or rename it if it is data"
        )


def _split(text: str) -> list[str]:
    """Return the lines of a text, each with its end."""
    return list(io.StringIO(text, newline=""))


def _csv(text: str, path: Path, delimiter: str | None) -> tuple[int, list[str], Lines]:
    """Return on which line the header ends, the header and the lines."""
    header, lines, ends = table(text, str(path), delimiter)
    return ends[0], header, list(zip(ends[1:], lines, strict=True))


def _json(text: str, path: Path) -> tuple[int, list[str], Lines]:
    """Return 0, the names of all lines in the order they come, and the lines; None where one lacks a name."""
    found = list(_objects(text, path))
    header = list(dict.fromkeys(name for _, values in found for name in values))
    return 0, header, [(end, [values.get(name) for name in header]) for end, values in found]


def _objects(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_split(text), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise BadInput(f"{path}: line {number}: not JSON ({problem}); write one object a line") from problem
        if not isinstance(values, dict):
            raise BadInput(f"{path}: line {number}: not an object; write one object a line")
        yield number, values


def _more(names: Sequence[str]) -> str:
    return f" (nor {len(names) - 1:,} more)" if len(names) > 1 else ""
