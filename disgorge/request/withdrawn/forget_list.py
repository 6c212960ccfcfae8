"""Private lists of the items that a plan withdraws, kept while it runs.

Digests of withdrawn items are in no fact and in no plan, yet an execution that is killed after the items went still has
to probe with them and to search for them. So they lie in ``private/executions/`` until the report is signed. The cost:
without the private folder a removal cannot be finished.

A list that was emptied would let every search find nothing. So it is sealed with the workspace's key, for its plan, and
the fact of the step that withdrew the items counts them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

from disgorge.errors import ExecutionFailed
from disgorge.facts import OverlapFact
from disgorge.plan.results import ItemsWithdrawn
from disgorge.request.case import Case
from lineage.errors import LineageError
from lineage.private_files import WITHDRAWN, WithdrawnItems
from lineage.records import canonical, plain
from lineage.storage.tensor_samples import TensorSample
from lineage.workspace import Workspace


class ForgetList:
    """The file of one plan, by the plan's digest. Writing it again is writing it once."""

    def __init__(self, workspace: Workspace, plan: str) -> None:
        self._workspace = workspace
        self._plan = plan
        self.path = WITHDRAWN.path(workspace, plan)

    def remember(
        self, items: Iterable[str], likenesses: Mapping[str, str], own: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        """Keep these item digests, and of those that have one the likeness by which near-duplicates are known.

        ``own`` are, of a joint plan, the items that each of its requests selects, by the request's id.
        """
        each = {name: sorted(of) for name, of in own.items()} if own else None
        self._write(WithdrawnItems(sorted(items), dict(likenesses), each))

    def read(self) -> WithdrawnItems:
        """Return what the list holds, nothing if there is no file; :class:`ExecutionFailed` for a damaged one."""
        try:
            return WITHDRAWN.read(self._workspace, self._plan) or WithdrawnItems()
        except LineageError as problem:
            raise ExecutionFailed(str(problem)) from problem

    def own(self, request: str) -> frozenset[str]:
        """Return those of the items that a request selects: all, unless the list is that of a joint plan."""
        stored = self.read()
        return frozenset(stored.items if stored.own is None else stored.own.get(request, []))

    @property
    def items(self) -> frozenset[str]:
        """The item digests kept; none if there is no file."""
        return frozenset(self.read().items)

    @property
    def likenesses(self) -> dict[str, str]:
        """Likenesses by item digest."""
        return self.read().likenesses

    @property
    def found_before(self) -> int | None:
        """How many traces the search found before anything was purged, once that was noted."""
        return self.read().found_before

    @property
    def recognized(self) -> frozenset[str]:
        """The items that the search by likeness found in their own shards, before the purge."""
        return frozenset(self.read().recognized)

    @property
    def tensors(self) -> frozenset[str]:
        """Digests of single tensors of the weights that go, noted before the purge."""
        return frozenset(self.read().tensors)

    @property
    def samples(self) -> tuple[TensorSample, ...]:
        """Samples of these tensors, noted with them."""
        return tuple(self.read().samples)

    @property
    def files(self) -> dict[str, int]:
        """The files of the components that go, by digest with their sizes, noted before the purge."""
        return self.read().files

    @property
    def marks(self) -> dict[str, list[str]]:
        """Marks by which rows are known in texts, by item digest, noted before the purge."""
        return self.read().row_marks

    def note_overlap(self, noted: OverlapFact) -> None:
        """Keep a copy of the fact about this list, which exposes a line forged into the ledger."""
        self._write(replace(self.read(), overlap=plain(noted)))

    def note_tensors(
        self,
        tensors: Iterable[str],
        files: Mapping[str, int],
        marks: Mapping[str, list[str]] | None = None,
        samples: Iterable[TensorSample] = (),
    ) -> None:
        """Keep what afterwards cannot be computed: digests of tensors and files that go, samples, marks of rows."""
        noted = replace(self.read(), tensors=sorted(tensors), files=dict(files), row_marks=dict(marks or {}))
        self._write(replace(noted, samples=list(samples)))

    def note_found(self, traces: int, recognized: Iterable[str]) -> None:
        """Keep what the searches found before the purge: the controls of the searches afterwards."""
        self._write(replace(self.read(), found_before=traces, recognized=sorted(recognized)))

    def erase(self) -> None:
        """Delete the file, and what a killed execution left half-written beside it; the caller holds the lock."""
        WITHDRAWN.erase(self._workspace, self._plan)

    def _write(self, told: WithdrawnItems) -> None:
        WITHDRAWN.write(self._workspace, told, self._plan)


def overlap_list(workspace: Workspace, request: str, by_request: str) -> ForgetList:
    """Return the list of the items of one request that another one's withdrawals took."""
    return ForgetList(workspace, sha256(canonical({"request": request, "by_request": by_request})).hexdigest())


def whole_list(workspace: Workspace, case: Case, by_request: str) -> ForgetList:
    """Return the list of what another request took; :class:`ExecutionFailed` unless it is what the ledger tells of."""
    listed = overlap_list(workspace, case.request.id, by_request)
    overlap = [each for each in case.overlaps if each.by_request == by_request][-1]
    if listed.read().overlap != plain(overlap) or len(listed.items) != overlap.items:
        raise ExecutionFailed(
            f"{listed.path}: does not list the {overlap.items:,} items of {case.request.id} that {by_request} removed, "
            f"so they cannot be searched for; restore the private folder"
        )
    return listed


def likenesses_taken(workspace: Workspace, case: Case) -> dict[str, str]:
    """Return the likenesses, by item digest, of what withdrawals for other requests took of this one's items."""
    lists = [overlap_list(workspace, case.request.id, each.by_request) for each in case.overlaps]
    return {item: likeness for listed in lists for item, likeness in listed.likenesses.items()}


def forgotten(workspace: Workspace, case: Case) -> frozenset[str]:
    """Return the digests of every item withdrawn for a request so far, by whichever of its plans.

    Raises :class:`ExecutionFailed` if items were withdrawn and their list is gone.
    """
    return frozenset(item for each in lists_of(workspace, case) for item in each.items)


def forgotten_own(workspace: Workspace, case: Case) -> frozenset[str]:
    """Return those of :func:`forgotten` that the request itself selects: joint plans withdraw others' items as well."""
    return frozenset(item for each in lists_of(workspace, case) for item in each.own(case.request.id))


def forgotten_likenesses(workspace: Workspace, case: Case) -> dict[str, str]:
    """Return the likenesses, by item digest, of what the request selects and was withdrawn so far.

    Errors as of :func:`forgotten`.
    """
    own = forgotten_own(workspace, case)
    return {
        item: likeness
        for each in lists_of(workspace, case)
        for item, likeness in each.likenesses.items()
        if item in own
    }


def lists_of(workspace: Workspace, case: Case) -> list[ForgetList]:
    """Return the lists of a request's plans, in the order of the plans. Errors as of :func:`forgotten`."""
    plans = dict.fromkeys((*case.steps, *([case.plan] if case.plan else [])))
    lists = {digest: ForgetList(workspace, digest) for digest in plans}
    counted = {
        plan: done.items
        for plan, steps in case.steps.items()
        for done in steps.values()
        if isinstance(done, ItemsWithdrawn)
    }
    last = next(reversed(counted), None)  # it lists what went by earlier plans as well
    lost = last is not None and len(lists[last].items) != counted[last]
    if lost or (case.withdrawn and not any(each.path.exists() for each in lists.values())):
        raise ExecutionFailed(
            f"what was withdrawn for {case.request.id} is missing from the workspace's private folder, so it can no "
            f"longer be searched for; restore the private folder and resume"
        )
    return list(lists.values())
