"""Digests by their beginning, as tables show them and people copy them.

>>> is_beginning("3f2a9c01d4e7"), is_beginning("3f2a9c"), is_beginning("contributor-3")
(True, False, False)
"""

import re
from typing import TYPE_CHECKING

from lineage.errors import UnknownRecord

if TYPE_CHECKING:
    import duckdb


_BEGINNING = re.compile(r"[0-9a-f]{8,63}")  # a digest has 64; eight of them name one of some ten thousand


def is_beginning(text: str) -> bool:
    """Whether a text may be the beginning of a digest: from eight hexadecimal digits on, and not all of them."""
    return _BEGINNING.fullmatch(text) is not None


def whole(connection: "duckdb.DuckDBPyConnection", text: str) -> str:
    """Return the recorded digest that begins with ``text``, or ``text`` itself if it is no beginning of one.

    A name is what it is, whatever it looks like. Raises :class:`~lineage.errors.UnknownRecord` for the beginning of
    several digests.
    """
    if not is_beginning(text):
        return text
    named = "select 1 from shard where name = $1 union all select 1 from component where name = $1 union all "
    named += "select 1 from release where name = $1 union all select 1 from item where key = $1"
    if connection.execute(named, [text]).fetchall():
        return text
    begins = " union ".join(
        f"select digest from {table} where starts_with(digest, $1)" for table in ("shard", "component", "item")
    )
    found = [digest for (digest,) in connection.execute(begins, [text]).fetchall()]
    if len(found) > 1:
        raise UnknownRecord(f"{text!r} begins {len(found)} digests; give more of its digits")
    return found[0] if found else text
