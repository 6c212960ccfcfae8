"""Records that facts name by digest and the object store holds: plans, impacts, examinations, evidence.

No training makes one of these again, so a lost one is told apart from lost weights.
"""

import json

from lineage.errors import UnknownRecord
from lineage.records import Record, restore
from lineage.workspace import Workspace


def kept_record(workspace: Workspace, record: type[Record], digest: str) -> Record:
    """Return the record with this digest; ``UnknownRecord`` or ``DigestMismatch`` name the file that is not whole."""
    try:
        return restore(record, json.loads(workspace.objects.get(digest)))
    except UnknownRecord as lost:
        raise UnknownRecord(
            f"{workspace.objects.path(digest)}: the {record.__name__.lower()} that a fact names is missing, and it "
            "cannot be made again; put the file back from a copy of the objects folder, then resume"
        ) from lost
