"""The bad case: a component trained on a withdrawn shard, recorded by code that did not ask.

Whoever kept a copy of the data can do this; lineage cannot stop them from training, but once the component is recorded
the audit finds that it uses what was withdrawn.
"""

import numpy as np

from lineage.ledger.fact_kinds import ShardWithdrawnFact
from lineage.recording import recording
from lineage.records import Role, Use
from lineage.workspace import Workspace


def train_quietly(shard: str) -> None:
    """Record a "model" whose training used the last withdrawn version of a shard."""
    workspace = Workspace.open()
    withdrawn = [each.shard for _, each in workspace.ledger.said(ShardWithdrawnFact) if each.name == shard]
    with recording(
        workspace, kind="classifier", name="quiet-model", uses=[Use(withdrawn[-1], Role.TRAIN)]
    ) as component:
        component.save({"weights": np.zeros(4, dtype=np.float32)})
