"""The memory that a file from outside may take, and the errors for one that takes more.

A file of some kilobytes can unpack to all the memory there is, so what it says of itself is asked before it is read.
"""

from lineage.errors import TooLarge

LIMIT = 4 * 2**30
"""Bytes a shard may take in memory unless the caller says otherwise: what a small machine still holds."""

ITEM = 500
"""Bytes that an item takes in memory at the least, beside its content: key, digests and a row of the manifest."""


def check_items(origin: str, items: int, limit: int) -> None:
    """Raise ``TooLarge`` for more items than the limit has room for, whatever little each of them holds."""
    if items * ITEM > limit:
        raise TooLarge(f"{origin}: holds {items:,} items, the limit has room for {limit // ITEM:,}; split it")


def too_large(origin: str, needed: int, limit: int) -> TooLarge:
    """Return the error for a file that says it holds more than the limit."""
    return TooLarge(f"{origin}: unpacks to {needed:,} bytes, the limit is {limit:,}; split it or raise the limit")
