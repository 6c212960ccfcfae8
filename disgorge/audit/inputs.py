"""What live components learned from: inputs nobody recorded, and inputs that were withdrawn."""

from collections.abc import Iterator

from disgorge.audit.findings import TRAINED_ON_WITHDRAWN, UNREGISTERED_INPUT, Finding
from disgorge.request.snapshot import Look
from lineage.ledger.state import influences_of


def unregistered(look: Look) -> Iterator[Finding]:
    """Yield a finding per digest that something live rests on and no fact records, or that only a recipe names."""
    recorded = {digest for _, digest in look.state.shards} | look.known.keys()
    for entry in look.components():
        component = entry.record
        for digest, way in look.ways(component).items():
            if digest not in recorded:
                yield Finding(
                    UNREGISTERED_INPUT,
                    component.name,
                    f"learned from {digest}, which nobody recorded, by way of {' <- '.join(way)}",
                    "record that shard or component, or retire this one",
                    fact=entry.seq,
                )
        declared = {use.digest for use in component.uses}
        for use in influences_of(component):
            if use.digest in recorded and use.digest not in declared:
                yield Finding(
                    UNREGISTERED_INPUT,
                    component.name,
                    f"its recipe names {use.digest} as input, its recorded uses do not",
                    "record the component again with all of its uses, or retire it",
                    fact=entry.seq,
                )


def trained_on_withdrawn(look: Look) -> Iterator[Finding]:
    """Yield a finding per live component and withdrawn shard that shaped it, unless a removal is under way."""
    for entry in look.components():
        for digest, way in look.withdrawn_inputs(entry.record).items():
            if look.in_progress(entry, digest):
                continue
            withdrawal = look.withdrawals[digest]
            again = entry.seq > withdrawal.seq
            request = f"for request {withdrawal.request}" if withdrawal.request else "before"
            yield Finding(
                TRAINED_ON_WITHDRAWN,
                entry.record.name,
                f"learned from shard {withdrawal.name} ({digest[:12]}), withdrawn {request}, by way of "
                f"{' <- '.join(way)}" + ("; it was recorded after that" if again else ""),
                "take down what uses it, then train it again on the shard as it is now",
                fact=entry.seq,
            )
