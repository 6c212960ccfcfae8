"""Every kind of case by name: a function from a place and a number to what became of it, in a word."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import (
    bundles,
    conditions,
    csv_cases,
    documents,
    drawn,
    folder_cases,
    handed,
    npz_cases,
    parquet_cases,
    stored,
    words,
)
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
    apart: bool = False
    """Whether its cases may hang, crash or eat memory, and run in the harness."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("csv", csv_cases.case, share=21, full=1_200, apart=True),
        Kind("npz", npz_cases.case, share=24, full=1_200, apart=True),
        Kind("parquet", parquet_cases.case, share=21, full=2_000, apart=True),
        Kind("folder", folder_cases.case, share=30, full=600, apart=True),
        Kind("request", documents.request, share=30, full=300),
        Kind("pack", documents.pack, share=24, full=300, apart=True),
        Kind("condition", conditions.case, share=30, full=1_500, outcomes=BOTH | {"unclear"}, apart=True),
        Kind("policy-case", documents.policy_case, share=24, full=300),
        Kind("model", documents.model, share=24, full=400),
        Kind("rules", documents.rules, share=30, full=500),
        Kind("settings", documents.settings, share=30, full=300),
        Kind("words", words.case, share=50, full=500),
        Kind("ledger", stored.workspace, share=10, full=200, outcomes=frozenset({"refused"}), apart=True),
        Kind("facts", stored.facts, share=10, full=200, apart=True),
        Kind("tables", stored.tables, share=10, full=200, apart=True),
        Kind("weights", stored.weights, share=10, full=100, apart=True),
        Kind("tensors", stored.tensors, share=18, full=500, apart=True),
        Kind("dvc", stored.dvc, share=30, full=500, outcomes=BOTH | {"found"}, apart=True),
        Kind("page", drawn.page, share=10, full=120, outcomes=frozenset({"taken"})),
        Kind("findings", drawn.findings, share=30, full=500, outcomes=frozenset({"taken"})),
        Kind("drawing", drawn.drawing, share=30, full=600, outcomes=frozenset({"taken"})),
        Kind("terminal", drawn.terminal, share=15, full=200),
        Kind("bundle", bundles.case, share=18, full=300, apart=True),
        Kind("handed", handed.case, share=15, full=150, apart=True),
    )
}
