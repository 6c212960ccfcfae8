"""What a purge would delete, every path and store entry of it, said before it happens. Reads only."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from disgorge import mlflow_traces
from disgorge.docket import Case, case_of, plan_of
from disgorge.forget_list import ForgetList, forgotten
from disgorge.plan import Action
from disgorge.purge import purge_plan
from disgorge.residue_search import wanted_of
from disgorge.same_weights import tensors_that_go
from disgorge.stage import stages_of
from lineage import forget_dvc
from lineage.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Preview:
    """``paths`` are the files that go, ``records`` entries of stores, ``kept`` what stays and why, in words."""

    paths: tuple[Path, ...]
    records: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def entries(self) -> tuple[str, ...]:
        """Every path and record, as text."""
        return (*(str(path) for path in self.paths), *self.records)


def preview(ledger: Ledger, request: str) -> Preview:
    """Return what the purge of a request's last plan would do at this moment."""
    case = case_of(ledger, request)
    targets = [step.detail for step in plan_of(ledger, case).steps if step.action is Action.PURGE]
    shards = tuple(digest for detail in targets for digest in detail["shards"])
    objects = tuple(digest for detail in targets for digest in detail["objects"])
    items = forgotten(ledger, case) if any(_lists(ledger, case)) else frozenset()
    listed = purge_plan(ledger, shards=shards, objects=objects, item_digests=items)
    tracked = forget_dvc.listing(
        ledger.workspace, listed.hashes.erased, made=listed.hashes.made, live=listed.hashes.live
    )
    wanted = wanted_of(ledger, listed.objects, items, tensors_that_go(ledger, objects))
    logged = mlflow_traces.traces(ledger.workspace, wanted)
    copies = (path for stage in stages_of(ledger) for path in stage.rglob("*") if path.is_file())  # cleared on the way
    paths = [*listed.files, *copies, *(Path(each) for each in tracked if each.startswith("/")), *logged.going()]
    records = [*(each for each in tracked if not each.startswith("/")), *logged.records()]
    return Preview(tuple(dict.fromkeys(paths)), tuple(records), listed.kept)


def _lists(ledger: Ledger, case: Case) -> Iterator[bool]:
    """Yield whether the list of withdrawn items of each plan is there; the report erases it."""
    yield from (ForgetList(ledger, digest).path.exists() for digest in case.steps)
