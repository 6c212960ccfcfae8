"""Marks of withdrawn rows: how a row is known in a text, whoever wrote it there and whichever columns it left out.

An item's digest finds a row only where it was stored as Disgorge stores it. In a log, a tag or a JSON table only its
values stand. So before a purge the values that nothing live shares are noted, as keyed hashes, in the private list of
what a plan withdraws:

- a **phrase**: its key, the name of its person, or one of its texts, if that is long and unusual enough (a digit or two
  words, at least six characters for keys and names, ten for texts);
- **numbers** of at least four digits: half of a row's, and three at least, in one record or line are the row, if that
  is no long list in which they may stand by chance.

Not found: a row of short numbers and common words, which has no mark; columns apart from one another; pictures and
other arrays; text that was translated, rounded or encoded. Of more than 5,000 rows the first by digest are noted.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lineage.errors import LineageError
from lineage.shards.files import live_shards, shard_items, shard_rows
from lineage.workspace import Workspace

MOST_ITEMS = 5_000
"""Rows that are noted: a copy of more of them has one of these."""
LARGEST = 1 << 30
"""Bytes of a file that is looked into."""
_ENOUGH = 3  # numbers of one row in one record
_CROWD = 20  # numbers in a record for each of the row: more may hold them by chance
_WORDS = 8  # tokens by which a long text is known
_HASH = 24  # hexadecimal digits: chance does not matter beyond
_TOKEN = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")
_RECORD = re.compile(r"[\n\]}]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
Keyed = Callable[[str], str]


def marks_of(
    workspace: Workspace, shards: Iterable[str], items: Collection[str], names: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return marks by item digest, of those of these shards; ``names`` are persons by pseudonym, as far as known."""
    wanted = frozenset(sorted(items)[:MOST_ITEMS])
    found: dict[str, dict[tuple[str, str], None]] = {}
    for shard in shards:
        try:
            digests, arrays = shard_items(workspace, shard, verify=False, as_paths=True)
            keys = {row.digest: row for row in shard_rows(workspace, shard)}
        except LineageError:
            continue  # gone or damaged, which other searches tell of
        for place in (place for place, digest in enumerate(digests) if digest in wanted):
            row = keys[digests[place]]
            values = found.setdefault(row.digest, {})
            values |= dict.fromkeys(_values_of({name: array[place] for name, array in arrays.items()}))
            values |= {("", row.key): None} if _is_unusual(row.key, 6) else {}
            values |= {("", name): None for name in [names.get(row.subject or "", "")] if _is_unusual(name, 6)}
    if not found:
        return {}
    shared = _shared(workspace, frozenset(pair for values in found.values() for pair in values), names, wanted)
    hashed = cache(lambda text: workspace.private.keyed(text)[:_HASH])
    return {item: _marks([pair for pair in values if pair not in shared], hashed) for item, values in found.items()}


def _values_of(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield field and value of what may be a mark: numbers and texts, no arrays."""
    for name, value in fields.items():
        if isinstance(value, str):
            if _is_unusual(value, 10):
                yield name, value
        elif getattr(value, "ndim", 1) == 0 and getattr(value, "dtype", None) is not None and value.dtype.kind in "iuf":
            if len(number := _number(float(value))) - number.count(".") - number.count("-") >= 4:
                yield name, number


def _shared(
    workspace: Workspace, pairs: frozenset[tuple[str, str]], names: Mapping[str, str], gone: frozenset[str]
) -> set[tuple[str, str]]:
    """Return those of the values that an item which is live has as well."""
    shared, fields = set[tuple[str, str]](), {name for name, _ in pairs if name}
    for shard in live_shards(workspace):
        try:
            digests, arrays = shard_items(workspace, shard.digest, verify=False, as_paths=True)
            rows = shard_rows(workspace, shard.digest)
        except LineageError:
            continue
        stay = [place for place, digest in enumerate(digests) if digest not in gone]
        for name in fields & arrays.keys():
            values = arrays[name].tolist()
            texts = (value if isinstance(value, str) else _number(value) for value in (values[place] for place in stay))
            shared |= {(name, text) for text in texts} & pairs
        live = [row for row in rows if row.digest not in gone]
        shared |= {("", text) for row in live for text in (row.key, names.get(row.subject or "", ""))} & pairs
    return shared


def _marks(pairs: Collection[tuple[str, str]], hashed: Keyed) -> list[str]:
    """Return a row's marks: hashes of its numbers; of each phrase its length, and hashes of its first token and all."""
    numbers = {value for field, value in pairs if field and _NUMBER.fullmatch(value)}
    marks = [f"n:{hashed(value)}" for value in sorted(numbers)] if len(numbers) >= _ENOUGH else []
    for value in sorted({value for field, value in pairs if not (field and _NUMBER.fullmatch(value))}):
        tokens = _TOKEN.findall(value.casefold())[:_WORDS]
        marks.append(f"{len(tokens)}:{hashed(tokens[0])}:{hashed(' '.join(tokens))}")
    return marks


def _is_unusual(text: str, least: int) -> bool:
    """Whether a text is long enough, and has a digit or two words: what others write by chance is no mark."""
    words = re.findall(r"\w+", text)
    digits = sum(character.isdigit() for character in text)
    long_enough = len(text.strip()) >= (8 if digits == len(text.strip()) else least)
    return long_enough and (digits > 0 or len(words) > 1)


def _number(value: Any) -> str:
    """Return a number as it is compared: six digits, which floats of 32 bits have as well."""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"


class RowMarks:
    """The marks of withdrawn rows, ready to be looked for."""

    def __init__(self, keyed: Keyed, marks: Mapping[str, Collection[str]]) -> None:
        self._hashed = cache(lambda text: keyed(text)[:_HASH])
        self._phrases: dict[str, dict[int, set[str]]] = {}
        self._numbers: dict[str, set[str]] = {}
        self._enough: dict[str, int] = {}
        for item, several in marks.items():
            for mark in several:
                count, *hashes = mark.split(":")
                if count == "n":
                    self._numbers.setdefault(hashes[0], set()).add(item)
                    self._enough[item] = self._enough.get(item, 0) + 1
                else:
                    self._phrases.setdefault(hashes[0], {}).setdefault(int(count), set()).add(hashes[1])

    def __bool__(self) -> bool:
        return bool(self._phrases or self._numbers)

    def stand_in(self, text: str) -> bool:
        """Whether a text holds a withdrawn row."""
        if not self:
            return False
        if "\\" in text:
            text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).replace('\\"', '"').replace("\\n", "\n")
        text = text.casefold()
        return self._says(text) or self._lists(text)

    def _says(self, text: str) -> bool:
        tokens = _TOKEN.findall(text)
        begun = {
            token: self._phrases[hashed] for token in set(tokens) if (hashed := self._hashed(token)) in self._phrases
        }
        for place, token in enumerate(tokens) if begun else ():
            for count, whole in begun.get(token, {}).items():
                if self._hashed(" ".join(tokens[place : place + count])) in whole:
                    return True
        return False

    def _lists(self, text: str) -> bool:
        written = set(_NUMBER.findall(text)) if self._numbers else ()
        known = {each: items for each in written if (items := self._numbers.get(self._hashed(_number(each))))}
        for record in _RECORD.split(text) if len(known) >= _ENOUGH else ():
            every, numbers = set(_NUMBER.findall(record)), dict[str, set[str]]()
            for each in known.keys() & every:
                for item in known[each]:
                    numbers.setdefault(item, set()).add(_number(each))
            for item, several in numbers.items():
                if len(several) >= max(_ENOUGH, self._enough[item] / 2, len(every) / _CROWD):
                    return True
        return False

    def stand_in_file(self, path: Path) -> bool:
        """Whether a file of text, or a table in Parquet, holds a withdrawn row; ``ValueError`` for one too large."""
        with path.open("rb") as file:
            head = file.read(4096)
        if not head.startswith(b"PAR1") and b"\0" in head:
            return False
        if path.stat().st_size > LARGEST:
            raise ValueError(f"{path}: larger than {LARGEST:,} bytes")
        if not head.startswith(b"PAR1"):
            return self.stand_in(path.read_text(encoding="utf-8", errors="replace"))
        return any(self.stand_in(text) for text in _rows_of(path))


def _rows_of(path: Path) -> Iterator[str]:
    """Yield the rows of a Parquet file as text, a thousand at a time, a line each."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(batch_size=1000):
            yield "\n".join(str(list(row.values())).replace("\n", " ") for row in batch.to_pylist())
