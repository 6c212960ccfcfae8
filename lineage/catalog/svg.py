"""A trace or an impact as one self-contained SVG: fixed columns for items, shards, components and releases.

An edge between two components runs in an arc at the right of their column, so a long chain is drawn less well than a
layered layout would draw it; in return the columns always mean the same thing.

Nothing is fetched and nothing runs: no script, no link, no font but the reader's. Every text is escaped, and what does
not print is replaced, because names come from the person who recorded them. What is highlighted differs by a heavy
line, not by color alone, so it survives a printer.

>>> from lineage.catalog.trace import Edge, Node
>>> nodes = (Node("a1", "shard", "<alice>", "live", "9 items"), Node("c1", "component", "head", "live", "adapter"))
>>> "&lt;alice&gt;" in draw(Trace("a1", nodes, (Edge("a1", "c1", "train"),)), highlighted={"c1"})
True
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

from lineage.catalog.influence import in_order
from lineage.catalog.trace import Edge, Node, Trace
from lineage.records import Impact, Role

ROWS = 40
"""Boxes in one column; the rest is counted in a last box."""

# Lengths in pixels of the SVG's own coordinates. Text is sized so that a box holds what _fit lets through.
_BOX_WIDTH, _BOX_HEIGHT = 212, 46
_COLUMN_GAP, _ROW_GAP, _MARGIN, _HEADING = 150, 14, 16, 30
_LETTERS = 27  # of the name, at 13 pixels: about 7.2 pixels each
_SMALL_LETTERS = 33  # of the line below, at 11 pixels
_LABELED_EDGES = 16  # more than that, and the commonest role is named once, below the drawing
_KINDS = {"item": 0, "subject": 0, "shard": 1, "artifact": 1, "component": 2, "release": 3}  # the column of each
_HEADINGS = {
    "item": "items", "subject": "people", "shard": "data", "artifact": "artifacts", "component": "components",
    "release": "releases",
}  # fmt: skip
_IMPLIED = {"member", "in"}  # said by the columns an edge runs between

_STYLE = """
text { font-family: "Source Sans 3", "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif; }
text { fill: #1b1f24; }
.name { font-size: 13px; font-weight: 600; } .small { font-size: 11px; fill: #57606a; }
.heading { font-size: 12px; font-weight: 600; fill: #57606a; letter-spacing: .04em; }
.role { font-size: 11px; fill: #424a53; paint-order: stroke; stroke: #fff; stroke-width: 4px; stroke-linejoin: round; }
.box { fill: #fff; stroke: #8c959f; stroke-width: 1.2px; } .gone { stroke-dasharray: 5 4; fill: #f6f8fa; }
.hit { fill: #fdeee3; stroke: #a8470f; stroke-width: 2.4px; }
.edge { fill: none; stroke: #8c959f; stroke-width: 1.2px; } .hit-edge { stroke: #a8470f; stroke-width: 2px; }
.head { fill: #8c959f; stroke: none; } .hit-edge.head { fill: #a8470f; }
"""


def draw(trace: Trace, *, highlighted: Collection[str] = ()) -> str:
    """Return the SVG of a trace. ``highlighted`` are ids of nodes to stand out, with the edges between them.

    A column longer than 40 boxes ends in one that counts the rest; highlighted nodes are folded last.
    """
    nodes = {node.id: node for node in trace.nodes}
    columns, stands_for = _columns(trace, nodes, set(highlighted))
    roles: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for edge in trace.edges:
        ends = stands_for.get(edge.source, edge.source), stands_for.get(edge.target, edge.target)
        if ends[0] != ends[1]:
            roles[ends][edge.role] = None
    return _Sheet(nodes, columns, {ends: tuple(named) for ends, named in roles.items()}, frozenset(highlighted)).svg()


def draw_impact(impact: Impact) -> str:
    """Return the SVG of an impact: shards it changes and artifacts, what learned from them, the releases that hold it.

    What a release retains is one box with a count: dozens of boxes that nothing happens to would hide those it does.
    """
    nodes: dict[str, Node] = {}
    edges: dict[Edge, None] = {}
    for change in impact.shards:
        shard = change.before
        nodes[shard.digest] = Node(
            shard.digest, "shard", shard.name, "live", f"{change.removed:,} of {shard.count:,} items go"
        )
    for artifact in impact.artifacts:
        nodes[artifact.digest] = Node(artifact.digest, "artifact", artifact.name, "live", "goes as a whole")
    for affected in impact.affected:
        component = affected.component
        nodes[component.digest] = Node(component.digest, "component", component.name, "live", component.kind)
    hit = set(nodes)
    for affected in impact.affected:
        for path in affected.paths:
            for source, target, role in zip(path.nodes[:-1], path.nodes[1:], path.roles, strict=True):
                for digest in (source, target):
                    kind, state = ("shard", "withdrawn") if digest == path.nodes[0] else ("component", "retired")
                    nodes.setdefault(digest, Node(digest, kind, digest[:10], state, ""))  # type: ignore[arg-type]
                edges[Edge(source, target, role.value)] = None
    for found in impact.releases:
        id_ = found.release.id
        state = "contained" if found.release.contained else "live"
        nodes[id_] = Node(id_, "release", id_, state, f"composition {found.composition.digest[:10]}")  # type: ignore[arg-type]
        hit.add(id_)
        edges.update(
            (Edge(m.component, id_, "member"), None) for m in found.composition.members if m.component in nodes
        )
        kept = [m for m in found.composition.members if m.component not in nodes]
        if kept:
            noun = "component" if len(kept) == 1 else "components"
            nodes[f"kept {id_}"] = Node(f"kept {id_}", "component", f"{len(kept)} {noun} kept", "live", "not reached")
            edges[Edge(f"kept {id_}", id_, "member")] = None
    return draw(Trace("", tuple(nodes.values()), tuple(edges)), highlighted=hit)


def _columns(trace: Trace, nodes: dict[str, Node], keep: set[str]) -> tuple[list[list[str]], dict[str, str]]:
    """Return ids by column, inputs above what uses them, and which id now stands for which; adds a box per rest."""
    order = in_order([node.id for node in trace.nodes], [(e.source, e.target, Role.TRAIN) for e in trace.edges])
    by_kind: dict[int, list[str]] = defaultdict(list)
    for id_ in order:
        by_kind[_KINDS[nodes[id_].kind]].append(id_)
    stands_for: dict[str, str] = {}
    for number, column in by_kind.items():
        if len(column) > ROWS:
            shown = set(sorted(column, key=lambda id_: id_ not in keep)[: ROWS - 1])
            rest = [id_ for id_ in column if id_ not in shown]
            more = f"more in column {number}"
            nodes[more] = Node(more, nodes[rest[0]].kind, f"and {len(rest):,} more", "live", "")
            stands_for.update(dict.fromkeys(rest, more))
            by_kind[number] = [*(id_ for id_ in column if id_ in shown), more]
    return [by_kind[number] for number in sorted(by_kind)], stands_for


_Point = tuple[float, float]
_Curve = tuple[_Point, _Point, _Point, _Point]  # a cubic: start, two handles, end


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The boxes by column and the roles of each edge, drawn to scale."""

    nodes: dict[str, Node]
    columns: list[list[str]]
    roles: dict[tuple[str, str], tuple[str, ...]]
    highlighted: frozenset[str]

    def svg(self) -> str:
        rows = max(map(len, self.columns), default=0)
        places = {  # the top left corner of every box; columns are centered
            id_: (self._left(number), _HEADING + (2 * row + rows - len(column)) * (_BOX_HEIGHT + _ROW_GAP) // 2)
            for number, column in enumerate(self.columns)
            for row, id_ in enumerate(column)
        }
        curves = {ends: _curve(places[ends[0]], places[ends[1]]) for ends in self.roles}
        width = self._left(len(self.columns))  # the last gap is for arcs of the last column
        height = _HEADING + rows * (_BOX_HEIGHT + _ROW_GAP) + _MARGIN
        used = Counter(role for roles in self.roles.values() for role in roles if role not in _IMPLIED)
        silent = set(_IMPLIED)
        note = ""
        if used.total() > _LABELED_EDGES:
            commonest = used.most_common(1)[0][0]
            silent.add(commonest)
            note = f'<text class="small" x="{_MARGIN}" y="{height}">Lines without a word: {_clean(commonest)}.</text>'
            height += 12
        headings = [
            f'<text class="heading" x="{self._left(n)}" y="18">'
            f"{', '.join(dict.fromkeys(_HEADINGS[self.nodes[id_].kind] for id_ in column))}</text>"
            for n, column in enumerate(self.columns)
        ]
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" role="img" aria-label="Lineage of {len(self.nodes)} records">',
                f"<style>{_STYLE}</style>",
                f'<rect width="{width}" height="{height}" fill="#fff"/>',
                *headings,
                *(self._line(ends, curves[ends]) for ends in sorted(curves, key=self.highlighted.issuperset)),
                *(self._box(place, self.nodes[id_]) for id_, place in places.items()),
                *self._labels(curves, silent),
                note,
                "</svg>",
                "",
            ]
        )

    def _left(self, column: int) -> int:
        return _MARGIN + column * (_BOX_WIDTH + _COLUMN_GAP)

    def _line(self, ends: tuple[str, str], curve: _Curve) -> str:
        look = "edge hit-edge" if self.highlighted.issuperset(ends) else "edge"
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = curve
        tip = 8 if x4 > x3 else -8  # an arc meets its target from the right
        return (
            f'<path class="{look}" d="M{x1} {y1} C{x2} {y2} {x3} {y3} {x4} {y4}"/>'
            f'<path class="{look} head" d="M{x4 + tip} {y4} l{-tip} -4 v8 z"/>'
        )

    def _labels(self, curves: dict[tuple[str, str], _Curve], silent: set[str]) -> Iterator[str]:
        """Yield the roles, each in the middle of its edge."""
        for ends, roles in self.roles.items():
            if not silent.issuperset(roles):
                x, y = ((a + 3 * b + 3 * c + d) / 8 for a, b, c, d in zip(*curves[ends], strict=True))
                words = _clean(_fit(", ".join(roles), 20))
                yield f'<text class="role" x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{words}</text>'

    def _box(self, place: tuple[int, int], node: Node) -> str:
        x, y = place
        corner = {"component": 10, "release": _BOX_HEIGHT // 2}.get(node.kind, 2)
        look = "box" + (" gone" if node.state != "live" else "") + (" hit" if node.id in self.highlighted else "")
        inset = 18 if node.kind == "release" else 12
        known = [] if node.kind in ("release", "subject") or " " in node.id else [node.short]
        below = " · ".join(
            [*([node.state] if node.state != "live" else []), *known, *([node.detail] if node.detail else [])]
        )
        return (
            f"<g><title>{_clean(f'{node.kind} {node.name}, {node.state}, {node.detail}, {node.id}')}</title>"
            f'<rect class="{look}" x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="{corner}"/>'
            f'<text class="name" x="{x + inset}" y="{y + 19}">{_clean(_fit(node.name, _LETTERS))}</text>'
            f'<text class="small" x="{x + inset}" y="{y + 36}">{_clean(_fit(below, _SMALL_LETTERS))}</text></g>'
        )


def _curve(source: tuple[int, int], target: tuple[int, int]) -> _Curve:
    """Return the cubic curve from one box's right side to the other, 8 pixels short of it for the arrow's head."""
    (x1, y1), (x2, y2) = (
        (source[0] + _BOX_WIDTH, source[1] + _BOX_HEIGHT // 2),
        (target[0], target[1] + _BOX_HEIGHT // 2),
    )
    if source[0] == target[0]:
        reach = min(40 + abs(y2 - y1) // 4, _COLUMN_GAP)
        return (x1, y1), (x1 + reach, y1), (x1 + reach, y2), (x1 + 8, y2)
    bend = (x2 - x1) // 2 if x2 > x1 else _COLUMN_GAP  # an edge that leads back loops out
    return (x1, y1), (x1 + bend, y1), (x2 - 8 - bend, y2), (x2 - 8, y2)


def _clean(text: str) -> str:
    """Return ``text`` for XML: escaped, and every character that does not print replaced by U+FFFD."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in text), quote=False)


def _fit(text: str, letters: int) -> str:
    """Return ``text`` cut to that many letters, half as many if some are wide; names keep both ends."""
    if any(east_asian_width(letter) in "WF" for letter in text):
        letters //= 2
    half = (letters - 1) // 2
    return text if len(text) <= letters else f"{text[:half]}…{text[-half:]}"
