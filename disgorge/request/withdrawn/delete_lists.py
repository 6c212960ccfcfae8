"""Deletes what is private of a request that is over: every list of items that was kept to carry it out."""

from disgorge.request.case import Case, docket
from disgorge.request.holds.open import forget_hidden
from disgorge.request.withdrawn.forget_list import ForgetList, overlap_list
from lineage.workspace import Workspace


def delete_private_lists(workspace: Workspace, case: Case) -> None:
    """Delete the lists of a request that is over, but those that an open hold or another open request needs.

    The caller holds the workspace's lock.
    """
    open_cases = [each for name, each in docket(workspace).items() if not each.closed and name != case.request.id]
    for plan in case.steps.keys() - {plan for each in open_cases for plan in each.steps}:
        ForgetList(workspace, plan).erase()
    for by_request in {str(each["by_request"]) for each in case.overlaps}:
        overlap_list(workspace, case.request.id, by_request).erase()
    forget_hidden(workspace, case, over=True)
