"""Lineage of an item, a person, a shard, a component, a release, or of what a request selects.

References of probes, models that were trained only to be compared with, are counted for people instead of listed. They
learned from the data as the released model did, and are destroyed with it, but a dozen of them between a reader and the
one release that counts hides the answer. JSON has them all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.errors import WrongUse
from disgorge.layout import of_reference
from disgorge.request.case import case_of
from disgorge.request.near.find import near_now
from disgorge.request.workflow.choices import choices
from disgorge.request.workflow.impact import impact_of, impact_shown, left_out_lines
from disgorge.result import Result
from lineage.catalog.catalog import Catalog
from lineage.catalog.svg import draw, draw_impact
from lineage.catalog.trace import Node, Trace, reaching
from lineage.errors import UnknownRecord
from lineage.records import Impact, Json, plain
from lineage.shown import Attention, Table, table
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Traced(Result):
    """What learned from something, what that learned from, and what people chose on it, in sentences."""

    trace: Trace
    choices: tuple[str, ...]

    def plain(self) -> Json:
        """Return every node and edge, and the choices."""
        return plain(self.trace) | {"choices": list(self.choices)}


def trace(
    workspace: Workspace,
    start: str,
    *,
    up: bool = False,
    down: bool = False,
    subject: bool = False,
    references: bool = False,
    svg: Path | None = None,
) -> Traced:
    """Return what learned from something, and what that learned from, with roles; both ways unless one is chosen.

    ``start`` is an item (digest or key), a shard, a component or a release; the name of a person with ``subject``.
    ``references`` lists those of probes too, ``svg`` is a file to draw it into.
    """
    named = workspace.subject(start) if subject else start
    both = up == down
    try:
        with Catalog.of(workspace) as catalog:
            traced = catalog.trace(named, up=up or both, down=down or both)
            chosen = _chosen(catalog, traced)
    except UnknownRecord as unknown:
        raise WrongUse(_unknown(str(unknown), start, subject=subject)) from None
    seen, left_out = (traced, 0) if references else apart(traced)
    if svg is not None:
        svg.write_text(draw(seen), encoding="utf-8")
    return Traced(traced, chosen, shown=(*_shown(seen, left_out, empty=_nothing(up=up, down=down)), *chosen))


def _chosen(catalog: Catalog, trace: Trace) -> tuple[str, ...]:
    """Return, in sentences, which releases were chosen on the data that a trace starts at, or on what a release was."""
    starts = [
        node for node in trace.nodes if trace.start in (node.id, node.id.rpartition("@")[0], node.name, *node.also)
    ]
    is_data = any(node.kind in ("item", "subject", "shard") for node in starts)
    shards = [node.name for node in trace.nodes if node.kind == "shard"] if is_data else []
    return choices(catalog, shards, of=[node.id for node in starts if node.kind == "release"])


def apart(trace: Trace) -> tuple[Trace, int]:
    """Return the trace without references of probes, and how many components that leaves out.

    What was asked for stays, and so does whatever a release in the trace is made of, whatever it is called.
    """
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


def _shown(trace: Trace, left_out: int, *, empty: str) -> Iterator[str | Table]:
    """Yield a trace, one row an edge; ``empty`` says what it means that there is none."""
    nodes = {node.id: node for node in trace.nodes}
    rows = [
        (_from(nodes[edge.source]), edge.role, nodes[edge.target].name, _is(nodes[edge.target])) for edge in trace.edges
    ]
    if rows:
        yield table("from", "role", "to", "is", rows=rows)
    else:
        yield table("name", "is", "detail", rows=[(node.name, _is(node), node.detail) for node in trace.nodes])
        if not left_out:
            yield empty
    for node in trace.nodes:
        shared = [name for name in node.also if not of_reference(name)]
        if shared:
            yield f"the same bytes as {node.name}: {', '.join(shared)}"
    yield from left_out_lines(left_out)


def _from(node: Node) -> str:
    """Return a node's name, with its state where it is not alive."""
    return node.name if node.state == "live" else f"{node.name} ({node.state})"


def _is(node: Node) -> str:
    """Return what a node is and, where that is not alive, its state."""
    kind = {"subject": "person"}.get(node.kind, node.kind)
    return kind if node.state == "live" else f"{node.state} {kind}"


def _unknown(words: str, start: str, *, subject: bool) -> str:
    """Return what to say of an unknown start: a person by the name that was typed, never by a pseudonym."""
    if subject:
        return f"no item of a live shard is recorded as one of {start!r}; check the name as it stands in the data"
    lists = "" if "did you mean" in words else "`disgorge shard list` and `disgorge release list` show names, "
    return f"{words.removesuffix('?')}; {lists}--subject takes the name of a person"


def _nothing(*, up: bool, down: bool) -> str:
    if up == down:
        return "nothing live is recorded that learned from it, or that it learned from"
    return "it learned from nothing that is recorded" if up else "nothing recorded learned from it"


@dataclass(frozen=True, slots=True)
class Touched(Result):
    """What a request touches, and what people chose on it, in sentences."""

    impact: Impact
    choices: tuple[str, ...]

    def plain(self) -> Json:
        """Return the impact, every path of it, and the choices."""
        return plain(self.impact) | {"choices": list(self.choices)}


def impact(workspace: Workspace, request: str, *, references: bool = False, svg: Path | None = None) -> Touched:
    """Return what a request touches: items, shards, components with the paths that lead there, releases.

    ``references`` lists those of probes too, ``svg`` is a file to draw the lineage into.
    """
    case = case_of(workspace, request)
    found = impact_of(workspace, case.request)
    if svg is not None:
        svg.write_text(draw_impact(found), encoding="utf-8")
    with Catalog.of(workspace) as catalog:
        chosen = choices(catalog, [change.before.name for change in found.shards])
    near = near_now(workspace, case, [change.before for change in found.shards])
    words = Attention(f"{near.words}; see them with `disgorge request near {request}`")
    shown = (*impact_shown(found, references=references), *chosen, *((words,) if near.unjudged else ()))
    return Touched(found, chosen, shown=shown)


def learned_rows(nodes: Sequence[Node]) -> list[tuple[object, ...]]:
    """Return the components and releases among nodes, as rows."""
    return [(node.name, node.kind, node.state, node.detail) for node in nodes if node.kind in ("component", "release")]
