"""What is deleted in private once a request is over: every list of items that was kept to carry it out."""

from disgorge.request.case import Case
from disgorge.request.forget_list import forget_lists
from disgorge.request.holds import forget_hidden
from disgorge.request.overlap import forget_overlaps
from lineage.workspace import Workspace


def delete_private_lists(workspace: Workspace, case: Case) -> None:
    """Delete the lists of a request that is over, but those that an open hold or another open request needs."""
    forget_lists(workspace, case)
    forget_hidden(workspace, case, over=True)
    forget_overlaps(workspace, case)
