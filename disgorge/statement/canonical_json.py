"""Reading the JSON of a bundle, of which there is one byte form only: canonical JSON (RFC 8785).

Whatever else the bytes are (other white space, doubled keys, NaN, numbers beyond what JSON carries exactly, a thousand
brackets, no UTF-8) is refused with the file's name, and with nothing of what Python would say.
"""

import json
from collections.abc import Mapping
from typing import TypeVar

from disgorge.errors import BundleBroken
from lineage.records import Json, canonical, restore

AGAIN = "ask for the report again"

Record = TypeVar("Record")


def value_of(data: bytes, name: str) -> Json:
    """Return the value that ``data`` is the canonical JSON of; :class:`BundleBroken` names the file."""
    try:
        value = json.loads(data)
        same = canonical(value) == data
    except Exception as error:  # ValueError, RecursionError, rfc8785's own: all mean the same
        raise BundleBroken(f"{name} does not hold JSON that can be read ({type(error).__name__}); {AGAIN}") from error
    if not same:
        raise BundleBroken(f"{name} is not written in canonical form; {AGAIN}")
    return value


def record(kind: type[Record], name: str, members: Mapping[str, bytes]) -> Record:
    """Return the record a file holds, if it is written exactly as such a record is."""
    return _restored(kind, kind.__name__, name, members)


def records(kind: type[Record], name: str, members: Mapping[str, bytes]) -> tuple[Record, ...]:
    """Return the records of one kind that a file lists."""
    return _restored(tuple[kind, ...], f"list of {kind.__name__}", name, members)  # type: ignore[valid-type]


def records_by_name(kind: type[Record], name: str, members: Mapping[str, bytes]) -> dict[str, Record]:
    """Return the records of one kind that a file holds by name."""
    return _restored(dict[str, kind], f"table of {kind.__name__}", name, members)  # type: ignore[valid-type]


def _restored(kind: type[Record], called: str, name: str, members: Mapping[str, bytes]) -> Record:
    try:
        found = restore(kind, json.loads(members[name]))
        same = canonical(found) == members[name]
    except Exception as error:  # json, pydantic, and the records' own complaints all mean the same
        raise BundleBroken(f"{name} does not hold a {called} ({type(error).__name__}); {AGAIN}") from error
    if not same:
        raise BundleBroken(f"{name} is not the canonical form of a {called}; {AGAIN}")
    return found
