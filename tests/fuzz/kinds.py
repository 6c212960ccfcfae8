"""Every kind of case by name: a function from a place and a number to what became of it, in a word."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import csv_cases, folder_cases, npz_cases, parquet_cases
from tests.fuzz.place import Place

Case = Callable[[Place, int], str]
BOTH = frozenset({"taken", "refused"})


@dataclass(frozen=True)
class Kind:
    """One way in: how many cases the tiers run, and what must come out at least once."""

    name: str
    case: Case
    share: int
    full: int
    outcomes: frozenset[str] = BOTH


KINDS = {
    kind.name: kind
    for kind in (
        Kind("csv", csv_cases.case, share=50, full=900),
        Kind("npz", npz_cases.case, share=60, full=900),
        Kind("parquet", parquet_cases.case, share=45, full=2_000),
        Kind("folder", folder_cases.case, share=50, full=700),
    )
}
