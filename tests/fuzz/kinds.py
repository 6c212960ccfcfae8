"""Every kind of case by name: a function from a place and a number to what became of it, in a word."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import conditions, csv_cases, documents, folder_cases, npz_cases, parquet_cases
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
        Kind("request", documents.request, share=60, full=900),
        Kind("pack", documents.pack, share=60, full=800),
        Kind("condition", conditions.case, share=80, full=1_500, outcomes=BOTH | {"unclear"}),
        Kind("policy-case", documents.policy_case, share=55, full=600),
        Kind("model", documents.model, share=55, full=700),
        Kind("rules", documents.rules, share=55, full=500),
        Kind("settings", documents.settings, share=55, full=300),
    )
}
