"""Shards whose items stay where they lie: a table, or a folder of files, recorded by digest and not copied.

In place of its content such a shard has a file of references, ``shards/<digest>.parquet`` all the same: for each item
its digest and the file that holds it, and once where they lie and how they were read. Whoever reads the shard reads
those files again, and takes an item only if it has its digest.

Decided here, with what it costs:

- An item of a table, or of a folder of Parquet files, is known by its digest and not by its row: rows may be added,
  moved or deleted, as long as every recorded item is still there. So withdrawn rows can be deleted from the table that
  others lie in. The cost: the whole table is read for each shard that lies in it.
- A shard that was cut lies in place as well: what is retained is not copied. The files with withdrawn items are the
  user's, and a removal says which they are (:mod:`lineage.shards.source_files`).
- Pictures taken as pixels are decoded again, and another version of a decoder may make other pixels of a JPEG: then
  they are refused. Files taken whole are compared byte for byte.
- References from elsewhere are never followed: a bundle could name any file of this machine.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.errors import BadInput, DigestMismatch
from lineage.plural import counted
from lineage.private_files import FileReading
from lineage.records import canonical
from lineage.storage.content import dtype_name, item_digests
from lineage.storage.objects import write_atomically
from lineage.storage.parquet import broken, read_table, table_bytes

if TYPE_CHECKING:
    from lineage.formats.metadata import Metadata
    from lineage.formats.read import Intake
    from lineage.storage.content import Arrays

_METADATA = b"disgorge.in_place"
_UNUSUAL = ("delimiter", "decimal", "missing", "metadata")
"""Ways of reading that are written only where they are not the usual ones."""
METADATA = ("metadata.csv", "metadata.jsonl")
"""What a folder's metadata is called (:mod:`lineage.formats.metadata`)."""
_WHAT = "references of the shard"
_SHOWN = 3
"""Files that an error names; the rest is a count."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """Where items lie: the file or folder ``root``, how it was read, and for each item its file within, "" for none."""

    root: Path
    reading: FileReading
    files: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, intake: "Intake", reading: FileReading) -> "InPlace":
        """Return where the items of an intake lie, which was read there, and so."""
        root = root.absolute()
        kinds = {name: dtype_name(array) for name, array in intake.content.items()}
        files = intake.rows if root.is_dir() and not intake.in_tables else ("",) * len(intake)
        metadata = any(files) and any((root / name).is_file() for name in METADATA)
        try:
            str(root).encode()
        except UnicodeEncodeError:
            raise BadInput(f"{str(root)!r}: its path is not UTF-8, so it cannot be recorded; rename it") from None
        return cls(root, replace(reading, kinds=kinds, metadata=metadata), files)

    def keep(self, rows: Sequence[int]) -> "InPlace":
        """Return where the items of these rows lie."""
        return InPlace(self.root, self.reading, tuple(self.files[row] for row in rows))


def write_references(path: Path, digests: Sequence[str], place: InPlace) -> None:
    """Write where items lie to ``path``, atomically; ``digests`` are those of the items, in the order of the files."""
    import pyarrow as pa

    pairs = sorted(zip(digests, place.files, strict=True))
    told = {"root": str(place.root), "kinds": place.reading.kinds, "encoding": place.reading.encoding}
    unusual = {name: getattr(place.reading, name) for name in _UNUSUAL}
    told |= {name: value for name, value in unusual.items() if value}
    columns = {
        "digest": pa.array([digest for digest, _ in pairs], pa.string()),
        "file": pa.array([file for _, file in pairs], pa.string()),
    }
    metadata = {_METADATA: canonical(told | {"whole": place.reading.whole})}
    write_atomically(path, table_bytes(pa.table(columns).replace_schema_metadata(metadata), dictionary=True))


def read_references(path: Path) -> tuple[tuple[str, ...], InPlace] | None:
    """Return digests, in order, and where the items lie; None if the file at ``path`` is content, or not there.

    Raises ``DigestMismatch`` for a damaged one.
    """
    if not path.is_file():
        return None
    table = read_table(path, _WHAT, columns=["digest"])
    if _METADATA not in (table.schema.metadata or {}):
        return None
    try:
        table = read_table(path, _WHAT)
        told = json.loads(table.schema.metadata[_METADATA])
        unusual = {name: told[name] for name in _UNUSUAL if name in told}
        reading = FileReading(dict(told["kinds"]), str(told["encoding"]), bool(told["whole"]), **unusual)
        place = InPlace(Path(told["root"]), reading, tuple(table.column("file").to_pylist()))
        return tuple(table.column("digest").to_pylist()), place
    except (KeyError, TypeError, ValueError) as problem:
        raise broken(path, _WHAT) from problem


def items_in_place(digests: Sequence[str], place: InPlace, *, as_paths: bool = False) -> "Arrays":
    """Return the arrays of items, shape (items, ...), in the order of ``digests``, which is that of the files.

    Every item has its digest. ``as_paths`` leaves whole files where they are and gives their paths. Raises
    ``DigestMismatch`` naming what is gone or changed, and what to do.
    """
    names = sorted(set(place.files)) if any(place.files) else None
    content, found = _content(place, names, as_paths=as_paths)
    rows: dict[tuple[str, str], list[int]] = {}
    for row, digest in enumerate(found):
        rows.setdefault((names[row] if names else "", digest), []).append(row)
    taken: list[int] = []
    lost: list[str] = []
    for digest, file in zip(digests, place.files, strict=True):
        there = rows.get((file, digest))
        if there:
            taken.append(there.pop())
        else:
            lost.append(file)
    if lost:
        again = "put back what was recorded, or withdraw the items by a request and add what is there as another shard"
        if names is None:
            raise DigestMismatch(
                f"{place.root}: {len(lost)} of {counted(len(digests), 'item')} recorded from it in place are no longer "
                f"in it as they were; {again}"
            )
        raise DigestMismatch(f"{_listed(place.root, lost)}: changed since they were recorded in place; {again}")
    return {name: array[taken] for name, array in content.items()}


def still_holding(place: InPlace, digests: Sequence[str], items: Collection[str]) -> tuple[str, ...]:
    """Return which of the files still hold one of some items, byte for byte; "" for each such row of a table.

    What cannot be read any more holds nothing that could be told. A file whose line was deleted from the folder's
    metadata is taken to hold its item as long as it is there.
    """
    try:
        if not any(place.files):
            left = Counter(digest for digest in digests if digest in items)
            return ("",) * sum(((Counter(_content(place, None, as_paths=True)[1])) & left).values()) if left else ()
        pairs = zip(place.files, digests, strict=True)
        wanted = {file: digest for file, digest in pairs if digest in items and (place.root / file).is_file()}
        bare = _without_line(place, wanted)
        return tuple(sorted((*bare, *_same(place, sorted(wanted.keys() - bare), wanted))))
    except DigestMismatch:
        return ()


def _same(place: InPlace, names: list[str], wanted: Mapping[str, str]) -> list[str]:
    """Return those of some files that hold the items wanted; one that is damaged or of another size hides no other."""
    try:
        found = _content(place, names, as_paths=True)[1] if names else ()
    except DigestMismatch:
        half = len(names) // 2
        return _same(place, names[:half], wanted) + _same(place, names[half:], wanted) if half else []
    return [name for name, digest in zip(names, found, strict=True) if wanted[name] == digest]


def _without_line(place: InPlace, files: Collection[str]) -> set[str]:
    """Return those of the files that were read with a line of metadata, and have none any more.

    Whether they still hold what they held cannot be told by a digest, so they are taken to.
    """
    return set(files) - set(metadata_of(place.root, place.reading)[1]) if place.reading.metadata else set()


def metadata_of(root: Path, reading: FileReading) -> "tuple[Metadata | None, tuple[str, ...]]":
    """Return a folder's metadata, and the files that it has lines about by name; none where it cannot be read.

    The names are in Unicode's form NFC.
    """
    from lineage.formats.metadata import read_metadata

    try:
        found = read_metadata(root, encoding=reading.encoding, delimiter=reading.delimiter)
    except (BadInput, OSError):
        return None, ()
    return found, found.files if found else ()


def _content(place: InPlace, names: list[str] | None, *, as_paths: bool) -> "tuple[Arrays, tuple[str, ...]]":
    """Return what lies there now, of a folder the files of these names in their order, and the digests of it."""
    if not place.root.exists():
        raise DigestMismatch(
            f"{place.root}: is not there, and items were recorded in place from it; put it back, or add it again, "
            "under the same name, from where it is now"
        )
    if gone := [name for name in names or () if not (place.root / name).is_file()]:
        raise DigestMismatch(
            f"{_listed(place.root, gone)}: not there, and recorded in place; put back what was recorded, or withdraw "
            "the items by a request"
        )
    from lineage.formats.read import read_again  # read on use: it loads pyarrow, and most commands read no items

    reading = place.reading
    try:
        content = read_again(
            place.root,
            reading.kinds,
            encoding=reading.encoding,
            delimiter=reading.delimiter,
            decimal=reading.decimal,
            missing=reading.missing,
            names=names,
            whole=reading.whole,
            in_place=as_paths,
        )
        return content, item_digests(content)
    except BadInput as problem:
        raise DigestMismatch(f"{problem} (recorded in place: it changed)") from problem
    except OSError as problem:
        raise DigestMismatch(f"{place.root}: cannot be read ({problem.strerror}); check its rights") from problem


def _listed(root: Path, names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(str(root / name) for name in names[:_SHOWN]) + more
