"""How lineage looks to people: what learned from what, references of probes counted instead of listed.

A reference of a probe is a model that was trained only to be compared with. It learned from the data as the released
one did, and is destroyed with it, but a dozen of them between a reader and the one release that counts hides the
answer. JSON has them all; so does ``--all``.
"""

from typing import TYPE_CHECKING

from disgorge.cli.output import tables as show
from lineage.plural import counted

if TYPE_CHECKING:
    from lineage.catalog.trace import Node, Trace


def apart(trace: "Trace") -> "tuple[Trace, int]":
    """Return the trace without references of probes, and how many components that leaves out.

    What was asked for stays, and so does whatever a release in the trace is made of, whatever it is called.
    """
    from disgorge.layout import of_reference
    from lineage.catalog.trace import reaching

    starts = {node.id for node in trace.nodes if trace.start in (node.id, node.name, *node.also)}
    served = reaching({node.id for node in trace.nodes if node.kind == "release"}, trace.edges)
    left_out = [
        node.id
        for node in trace.nodes
        if node.kind == "component"
        and node.id not in served | starts
        and of_reference(node.name)  # a live name that is no reference's would go first
    ]
    return trace.without(left_out), len(left_out)


def print_trace(trace: "Trace", *, left_out: int, empty: str) -> None:
    """Print a trace, one row an edge; ``empty`` says what it means that there is none."""
    from disgorge.layout import of_reference

    nodes = {node.id: node for node in trace.nodes}
    rows = [
        (_from(nodes[edge.source]), edge.role, nodes[edge.target].name, _is(nodes[edge.target])) for edge in trace.edges
    ]
    if rows:
        show.table(("from", "role", "to", "is"), rows)
    else:
        show.table(("name", "is", "detail"), [(node.name, _is(node), node.detail) for node in trace.nodes])
        if not left_out:
            show.line(empty)
    for node in trace.nodes:
        shared = [name for name in node.also if not of_reference(name)]
        if shared:
            show.paragraph(f"the same bytes as {node.name}: {', '.join(shared)}")
    say_left_out(left_out)


def say_left_out(number: int) -> None:
    """Print how many components were left out, if any were."""
    if number:
        show.line(f"and {counted(number, 'component')} of references that probes compare with (--all lists them)")


def _from(node: "Node") -> str:
    """Return a node's name, with its state where it is not alive."""
    return node.name if node.state == "live" else f"{node.name} ({node.state})"


def _is(node: "Node") -> str:
    """Return what a node is and, where that is not alive, its state."""
    kind = {"subject": "person"}.get(node.kind, node.kind)
    return kind if node.state == "live" else f"{node.state} {kind}"
