"""Drawings are well-formed and self-contained whatever the names are, and lose nothing they do not count."""

import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.catalog.svg import ROWS, draw, draw_impact
from lineage.catalog.trace import Edge, Node, Trace
from lineage.records import (
    Affected,
    Component,
    Composition,
    Impact,
    Member,
    Path,
    Release,
    ReleaseHit,
    Role,
    Shard,
    ShardChange,
    Use,
)
from tests.fuzz.strategies import WORD
from tests.tier import amount

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = st.text(max_size=40) | WORD


def chain(*names: str) -> Trace:
    nodes = tuple(
        Node(f"{n:02d}" * 32, "shard" if n == 0 else "component", name, "live", "") for n, name in enumerate(names)
    )
    return Trace("", nodes, tuple(Edge(a.id, b.id, "train") for a, b in zip(nodes, nodes[1:], strict=False)))  # noqa: RUF007


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@settings(max_examples=amount(60, 600), deadline=None)
@given(data=st.data())
def test_any_names_and_any_edges_make_a_well_formed_picture_that_fetches_nothing(data: st.DataObject) -> None:
    kinds, states = ["item", "subject", "shard", "component", "release"], ["live", "withdrawn", "retired", "contained"]
    ids = data.draw(st.lists(HOSTILE, max_size=7, unique=True))
    nodes = tuple(
        data.draw(st.builds(Node, st.just(id_), st.sampled_from(kinds), HOSTILE, st.sampled_from(states), HOSTILE))
        for id_ in ids
    )
    edges = []
    if ids:
        ends = st.sampled_from(ids)
        edges = data.draw(st.lists(st.builds(Edge, ends, ends, HOSTILE), max_size=12))
    svg = draw(Trace("", nodes, tuple(edges)), highlighted=set(ids[:2]))
    root = ElementTree.fromstring(svg)
    allowed = {"svg", "style", "rect", "text", "g", "title", "path"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", "".join(re.findall(r"<[^>]*>", svg)))
    assert len(root.findall(f"{SVG}g")) == len(nodes)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for box in root.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x", 0)) <= width - float(box.attrib["width"])
        assert 0 <= float(box.get("y", 0)) <= height - float(box.attrib["height"])
    svg.encode()


def test_names_short_digests_and_roles_are_readable() -> None:
    said = texts(draw(chain("alice", "head")))
    assert {"alice", "head", "0000000000", "0101010101", "train", "data", "components"} <= set(said)


def test_what_is_highlighted_differs_without_color() -> None:
    trace = chain("alice", "trunk", "head")
    alone = ElementTree.fromstring(draw(trace, highlighted={trace.nodes[0].id, trace.nodes[1].id}))
    looks = [box.get("class") for box in alone.iter(f"{SVG}rect") if box.get("class")]
    assert looks == ["box hit", "box hit", "box"]
    lines = [line.get("class") for line in alone.iter(f"{SVG}path") if "head" not in str(line.get("class"))]
    assert sorted(map(str, lines)) == ["edge", "edge hit-edge"]
    style = next(alone.iter(f"{SVG}style")).text or ""
    assert "stroke-width: 2.4px" in style


def test_what_is_no_longer_live_is_dashed_and_says_so() -> None:
    node = Node("a" * 64, "component", "head", "retired", "adapter")
    svg = draw(Trace("", (node,), ()))
    assert 'class="box gone"' in svg
    assert "retired · aaaaaaaaaa · adapter" in texts(svg)


def test_a_long_name_keeps_both_ends_inside_its_box() -> None:
    (name,) = (text for text in texts(draw(chain("contributor-" + "x" * 200 + "-seven"))) if text.startswith("contrib"))
    assert len(name) <= 27
    assert name.endswith("-seven")
    assert "…" in name


def test_columns_run_from_data_to_releases_and_inputs_stand_above_what_uses_them() -> None:
    trace = chain("alice", "trunk", "head")
    release = Node("model@live", "release", "model@live", "live", "")
    trace = Trace("", (release, *reversed(trace.nodes)), (*trace.edges, Edge(trace.nodes[1].id, release.id, "member")))
    boxes = {}
    for group in ElementTree.fromstring(draw(trace)).iter(f"{SVG}g"):
        box, name = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        assert box is not None
        assert name is not None
        boxes[name.text] = int(box.attrib["x"]), int(box.attrib["y"])
    assert boxes["alice"][0] < boxes["trunk"][0] == boxes["head"][0] < boxes["model@live"][0]
    assert boxes["trunk"][1] < boxes["head"][1]


def test_a_crowd_is_counted_and_the_highlighted_stay() -> None:
    nodes = tuple(Node(f"{n:064x}", "component", f"adapter-{n}", "live", "") for n in range(ROWS + 60))
    shard = Node("s" * 64, "shard", "alice", "live", "")
    trace = Trace("", (shard, *nodes), tuple(Edge(shard.id, node.id, "train") for node in nodes))
    svg = draw(trace, highlighted={nodes[-1].id, shard.id})
    said = texts(svg)
    assert "and 61 more" in said
    assert {"alice", "adapter-99"} <= set(said)
    assert len([text for text in said if text.startswith("adapter-")]) == ROWS - 1
    assert "Lines without a word: train." in said


def test_an_impact_shows_what_goes_what_learned_from_it_and_what_is_retained() -> None:
    shard = Shard("5" * 64, "alice", None, None, None, 9)
    head = Component("1" * 64, "head", "adapter", (Use("3" * 64, Role.INITIALIZE),))
    other = Component("2" * 64, "other", "adapter", ())
    way = Path((shard.digest, "3" * 64, head.digest), (Role.TRAIN, Role.INITIALIZE))
    composition = Composition("toy", {}, (Member("head", head.digest), Member("other", other.digest)))
    impact = Impact(
        lineage_head="",
        shards=(ShardChange(shard, None, 2),),
        affected=(Affected(head, (way,)),),
        retained=(other,),
        releases=(ReleaseHit(Release("model", "live", composition.digest), composition),),
    )
    svg = draw_impact(impact)
    said = texts(svg)
    assert {"alice", "head", "1 component kept", "model@live", "train", "initialize"} <= set(said)
    assert "5555555555 · 2 of 9 items go" in said
    assert "retired · 3333333333" in said
    assert svg.count('class="box hit"') == 3
    assert draw_impact(impact) == svg
    assert "<svg" in draw_impact(Impact("", (), (), (), ()))
