r"""Taking files in: tables, arrays or a folder, each read to the same value or refused in one clear line.

>>> import tempfile
>>> file = Path(tempfile.mkdtemp()) / "a.csv"
>>> _ = file.write_text("who,x\nann,1\nbob,2\n")
>>> taken = read_file(file, subject="who")
>>> taken.keys, taken.subjects, taken.content["x"].tolist()
(('0', '1'), ('ann', 'bob'), [1, 2])

Rules kept here:

- nothing is written, and nothing is taken in part: one bad item refuses the file;
- no value among numbers (an empty cell, a null, any NaN) is NaN in one spelling of its bits, so an item has one digest;
- a person's name stays in this value, in memory: :mod:`lineage.shards.add` turns it into a pseudonym before it stores;
- without a column for the key, the key is the row's number as text, from 0;
- keys, sources and licenses are held in Unicode's form NFC: what reads the same is the same.
"""

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lineage.errors import BadInput
from lineage.formats.columns import BY, Choice, Columns, Text
from lineage.formats.csv_file import read_csv
from lineage.formats.decoding.compressed import format_of
from lineage.formats.folder import read_folder
from lineage.formats.json_lines import read_json_lines
from lineage.formats.npz_file import read_npz
from lineage.formats.parquet_file import is_table_folder, read_parquet
from lineage.formats.stand_ins import refuse_stand_in, refuse_unfetched
from lineage.formats.subjects import is_of_ids, whole_numbers
from lineage.records import is_unicode
from lineage.storage.content import as_arrays
from lineage.storage.size_limits import LIMIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lineage.storage.content import Arrays

T = TypeVar("T")

_INDEXES = frozenset(("Unnamed: 0", "__index_level_0__"))
"""What pandas calls an index that has no name: in CSV, read again, and in Parquet."""
_GUESSED = {
    True: "the values of '{0}' are read as ids: each writing is another person (--subject-name {0} for names)",
    False: "the values of '{0}' are read as names: case and spaces do not count (--subject-id {0} for ids)",
}
"""What is said of subjects, by whether they were taken for ids."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Items in the order they came: content by field, shape (items, ...), and what is known of each.

    ``subjects`` are as they were given, not yet pseudonyms; ``by_id`` tells whether they are ids. ``rows`` says where
    each item stood, for messages; ``notes`` how columns were understood, where that was guessed.
    """

    origin: str
    content: "Arrays"
    keys: tuple[str, ...]
    subjects: tuple[str | None, ...]
    sources: tuple[str | None, ...]
    licenses: tuple[str | None, ...]
    rows: tuple[str, ...]
    by: Text | None = None
    """The value of each in the column to divide by, if one was asked for."""
    by_id: bool = False
    notes: tuple[str, ...] = field(default=(), compare=False)
    in_tables: bool = False
    """Whether the items of a folder are rows of its files, and not its files."""

    def __len__(self) -> int:
        return len(self.keys)


def read_file(
    path: Path | str,
    *,
    key: str | None = None,
    subject: str | None = None,
    source: str | None = None,
    license: str | None = None,
    fields: Sequence[str] | None = None,
    by: str | None = None,
    by_id: bool | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: bool = False,
    whole: bool = False,
    in_place: bool = False,
    limit: int = LIMIT,
) -> Intake:
    """Return the items of a file or folder.

    ``key``, ``subject``, ``source`` and ``license`` name columns (a column of just that name needs no naming);
    ``fields`` names the content, else it is all the rest; ``by`` is read as text besides. ``by_id`` says whether the
    subjects are ids; None guesses it (:mod:`lineage.formats.subjects`). ``encoding``, ``delimiter``
    and ``decimal`` are for CSV, a folder's ``metadata.csv`` too. ``missing`` keeps what has no value where no number
    stands, which is refused else.
    ``whole`` takes a folder's files as their bytes, or with ``in_place`` as paths. ``limit`` is in bytes, unpacked.

    Raises ``BadInput`` for anything that cannot be taken in whole: what, where and what to do.
    """
    path = Path(path)
    choice = Choice(key, subject, source, license, None if fields is None else tuple(fields), by)
    with _reading(path):
        columns = _columns(
            path, choice, encoding=encoding, delimiter=delimiter, decimal=decimal, missing=missing, limit=limit,
            whole=whole, in_place=in_place,
        )  # fmt: skip
        index = _index_of_pandas(columns) if fields is None else ""
        columns = replace(columns, content={name: array for name, array in columns.content.items() if name != index})
        taken = settle(columns, by_id=by_id, missing=missing)
        said = (f"'{index}' counts the rows, as an index of pandas does, and is left out",) if index else ()
        return replace(taken, notes=(*said, *taken.notes))


def read_again(
    path: Path,
    kinds: Mapping[str, str],
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: bool = False,
    names: Collection[str] | None = None,
    whole: bool = False,
    in_place: bool = False,
) -> "Arrays":
    """Return the content of a file or folder that was read before, of fields that were of these kinds then.

    ``names`` are the files of a folder to read. What plays no part in the content is not looked at.
    """
    choice = Choice(fields=tuple(kinds), unasked=False)
    with _reading(path):
        if names is not None and path.is_dir():
            columns = read_folder(
                path, choice, limit=LIMIT, whole=whole, in_place=in_place, names=names, kinds=kinds,
                encoding=encoding, delimiter=delimiter,
            )  # fmt: skip
        else:
            columns = _columns(
                path, choice, encoding=encoding, delimiter=delimiter, decimal=decimal, missing=missing, limit=LIMIT,
                kinds=kinds,
            )  # fmt: skip
        return settle(columns, missing=missing).content


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError) as problem:
        reason = getattr(problem, "strerror", None) or "not enough memory"
        raise BadInput(f"{path}: cannot be read ({reason}); check its rights, or split it") from problem


def _columns(
    path: Path,
    choice: Choice,
    *,
    encoding: str,
    limit: int,
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: bool = False,
    kinds: Mapping[str, str] | None = None,
    whole: bool = False,
    in_place: bool = False,
) -> Columns:
    if path.is_dir() and not whole and is_table_folder(path):
        return read_parquet(path, choice, limit=limit, kinds=kinds, missing=missing)
    if path.is_dir():
        return read_folder(
            path, choice, limit=limit, whole=whole, in_place=in_place, encoding=encoding, delimiter=delimiter
        )
    if not path.exists():
        refuse_unfetched(path)
        raise BadInput(f"{path}: no such file or folder; check the path")
    refuse_stand_in(path)
    if whole:
        raise BadInput(f"{path}: is one file; --files takes the files of a folder whole")
    match format_of(path):
        case ".csv" | ".tsv":
            return read_csv(
                path, choice, encoding=encoding, limit=limit, kinds=kinds, delimiter=delimiter, decimal=decimal,
                missing=missing,
            )  # fmt: skip
        case ".jsonl" | ".ndjson":
            return read_json_lines(path, choice, limit=limit, kinds=kinds, missing=missing)
        case ".npz" if format_of(path) == path.suffix.lower():
            return read_npz(path, choice, limit=limit)
        case ".parquet" | ".pq" if format_of(path) == path.suffix.lower():
            return read_parquet(path, choice, limit=limit, kinds=kinds, missing=missing)
    raise BadInput(
        f"{path}: of no known kind; give a .parquet, .csv, .tsv, .jsonl (the last three also .gz or .zst) or .npz "
        "file, or a folder of files"
    )


def rows_of(intake: Intake, rows: Sequence[int]) -> Intake:
    """Return the items of these rows."""

    def of(values: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(values[row] for row in rows)

    return replace(
        intake,
        content={name: array[list(rows)] for name, array in intake.content.items()},
        keys=of(intake.keys),
        subjects=of(intake.subjects),
        sources=of(intake.sources),
        licenses=of(intake.licenses),
        rows=of(intake.rows),
        by=of(intake.by) if intake.by is not None else None,
    )


def from_arrays(
    content: Mapping[str, Any],
    *,
    keys: Sequence[str] | None = None,
    subjects: Sequence[str | None] | None = None,
    sources: Sequence[str | None] | None = None,
    licenses: Sequence[str | None] | None = None,
    by_id: bool | None = None,
    origin: str = "arrays",
) -> Intake:
    """Return items that are in memory already, under the same checks as a file's."""
    given = {"key": keys, "subject": subjects, "source": sources, "license": licenses}
    text = {role: tuple(values) for role, values in given.items() if values is not None}
    return settle(Columns(origin, {name: np.asarray(values) for name, values in content.items()}, text), by_id=by_id)


def settle(columns: Columns, *, by_id: bool | None = None, missing: bool = False) -> Intake:
    """Return what a reader found as items; ``BadInput`` for none, for infinite numbers, and for one without a key.

    A time that is none is refused unless ``missing``.
    """
    try:
        content = as_arrays(columns.content)
    except BadInput as problem:
        raise BadInput(f"{columns.origin}: {problem}") from problem
    items = len(next(iter(content.values())))
    if not items:
        raise BadInput(f"{columns.origin}: holds no item; a shard needs at least one")
    for role, values in columns.text.items():
        if len(values) != items:
            raise BadInput(f"{columns.origin}: {len(values)} values of {role} for {items} items; give one an item")
        for row, value in enumerate(values):
            if isinstance(value, str) and not is_unicode(value):
                raise BadInput(f"{columns.origin}: {columns.where(row)}: the {role} is not Unicode; write it as UTF-8")
    for name, array in content.items():
        if array.dtype.kind == "M" and not missing and (none := np.isnat(array)).any():
            row = int(np.flatnonzero(none.reshape(items, -1).any(axis=1))[0])
            raise BadInput(
                f"{columns.origin}: {columns.where(row)}: field '{name}' holds a time that is none; fill it in, leave "
                "the item out, or keep it (--missing keep)"
            )
        if array.dtype.kind == "f":
            bad = np.flatnonzero(np.isinf(array).reshape(items, -1).any(axis=1))
            if len(bad):
                raise BadInput(
                    f"{columns.origin}: {columns.where(int(bad[0]))}: field '{name}' is infinite "
                    f"({len(bad)} of {items} items); mend the values or leave the items out"
                )
            if (empty := np.isnan(array)).any():
                content[name] = array.copy()
                content[name][empty] = np.nan  # one sign and payload: those are bytes, and so in a digest
    text, notes = _as_meant(columns.text)
    notes = [*columns.notes, *notes]
    nothing = (None,) * items
    notes += _doubtful_roles(columns, content)
    subjects = text.get("subject", nothing)
    if by_id is None and any(subjects):
        by_id = is_of_ids(subjects)
        notes.append(_GUESSED[by_id].format(columns.roles.get("subject", "subject")))
    keys = text.get("key", tuple(str(row) for row in range(items)))
    if None in keys:
        raise BadInput(f"{columns.origin}: {columns.where(keys.index(None))} has no key; give every item one")
    return Intake(
        origin=columns.origin,
        content=content,
        keys=tuple(str(key) for key in keys),
        subjects=subjects,
        sources=text.get("source", nothing),
        licenses=text.get("license", nothing),
        rows=tuple(columns.where(row) for row in range(items)),
        by=text.get(BY),
        by_id=bool(by_id),
        notes=tuple(notes),
        in_tables=columns.in_tables,
    )


def _index_of_pandas(columns: Columns) -> str:
    """Return the column that pandas wrote beside the others to count the rows, "" where there is none."""
    for name in _INDEXES & columns.content.keys() if len(columns.content) > 1 else ():
        array = columns.content[name]
        if array.ndim == 1 and array.dtype.kind in "iu" and bool((array == np.arange(len(array))).all()):
            return name
    return ""


def _doubtful_roles(columns: Columns, content: "Arrays") -> Iterator[str]:
    """Yield which columns were taken for others of nearly their name, and by what items are known without a key."""
    for role, column in columns.roles.items():
        if column != role and column.strip().casefold() == role:
            yield f"'{column}' is read as the {role}"
    if "key" in columns.text:
        return
    unique = next((name for name, array in content.items() if _is_unique(array)), None)
    serves = f"; '{unique}' has another value in each, and would serve (--key {unique})" if unique else ""
    yield f"no column for the key: items are known by the number of their row, from 0{serves}"


def _is_unique(array: "NDArray[Any]") -> bool:
    """Whether a field of whole numbers or text has another value in each item, of which there are several."""
    if array.ndim != 1 or array.dtype.kind not in "iuT" or len(array) < 2:
        return False
    few = array[:1000].tolist()
    return len(set(few)) == len(few) and len(set(array.tolist())) == len(array)


def _as_meant(text: Mapping[str, Text]) -> tuple[dict[str, Text], list[str]]:
    """Return the parts of items, keys and subjects ``7.0`` as ``7`` and all but subjects in NFC, and what to say."""
    read, notes = dict(text), list[str]()
    if "key" in read:
        read["key"] = tuple(None if key is None else str(key) for key in read["key"])
    for role in ("key", "subject"):
        if role in read and (whole := whole_numbers(read[role])) is not None:
            read[role] = whole
            notes.append(f"each {role} is read as a whole number: 7.0 is 7")
    for role in ("key", "source", "license"):
        if role in read:
            read[role] = tuple(value and unicodedata.normalize("NFC", value) for value in read[role])
    return read, notes
