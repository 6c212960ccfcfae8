"""Marks of withdrawn rows: how a row is known in a text, whoever wrote it there and whichever columns it left out.

An item's digest finds a row only where it was stored as Disgorge stores it. In a log, a tag, a backup or a JSON table
only its values stand. So before a purge the values that nothing live shares are noted, as keyed hashes, in the private
list of what a plan withdraws:

- a **phrase**: its key, the name of its person, or one of its texts, if that is long and unusual enough (keys and names
  of six characters with a digit or two words; texts of ten with a digit, or of four words; no dates);
- **numbers** of at least four digits: half of a row's, and three at least, in one record or line are the row, if that
  is no long list in which they may stand by chance;
- a **line**: all numbers of a row together, in whatever order, of three and eight digits at least.

Not found: a row of few short numbers and common words, which has no mark; columns apart from one another; pictures and
other arrays; text that was translated, rounded or encoded. A text that more than two withdrawn rows share is no mark:
it says what they are, not which. Of more than 5,000 rows the first by digest are noted.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from lineage.errors import LineageError
from lineage.shards.files import live_shards, shard_items, shard_rows
from lineage.texts.read import LONGEST, pieces
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from lineage.texts.hashes import Hashes, TextHashes

MOST_ITEMS = 5_000
"""Rows that are noted: a copy of more of them has one of these."""
_ENOUGH = 3  # numbers of one row in one record
_CROWD = 20  # numbers in a record for each of the row: more may hold them by chance
_DIGITS = 8  # of all numbers of a row whose line is a mark
_SHARED = 2  # withdrawn rows that may have a text which is a mark of each
_WORDS = 8  # tokens by which a long text is known
_HASH = 24  # hexadecimal digits: chance does not matter beyond
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
_RECORD = re.compile(r"[\n\]}]")
_DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ t]\d{1,2}:\d\d(:\d\d(\.\d+)?)?(z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE
)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
Keyed = Callable[[str], str]
Place = TypeVar("Place")


def marks_of(
    workspace: Workspace, shards: Iterable[str], items: Collection[str], names: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return marks by item digest, of those of these shards; ``names`` are persons by pseudonym, as far as known."""
    wanted = frozenset(sorted(items)[:MOST_ITEMS])
    found: dict[str, _Row] = {}
    for shard in shards:
        try:
            digests, arrays = shard_items(workspace, shard, verify=False, as_paths=True)
            keys = {row.digest: row for row in shard_rows(workspace, shard)}
        except LineageError:
            continue  # gone or damaged, which other searches tell of
        for place in (place for place, digest in enumerate(digests) if digest in wanted):
            item = keys[digests[place]]
            row = found.setdefault(item.digest, _Row())
            row.add({name: array[place] for name, array in arrays.items()}, item.key, names.get(item.subject or "", ""))
    if not found:
        return {}
    hashes = _hashes(workspace.private.keyed)
    shared, lines = _shared(workspace, found.values(), names, wanted, hashes)
    times = Counter(pair for row in found.values() for pair in row.values if pair[0])
    shared |= {pair for pair, count in times.items() if count > _SHARED and not _NUMBER.fullmatch(pair[1])}
    keyed = _cached(workspace.private.keyed)
    return {item: row.marks(shared, lines, hashes, keyed) for item, row in found.items()}


class _Row:
    """What may be a mark of a row: field and value of its texts and numbers, "" for key and person; its lines."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], None] = {}
        self.fields: list[str] = []
        self.line: list[str] = []
        self._more: list[list[str]] = []

    def add(self, fields: Mapping[str, Any], key: str, name: str) -> None:
        """Take in the values of a row of this item."""
        self.values |= dict.fromkeys(_values_of(fields))
        self.values |= {("", each): None for each in (key, name) if _is_unusual(each, 6)}
        self.fields, self.line = sorted(fields), [number for value in fields.values() for number in _numbers_in(value)]
        self._more = [_numbers_in(key), _numbers_in(name), [*_numbers_in(key), *_numbers_in(name)]]

    def marks(
        self, shared: Collection[tuple[str, str]], lines: Collection[int], hashes: "TextHashes", keyed: Keyed
    ) -> list[str]:
        """Return the marks, of what is not shared: hashes of numbers and lines, and of each phrase count and hashes."""
        pairs = [pair for pair in self.values if pair not in shared]
        numbers = {value for field, value in pairs if field and _NUMBER.fullmatch(value)}
        marks = [f"n:{_sum(hashes, [value]):016x}" for value in sorted(numbers)] if len(numbers) >= _ENOUGH else []
        if (
            len(self.line) >= _ENOUGH
            and sum(map(_digits, self.line)) >= _DIGITS
            and _sum(hashes, self.line) not in lines
        ):
            several = {_sum(hashes, [*self.line, *more]) for more in ([], *self._more)}
            anchor = _sum(hashes, [max(self.line, key=_digits)])  # what has no such number has no such line
            marks += [f"l:{each:016x}:{anchor:016x}" for each in sorted(several)]
        for value in sorted({value for field, value in pairs if not (field and _NUMBER.fullmatch(value))}):
            tokens = tokens_in(value)[:_WORDS]
            marks.append(f"{len(tokens)}:{hashes.phrase(tokens):016x}:{keyed(' '.join(tokens))}")
        return marks


def tokens_in(text: str) -> list[str]:
    """Return the tokens of a text, as they are compared."""
    from lineage.texts.hashes import tokens_of

    return tokens_of(text.casefold())


def _values_of(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield field and value of what may be a mark: numbers and texts, no arrays."""
    for name, value in fields.items():
        if isinstance(value, str):
            if _is_unusual(value, 10, words=4):
                yield name, value
        elif _is_number(value) and _digits(number := _number(value)) >= 4:
            yield name, number


def _shared(
    workspace: Workspace,
    rows: Collection[_Row],
    names: Mapping[str, str],
    gone: frozenset[str],
    hashes: "TextHashes",
) -> tuple[set[tuple[str, str]], set[int]]:
    """Return those of the values, and of the lines, that an item which is live has as well."""
    pairs = frozenset(pair for row in rows for pair in row.values)
    lines = {_sum(hashes, row.line) for row in rows if row.line}
    shapes = {tuple(row.fields) for row in rows}
    shared, lines_shared, fields = set[tuple[str, str]](), set[int](), {name for name, _ in pairs if name}
    for shard in live_shards(workspace):
        try:
            digests, arrays = shard_items(workspace, shard.digest, verify=False, as_paths=True)
            live = [row for row in shard_rows(workspace, shard.digest) if row.digest not in gone]
        except LineageError:
            continue
        stay = [place for place, digest in enumerate(digests) if digest not in gone]
        for name in fields & arrays.keys():
            values = arrays[name].tolist()
            texts = (value if isinstance(value, str) else _number(value) for value in (values[place] for place in stay))
            shared |= {(name, text) for text in texts} & pairs
        shared |= {("", text) for row in live for text in (row.key, names.get(row.subject or "", ""))} & pairs
        if lines and tuple(sorted(arrays)) in shapes:
            lines_shared |= lines.intersection(_lines_of(arrays, hashes)[stay].tolist())
    return shared, lines_shared


def _lines_of(arrays: Mapping[str, Any], hashes: "TextHashes") -> Any:
    """Return the hash of each row's line, (rows,)."""
    import numpy as np

    total = np.zeros(len(next(iter(arrays.values()))), np.uint64)
    for array in arrays.values():
        if array.ndim == 1 and array.dtype.kind in "iuf":
            total += np.where(np.isnan(array), np.uint64(0), hashes.numbers(np.abs(array.astype(float))))
        elif array.ndim == 1 and array.dtype.kind in "UOT":
            total += np.array([_sum(hashes, _numbers_in(value)) for value in array.tolist()], np.uint64)
    return total


def _sum(hashes: "TextHashes", numbers: Collection[str]) -> int:
    """Return the hash of numbers together, in whatever order."""
    return int(hashes.numbers([float(each) for each in numbers]).sum()) if numbers else 0


def _numbers_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return _NUMBER.findall(value.casefold())
    return [_number(value)] if _is_number(value) and value == value else []


def _is_number(value: Any) -> bool:
    return getattr(value, "ndim", 1) == 0 and getattr(getattr(value, "dtype", None), "kind", "") in "iuf"


def _digits(number: str) -> int:
    return sum(character.isdigit() for character in number)


def _is_unusual(text: str, least: int, *, words: int = 2) -> bool:
    """Whether a text is long enough, and has a digit or so many words: what others write by chance is no mark."""
    digits = _digits(text)
    long_enough = len(text.strip()) >= (8 if digits == len(text.strip()) else least)
    if not long_enough or _DATE.fullmatch(text.strip()):
        return False
    return digits > 0 or len(re.findall(r"\w+", text)) >= words


def _number(value: Any) -> str:
    """Return a number as it is compared: without its sign, six digits, which floats of 32 bits have as well."""
    number = abs(float(value))
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"


def _hashes(keyed: Keyed) -> "TextHashes":
    return _hashes_of(int(keyed("hashes of texts"), 16))


@lru_cache(maxsize=2)
def _hashes_of(key: int) -> "TextHashes":
    from lineage.texts.hashes import TextHashes

    return TextHashes(key)


def _cached(keyed: Keyed) -> Keyed:
    return lru_cache(maxsize=1 << 16)(lambda text: keyed(text)[:_HASH])


class RowMarks:
    """The marks of withdrawn rows, ready to be looked for."""

    def __init__(self, keyed: Keyed, marks: Mapping[str, Collection[str]]) -> None:
        self._key, self._keyed = keyed, _cached(keyed)
        self._phrases: dict[int, set[int]] = {}
        self._whole: set[str] = set()
        self._numbers: dict[int, set[str]] = {}
        self._enough: dict[str, int] = {}
        self._lines: set[int] = set()
        self._anchors: set[int] = set()
        self.covers_all = all(marks.values())
        """Whether every row has a mark."""
        for item, several in marks.items():
            for mark in several:
                kind, *hashes = mark.split(":")
                if kind == "n":
                    self._numbers.setdefault(int(hashes[0], 16), set()).add(item)
                    self._enough[item] = self._enough.get(item, 0) + 1
                elif kind == "l":
                    self._lines.add(int(hashes[0], 16))
                    self._anchors.add(int(hashes[1], 16))
                else:
                    self._phrases.setdefault(int(kind), set()).add(int(hashes[0], 16))
                    self._whole.add(hashes[1])

    def __bool__(self) -> bool:
        return bool(self._phrases or self._numbers or self._lines)

    @cached_property
    def _hashes(self) -> "TextHashes":
        return _hashes(self._key)

    def stand_in(self, text: str) -> bool:
        """Whether a text holds a withdrawn row."""
        if not self:
            return False
        if "\\" in text:
            text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).replace('\\"', '"').replace("\\n", "\n")
        return any(self._says(piece) or self._lists(piece) for piece in pieces([text.casefold()]))

    def holding(self, places: Iterable[tuple[Place, Iterable[str]]]) -> Iterator[Place]:
        """Yield the places one of whose texts holds a row; short texts are looked at many together, which is faster."""
        held, size = list[tuple[Place, str]](), 0
        for place, texts in places if self else ():
            for text in texts:
                if len(text) > LONGEST // 4:
                    if self.stand_in(text):
                        yield place
                        break
                    continue
                held.append((place, text))
                if (size := size + len(text)) > LONGEST // 2:
                    yield from self._each(held)
                    held, size = [], 0
        yield from self._each(held)

    def _each(self, held: Sequence[tuple[Place, str]]) -> Iterator[Place]:
        if held and self.stand_in("\n".join(text for _, text in held)):
            yield from dict.fromkeys(place for place, text in held if self.stand_in(text))

    def _says(self, text: str) -> bool:
        import numpy as np

        if not self._phrases:
            return False
        starts, tokens = self._hashes.tokens(text)
        for count, wanted in self._phrases.items():
            found = np.flatnonzero(np.isin(self._hashes.phrases(tokens, count), np.array(sorted(wanted), np.uint64)))
            for place in found.tolist():
                end = int(starts[place + count]) if place + count < len(starts) else len(text)
                if self._keyed(" ".join(tokens_in(text[starts[place] : end]))) in self._whole:
                    return True
        return False

    def _lists(self, text: str) -> bool:
        """Whether a record of a text has the numbers of a row."""
        written = _NUMBER.findall(text) if self._numbers or self._anchors else []
        if len(written) < _ENOUGH:
            return False
        hashes = self._hashes.numbers([float(each) for each in written])
        there = set(hashes.tolist())
        if there.isdisjoint(self._anchors) and len(there & self._numbers.keys()) < _ENOUGH:
            return False
        return self._is_row(text, hashes)

    def _is_row(self, text: str, hashes: "Hashes") -> bool:
        """Whether the numbers in one record of a text, which have these hashes, are those of a row."""
        import numpy as np

        starts = np.array([match.start() for match in _NUMBER.finditer(text)])
        records = np.searchsorted(np.array([match.start() for match in _RECORD.finditer(text)]), starts)
        borders = np.flatnonzero(np.diff(records, prepend=-1))
        if not self._lines.isdisjoint(np.add.reduceat(hashes, borders).tolist()):
            return True
        several: dict[int, set[int]] = {}
        for place in np.flatnonzero(np.isin(hashes, np.array(sorted(self._numbers), np.uint64))).tolist():
            several.setdefault(int(records[place]), set()).add(int(hashes[place]))
        for record, values in several.items():
            if len(values) < _ENOUGH:
                continue
            written = len(np.unique(hashes[records == record]))
            found = Counter(item for value in values for item in self._numbers[value])
            if any(n >= max(_ENOUGH, self._enough[item] / 2, written / _CROWD) for item, n in found.items()):
                return True
        return False
