"""A trace or an impact as one self-contained SVG: from left to right shards, components, releases; roles on the edges.

Nothing is fetched and nothing runs: no script, no link, no font but the reader's. Every text is escaped, and what does
not print is replaced, because names come from whoever recorded them. What is highlighted differs by a heavy line, not
by color alone, so it survives a printer.

>>> from lineage.catalog.trace import Edge, Node
>>> nodes = (Node("a1", "shard", "<alice>", "live", "9 items"), Node("c1", "component", "head", "live", "adapter"))
>>> "&lt;alice&gt;" in draw(Trace("a1", nodes, (Edge("a1", "c1", "train"),)), highlighted={"c1"})
True
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from lineage.catalog.layers import Layout, layered
from lineage.catalog.trace import Edge, Node, Trace
from lineage.records import Impact

# Lengths in pixels of the SVG's own coordinates. Text is sized so that a box holds what _fit lets through.
_BOX_WIDTH, _BOX_HEIGHT, _POINT_HEIGHT = 212, 46, 2
_COLUMN_GAP, _ROW_GAP, _MARGIN, _HEADING = 150, 14, 16, 30
_LETTERS = 27  # of the name, at 13 pixels: about 7.2 pixels each
_SMALL_LETTERS = 33  # of the line below, at 11 pixels
_LABELED_EDGES = 16  # more than that, and the commonest role is named once, below the drawing
_LABEL_HEIGHT, _LABEL_LETTER = 13, 6.2  # of the text on an edge
_ALONG = (0.55, 0.65, 0.45, 0.75, 0.35, 0.82, 0.28, 0.2)  # where on its last stretch a label may stand, best first
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
    return _Sheet(layered(trace, keep=highlighted), frozenset(highlighted)).svg()


def draw_impact(impact: Impact) -> str:
    """Return the SVG of an impact: the shards it changes, what learned from them, the releases that hold it.

    What a release retains is one box with a count: dozens of boxes that nothing happens to would hide those it does.
    """
    nodes: dict[str, Node] = {}
    edges: dict[Edge, None] = {}
    for change in impact.shards:
        shard = change.before
        nodes[shard.digest] = Node(
            shard.digest, "shard", shard.name, "live", f"{change.removed:,} of {shard.count:,} items go"
        )
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
        id_ = f"{found.release.name}@{found.release.alias}"
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


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A layout drawn to scale."""

    layout: Layout
    highlighted: frozenset[str]

    def _tall(self, id_: str) -> int:
        return (_BOX_HEIGHT if id_ in self.layout.nodes else _POINT_HEIGHT) + _ROW_GAP

    def _places(self) -> tuple[dict[str, tuple[int, int]], int, int]:
        """Return the top left corner of every box and waypoint, the width and the height; columns are centered."""
        columns = self.layout.columns
        tallest = max((sum(map(self._tall, column)) for column in columns), default=0)
        places = {}
        for number, column in enumerate(columns):
            y = _HEADING + (tallest - sum(map(self._tall, column))) // 2
            for id_ in column:
                places[id_] = (_MARGIN + number * (_BOX_WIDTH + _COLUMN_GAP), y)
                y += self._tall(id_)
        width = 2 * _MARGIN + len(columns) * (_BOX_WIDTH + _COLUMN_GAP) - (_COLUMN_GAP if columns else 0)
        return places, width, _HEADING + tallest + _MARGIN

    def svg(self) -> str:
        places, width, height = self._places()
        layout, count = self.layout, len(self.layout.nodes)
        said = Counter(role for roles in layout.roles.values() for role in roles if role not in _IMPLIED)
        silent = set(_IMPLIED)
        note = ""
        if sum(said.values()) > _LABELED_EDGES:
            commonest = said.most_common(1)[0][0]
            silent.add(commonest)
            note = f'<text class="small" x="{_MARGIN}" y="{height}">Lines without a word: {_clean(commonest)}.</text>'
            height += 12
        headings = [
            f'<text class="heading" x="{_MARGIN + n * (_BOX_WIDTH + _COLUMN_GAP)}" y="18">'
            f"{_heading(layout.nodes, column)}</text>"
            for n, column in enumerate(layout.columns)
        ]
        boxes = [self._box(places[id_], node) for id_, node in layout.nodes.items() if id_ in places]
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" role="img" aria-label="Lineage of {count} records">',
                f"<style>{_STYLE}</style>",
                f'<rect width="{width}" height="{height}" fill="#fff"/>',
                *headings,
                *self._lines(places),
                *boxes,
                *self._labels(places, silent),
                note,
                "</svg>",
                "",
            ]
        )

    def _lines(self, places: dict[str, tuple[int, int]]) -> list[str]:
        """Return every stretch once, highlighted ones on top."""
        stretches: dict[tuple[str, str], bool] = {}
        for ends, route in self.layout.routes.items():
            hit = self.highlighted.issuperset(ends)
            for stretch in pairwise(route):
                stretches[stretch] = stretches.get(stretch, False) or hit
        drawn = []
        for (source, target), hit in sorted(stretches.items(), key=lambda stretch: stretch[1]):
            (x1, y1), (x2, y2) = self._stretch(places, source, target)
            arrow = target in self.layout.nodes
            stop, end = (x2 - 7, "") if arrow else (x2, f" H{x2 + _BOX_WIDTH}")
            bend = (x2 - x1) // 2 if x2 > x1 else _COLUMN_GAP  # an edge that leads back loops out
            look = "edge hit-edge" if hit else "edge"
            drawn.append(
                f'<path class="{look}" d="M{x1} {y1} C{x1 + bend} {y1} {stop - bend} {y2} {stop} {y2}{end}"/>'
                + (f'<path class="{look} head" d="M{x2} {y2} l-8 -4 v8 z"/>' if arrow else "")
            )
        return drawn

    def _labels(self, places: dict[str, tuple[int, int]], silent: set[str]) -> list[str]:
        """Return the roles, each on the last stretch of its edge, where no earlier one stands if that can be."""
        taken: list[tuple[float, float, float]] = []
        drawn = []
        for ends, route in self.layout.routes.items():
            roles = self.layout.roles[ends]
            if silent.issuperset(roles):
                continue
            words = _fit(", ".join(roles), 20)
            (x1, y1), (x2, y2) = self._stretch(places, route[-2], route[-1])
            half = len(words) * _LABEL_LETTER / 2
            spots = [  # on the curve that _lines draws
                (x1 + (x2 - x1) * (1.5 * t * (1 - t) + t**3), y1 + (y2 - y1) * t * t * (3 - 2 * t)) for t in _ALONG
            ]
            free = (
                (x, y)
                for x, y in spots
                if all(abs(y - b) >= _LABEL_HEIGHT or abs(x - a) >= half + other for a, b, other in taken)
            )
            x, y = next(free, spots[0])
            taken.append((x, y, half))
            drawn.append(f'<text class="role" x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">{_clean(words)}</text>')
        return drawn

    def _stretch(
        self, places: dict[str, tuple[int, int]], source: str, target: str
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        (x1, y1), (x2, y2) = places[source], places[target]
        middle = [(self._tall(id_) - _ROW_GAP) // 2 for id_ in (source, target)]
        return (x1 + _BOX_WIDTH, y1 + middle[0]), (x2, y2 + middle[1])

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


def _heading(named: dict[str, Node], column: Sequence[str]) -> str:
    words = {"item": "items", "subject": "people", "shard": "data", "component": "components", "release": "releases"}
    return ", ".join(dict.fromkeys(words[named[id_].kind] for id_ in column if id_ in named))


def _clean(text: str) -> str:
    """Return ``text`` for XML: escaped, and every character that does not print replaced by U+FFFD."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in text))


def _fit(text: str, letters: int) -> str:
    """Return ``text`` cut to about that many letters, wide ones counted twice.

    The middle goes, because names differ at their ends.
    """
    widths = [2 if east_asian_width(letter) in "WF" else 1 for letter in text]
    if sum(widths) <= letters:
        return text
    half = (letters - 1) // 2
    head, used = "", 0
    for letter, width in zip(text, widths, strict=True):
        if used + width > half:
            break
        head, used = head + letter, used + width
    tail, used = "", 0
    for letter, width in zip(reversed(text), reversed(widths), strict=True):
        if used + width > half:
            break
        tail, used = letter + tail, used + width
    return f"{head}…{tail}"
