"""What a purge would delete, every path and store entry of it, said before it happens. Reads only.

Of a request that was not begun, or has not come to its purge, it is said by its plan and its selectors as if all the
steps before were done (:mod:`disgorge.removal.foreseen`). That holds as of now: what the execution itself writes, such
as the shards that it cuts, is not in it, and other work in the workspace can change it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.locations.every import plan as plan_purge
from disgorge.locations.location import Target
from disgorge.locations.references import tensors_that_go
from disgorge.plan.plan import Action, Plan
from disgorge.removal.foreseen import foreseen
from disgorge.request.case import Case, case_of, plan_of
from disgorge.request.holds.held_items import items_of_all, overlaps
from disgorge.request.together import as_one, cases_of
from disgorge.request.withdrawn.forget_list import ForgetList, forgotten
from disgorge.request.workflow.approval import require_fresh
from disgorge.training.sandbox.inputs import stages_of
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Preview:
    """``paths`` are the files that go, ``records`` entries of stores, ``kept`` what stays and why, in words.

    ``ahead`` counts the steps that come before the purge and are not done yet.
    """

    paths: tuple[Path, ...]
    records: tuple[str, ...]
    kept: tuple[str, ...]
    ahead: int = 0

    @property
    def entries(self) -> tuple[str, ...]:
        """Every path and record, as text."""
        return (*(str(path) for path in self.paths), *self.records)


def preview(workspace: Workspace, request: str) -> Preview:
    """Return what the purge of a request's last plan would do if it came to it at this moment.

    Raises :class:`~lineage.errors.UnknownRecord` if there is no plan, and :class:`~disgorge.errors.StalePlan` for one
    that would not be carried out any more.
    """
    case = case_of(workspace, request)
    plan = plan_of(workspace, case)
    done = case.steps.get(plan.digest, {})
    require_fresh(workspace, plan, started=bool(done))
    targets = [step.detail for step in plan.steps if step.action is Action.PURGE]
    shards = tuple(digest for detail in targets for digest in detail["shards"])
    objects = tuple(digest for detail in targets for digest in detail["objects"])
    cases = cases_of(workspace, plan)
    case = as_one(cases)
    items = _items(workspace, case, plan, cases)
    found = dict.fromkeys(each.words for name in plan.requests for each in overlaps(workspace, name, items))
    held = [f"nothing of it goes while a hold lasts: {words}" for words in found]
    ahead = sum(step.id not in done for step in plan.steps if step.action not in (Action.PURGE, Action.REPORT))
    workspace = foreseen(workspace, plan, done)
    target = Target(shards, objects, items, _tensors(workspace, case, objects), request=request)
    planned = plan_purge(workspace, target)
    stages = stages_of(workspace)  # cleared on the way
    copies = (path for stage in stages for path in stage.rglob("*") if path.is_file())
    paths = dict.fromkeys((*planned.paths, *copies))
    return Preview(tuple(paths), (*planned.records, *planned.rewritten), (*planned.kept, *held), ahead)


def _tensors(workspace: Workspace, case: Case, objects: Collection[str]) -> frozenset[str]:
    """Return the tensors that go: as a purge noted that was killed, or as they lie there."""
    noted = ForgetList(workspace, str(case.plan))
    return noted.tensors if noted.found_before is not None else tensors_that_go(workspace, objects)


def _items(workspace: Workspace, case: Case, plan: Plan, cases: Sequence[Case]) -> frozenset[str]:
    """Return the items that are withdrawn, and those that the plan will withdraw; the report erases what lists them."""
    listed = any(ForgetList(workspace, digest).path.exists() for digest in case.steps)
    items = forgotten(workspace, case) if listed else frozenset[str]()
    done = case.steps.get(plan.digest, {})
    if any(step.action is Action.WITHDRAW_ITEMS and step.id not in done for step in plan.steps):
        items |= items_of_all(workspace, cases)
    return items
