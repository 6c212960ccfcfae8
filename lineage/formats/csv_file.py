"""Items from CSV: a header, then one item a line.

A column is whole numbers (int64), numbers (float64) or text, whichever all its cells agree on; ``007`` is text, since
as a number it would lose its zeros. Among numbers an empty cell and ``nan`` are NaN, and whole numbers beside them are
float64; among text an empty cell is the empty text. The kind is decided per file, so the same line can have another
digest in another file where its column reads otherwise: use Parquet where that matters.

Commas stand between cells unless the caller says otherwise, or a first line ``sep=;`` does. A header that is one name
with another delimiter in it is refused: persons' names would be content. Names of columns are taken without the spaces
around them, and where the header has a space after each comma, cells are too. In a ``.tsv`` file tabs stand between
cells. Where decimals have a comma, ``1,5`` is a number and ``1.5`` is text.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.columns import Choice, Columns, fit_floats, too_long_beside_empty
from lineage.formats.decoding.compressed import format_of, read_whole
from lineage.storage.content import as_text
from lineage.storage.size_limits import check_items

_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""A first line by which Excel is told what stands between cells."""
_EXACT = 2**53
"""Whole numbers below are floats too."""
_POINT_FOR_COMMA = str.maketrans(",.", ".,")
"""Makes 1,5 the number 1.5, and of 1.5 no number."""
USUAL = {".tsv": "\t"}
"""What stands between cells, by suffix, where it is no comma."""
_OTHERS = {",": re.compile(r"[;|\t]"), "\t": re.compile(r"[;|,]")}
"""What a header of one column may be divided by, by what was looked for."""
_NO_NUMBER = re.compile(r"|[+-]?(nan|inf|infinity)", re.IGNORECASE)


def read_csv(
    path: Path,
    choice: Choice,
    *,
    encoding: str,
    limit: int,
    kinds: Mapping[str, str] | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: bool = False,
) -> Columns:
    """Return the items of a CSV file; raises ``BadInput`` naming the line.

    ``kinds`` says what columns were when they were read before, as :func:`.dtype_name` does: with other lines in the
    file they could read otherwise. ``delimiter`` stands between cells; None is a comma, a tab in ``.tsv``, or what the
    file says. ``decimal`` stands before the fraction of a number, if it is no point. ``missing`` takes a column without
    any value as NaN.
    """
    origin = str(path)
    if decimal not in (None, ".", ","):
        raise BadInput(f"{origin}: invalid decimal {decimal!r:.40}: use ',' or '.'")
    as_it_is = any(name != name.strip() for name in kinds or ())  # it was recorded before names were stripped
    usual = USUAL.get(format_of(path), ",")
    header, lines, numbers = table(_decoded(path, encoding, limit), origin, delimiter, as_it_is=as_it_is, usual=usual)
    check_items(origin, len(lines), limit)
    settled = choice.settle(header, origin)
    rows = tuple(f"line {number}" for number in numbers[1:])
    cells = {name: [line[place] for line in lines] for place, name in enumerate(header)}
    content = {
        name: cell_values(name, cells[name], rows, origin, (kinds or {}).get(name), decimal=decimal, missing=missing)
        for name in settled.fields or ()
    }
    return Columns(
        origin=origin,
        content=content,
        text={role: tuple(cell or None for cell in cells[name]) for role, name in settled.roles().items()},
        rows=rows,
        roles=settled.roles(),
        notes=tuple(_written_alike(content, cells)),
    )


def _written_alike(content: Mapping[str, NDArray[Any]], cells: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield which fields hold one number in two writings."""
    for name, values in content.items():
        if values.dtype.kind not in "if" or len(written := {*cells[name]}) == len(np.unique(values)):
            continue
        first: dict[float, str] = {}
        for cell in sorted(written):
            other = first.setdefault(float(cell), cell) if _NUMBER.fullmatch(cell) else cell
            if other != cell:
                yield f"'{name}': {other} and {cell} are one number; save the column as text if the writing counts"
                break


def _decoded(path: Path, encoding: str, limit: int) -> str:
    return decoded(read_whole(path, limit), path, encoding).removeprefix("\ufeff")  # some programs put it first


def decoded(data: bytes, path: Path, encoding: str) -> str:
    """Return a file's bytes as text; ``BadInput`` for what is not in that encoding."""
    try:
        return data.decode(encoding)
    except LookupError as problem:
        raise BadInput(f"{path}: '{encoding}' is not an encoding; name one such as utf-8 or latin-1") from problem
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise BadInput(
            f"{path}: line {line}, byte {problem.start}: not {encoding}; save it as UTF-8 or name its encoding"
        ) from problem
    except ValueError as problem:  # UnicodeError among them: codecs differ in what they raise
        raise BadInput(f"{path}: not {encoding} ({problem}); save it as UTF-8 or name its encoding") from problem


def table(
    text: str, origin: str, delimiter: str | None, *, as_it_is: bool = False, usual: str = ","
) -> tuple[list[str], list[list[str]], list[int]]:
    """Return header, rows, and the numbers of the lines that header and rows end on; empty lines hold no item."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise BadInput(f"{origin}: invalid delimiter {delimiter!r:.40}: use one character, such as ';', or tab")
    said, first = _SEPARATOR.match(text), 0
    if said:
        delimiter, text, first = delimiter or said[1], text[said.end() :], 1
    comma = delimiter or usual
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    lines: list[list[str]] = []
    numbers: list[int] = []
    try:
        header = next((line for line in reader if line), [])
        if len(header) == 1 and delimiter is None and (other := _OTHERS[usual].search(header[0])):
            named = "tab" if other[0] == "\t" else f"'{other[0]}'"
            alone = "tab" if usual == "\t" else f"'{usual}'"
            raise BadInput(
                f"{origin}: its header is one column, {header[0][:60]!r}, with {named} in it; say what stands "
                f"between cells (--delimiter {named}, or --delimiter {alone} if it is one column)"
            )
        if not as_it_is:
            if any(name[:1] == " " for name in header[1:]):  # "a, b": a space after each comma is no part of a cell
                spaced = io.StringIO(text, newline="")
                reader = csv.reader(spaced, delimiter=comma, strict=True, skipinitialspace=True)
                header = next((line for line in reader if line), [])
            header = [name.strip() for name in header]
        numbers.append(first + reader.line_num)
        for line in reader:
            if not line:
                continue
            if len(line) != len(header):
                raise BadInput(
                    f"{origin}: line {first + reader.line_num} has {len(line)} cells, the header has {len(header)}; "
                    f"mend the line, or quote the cell that holds a {'comma' if comma == ',' else 'delimiter'}"
                )
            lines.append(line)
            numbers.append(first + reader.line_num)
    except csv.Error as problem:
        raise BadInput(
            f"{origin}: line {first + reader.line_num}: not CSV ({problem}); mend the line or use Parquet"
        ) from problem
    if not header:
        raise BadInput(f"{origin}: is empty; the first line names the columns")
    if header[0] == "" and "Unnamed: 0" not in header and _counts([line[0] for line in lines]):
        header[0] = "Unnamed: 0"  # as pandas calls it, which wrote it
    if "" in header:
        raise BadInput(f"{origin}: column {header.index('') + 1} has no name; name it in the first line")
    return header, lines, numbers


def _counts(cells: list[str]) -> bool:
    """Whether cells are the numbers of their rows, from 0."""
    return cells == [str(number) for number in range(len(cells))]


def cell_values(
    name: str,
    cells: list[str],
    rows: tuple[str, ...],
    origin: str,
    kind: str | None,
    *,
    decimal: str | None = None,
    missing: bool = False,
) -> NDArray[Any]:
    """Return a column of cells as numbers or text, shape (items,), as the module says; ``rows`` name the lines."""
    if kind == "str" or not cells:
        return as_text(name, cells)
    written = cells
    if decimal == ",":
        cells = [cell.translate(_POINT_FOR_COMMA) for cell in cells]
    odd = [row for row, cell in enumerate(cells) if not _NUMBER.fullmatch(cell)]
    if not all(_NO_NUMBER.fullmatch(word) for word in {cells[row].strip() for row in odd}):
        return as_text(name, written)
    infinite = [row for row in odd if "inf" in cells[row].lower()]
    if infinite or (odd and kind not in (None, "<f8")):
        row = (infinite or odd)[0]
        told = f"is '{cells[row]}'" if cells[row] else "is empty"
        raise BadInput(f"{origin}: {rows[row]}: field '{name}' {told} where numbers stand; fill it in or leave it out")
    if len(odd) == len(cells) and kind is None and not missing:
        raise BadInput(
            f"{origin}: field '{name}' has no value in any line, so it reads neither as numbers nor as text; leave it "
            "out (--fields), take it as missing (--missing keep), or use Parquet or NPZ, which say of what type it is"
        )
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)] if odd and kind is None else []
    if numbers and not fit_floats(_numbers(numbers)):
        raise too_long_beside_empty(f"{origin}: {rows[odd[0]]}", name)
    if odd or kind == "<f8":
        return np.array([float(cell) if _NUMBER.fullmatch(cell) else np.nan for cell in cells], np.float64)
    read = _numbers(cells)
    return as_text(name, written) if read.dtype.kind == "T" else read


def _numbers(cells: list[str]) -> NDArray[Any]:
    if all(map(_WHOLE.fullmatch, cells)):
        whole = [int(cell) for cell in cells]
        if -(2**63) <= min(whole) and max(whole) < 2**63:
            return np.array(whole, np.int64)
    elif not any(_WHOLE.fullmatch(cell) is None and cell.lstrip("+-").isdigit() for cell in cells):
        if all(abs(int(cell)) < _EXACT for cell in cells if _WHOLE.fullmatch(cell)):
            return np.array([float(cell) for cell in cells], np.float64)
    return as_text("", cells)  # numbers that 64 bits cannot hold exactly stay as they are written
