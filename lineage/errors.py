"""Everything that can go wrong with lineage, as one small tree.

LineageError
├── NoWorkspace          there is no ``.disgorge`` here or above
├── UnknownRecord        a shard, component, composition or release that is not recorded
├── BadInput             a file or a value that cannot be taken in as items
│   └── TooLarge         one that takes more memory than its limit
├── ExpectationsFailed   items that break the suite a shard must pass
├── LedgerBroken         a torn, edited or reordered ledger
├── UnknownFormat        a workspace that another version of disgorge made
├── DigestMismatch       bytes on disk that are not what their digest says
└── WorkspaceBusy        another process holds the lock

Every message says what, where and what to do next; the command line prints it as it is.
"""

from typing import Any


class LineageError(Exception):
    """A problem with what was recorded, or with what should be."""


class NoWorkspace(LineageError):  # noqa: N818 (the name says what is the matter)
    """There is no ``.disgorge`` folder here or in any folder above."""


class UnknownRecord(LineageError):  # noqa: N818
    """A name or digest that the ledger does not know."""


class BadInput(LineageError):  # noqa: N818
    """A file or value that cannot be read as items."""


class TooLarge(BadInput):
    """A file that would take more memory than its limit."""


class ExpectationsFailed(LineageError):  # noqa: N818
    """Items that do not meet the suite a shard must pass before it is recorded."""


class LedgerBroken(LineageError):  # noqa: N818
    """The chain of facts does not hold: torn, edited, reordered or cut."""


class UnknownFormat(LineageError):  # noqa: N818
    """The workspace was made by a version of disgorge whose format this one does not read."""


class DigestMismatch(LineageError):  # noqa: N818
    """Bytes that no longer match the digest they are stored under."""


class WorkspaceBusy(LineageError):  # noqa: N818
    """Another process is writing; nothing was changed."""


def fields_of(error: Any) -> str:
    """Return pydantic's complaints on one line: each field and what is wrong with it.

    >>> from pydantic import TypeAdapter, ValidationError
    >>> try:
    ...     _ = TypeAdapter(dict[str, int]).validate_python({"seed": "x"}, strict=True)
    ... except ValidationError as error:
    ...     fields_of(error)
    'seed: Input should be a valid integer'
    """
    found = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"])
        words = problem["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {words}" if where else words)
    return "; ".join(found)
