"""Traces from everything a trace can start from, both ways."""

import json
from pathlib import Path

import pytest

from lineage.catalog.catalog import Catalog
from lineage.catalog.trace import Edge, Node, Trace
from lineage.records import Role, plain, restore
from tests.lineage.test_catalog import World, hexed, item


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Alice's shard was cut once; a trunk is trained on the core, two heads on it and the shards; one was retrained."""
    world = World(tmp_path)
    core = world.shard("core", [item(9)], core=True)
    old = world.shard("alice", [item(1, subject="ada"), item(2), item(3, "gone")])
    bob = world.shard("bob", [item(1, "copy"), item(4)])
    new = world.shard("alice", [item(1, subject="ada"), item(2)], derived_from=old.digest)
    trunk = world.component("trunk", [(core.digest, Role.TRAIN)])
    before = world.component("head-a", [(trunk, Role.INITIALIZE), (old.digest, Role.TRAIN)], digest=hexed("before"))
    world.retire("head-a", before)
    world.withdraw(old, new)
    after = world.component("head-a", [(trunk, Role.INITIALIZE), (new.digest, Role.TRAIN)])
    other = world.component("head-b", [(trunk, Role.INITIALIZE), (bob.digest, Role.TRAIN), (new.digest, Role.SELECT)])
    world.component("stray", [(hexed("never recorded"), Role.TRAIN)])
    world.release("model", [("trunk", trunk), ("head-a", after), ("head-b", other)])
    return world


def named(trace: Trace) -> set[str]:
    return {node.name for node in trace.nodes}


def steps(trace: Trace) -> set[tuple[str, str, str]]:
    return {(row[0], row[2], row[3]) for row in trace.rows()}


def test_down_from_a_subject_an_item_and_a_key(world: World) -> None:
    below = {
        ("alice", "train", "head-a"),
        ("alice", "select", "head-b"),
        ("head-a", "member", "model@live"),
        ("head-b", "member", "model@live"),
    }
    with world.catalog() as catalog:
        ada = catalog.trace("ada", up=False, down=True)
        assert steps(ada) == {("ada", "in", "alice"), *below}
        copies = {("copy", "in", "alice"), ("copy", "in", "bob"), ("bob", "train", "head-b"), *below}
        by_key = catalog.trace("copy", up=False, down=True)
        by_digest = catalog.trace(item(1).digest, up=False, down=True)
        assert {(a.replace("k1", "copy"), b, c) for a, b, c in steps(by_digest)} == copies
        assert steps(by_key) == {step for step in copies if step != ("copy", "in", "alice")} - below | {
            ("head-b", "member", "model@live")
        }


def test_down_from_a_shard_leaves_out_what_came_to_nothing(world: World) -> None:
    with world.catalog() as catalog:
        trace = catalog.trace("core", up=False, down=True)
        assert named(trace) == {"core", "trunk", "head-a", "head-b", "model@live"}
        assert all(node.state == "live" for node in trace.nodes)
        withdrawn = catalog.trace(world.shards[1].digest, up=False, down=True)
        assert [(node.name, node.state) for node in withdrawn.nodes] == [("alice", "withdrawn")]


def test_up_from_a_release_and_a_component(world: World) -> None:
    with world.catalog() as catalog:
        trace = catalog.trace("model@live", up=True, down=False)
        assert named(trace) == {"core", "alice", "bob", "trunk", "head-a", "head-b", "model@live"}
        assert catalog.trace("model", up=True, down=False).edges == trace.edges
        order = {node.id: n for n, node in enumerate(trace.nodes)}
        assert all(order[edge.source] < order[edge.target] for edge in trace.edges)
        retired = catalog.trace(hexed("before"), up=True, down=False)
        assert steps(retired) == {
            ("core", "train", "trunk"), ("trunk", "initialize", "head-a"), ("alice", "train", "head-a"),
        }  # fmt: skip
        assert {(node.name, node.state) for node in retired.nodes} >= {("head-a", "retired"), ("alice", "withdrawn")}
        stray = catalog.trace("stray", up=True, down=False)
        assert {node.state for node in stray.nodes} == {"live", "unrecorded"}


def test_both_ways_and_neither(world: World) -> None:
    with world.catalog() as catalog:
        both = catalog.trace("trunk", up=True, down=True)
        assert named(both) == {"core", "trunk", "head-a", "head-b", "model@live"}
        neither = catalog.trace("trunk", up=False, down=False)
        assert (named(neither), neither.edges) == ({"trunk"}, ())


def test_json_holds_all_of_it(world: World) -> None:
    with world.catalog() as catalog:
        trace = catalog.trace("core", up=False, down=True)
    value = json.loads(json.dumps(plain(trace)))
    assert value["start"] == "core"
    assert [node["name"] for node in value["nodes"]] == [node.name for node in trace.nodes]
    assert [Edge(**edge) for edge in value["edges"]] == list(trace.edges)
    assert [restore(Node, node) for node in value["nodes"]] == list(trace.nodes)


def test_items_are_shown_only_when_asked_for(world: World) -> None:
    with world.catalog() as catalog:
        found = catalog.trace("alice", up=True, down=True).nodes
    assert {node.kind for node in found} == {"shard", "component", "release"}
    assert next(node for node in found if node.name == "alice").detail == "2 items"


def test_a_catalog_of_a_real_ledger_traces_alike(world: World) -> None:
    with world.catalog() as catalog:
        expected = catalog.trace("core", up=False, down=True)
    with Catalog.of(world.workspace()) as catalog:
        assert catalog.trace("core", up=False, down=True) == expected


def test_bytes_with_several_names_are_one_node_that_is_called_by_the_shortest_live_one(world: World) -> None:
    with world.catalog() as catalog:
        trunk = catalog.component("trunk").digest
    for name in ("trunk~again", "aaa-trunk"):
        world.component(name, [(item(9).digest, Role.TRAIN)], digest=trunk)
    with world.catalog() as catalog:
        found = next(node for node in catalog.trace("model", up=True, down=False).nodes if node.id == trunk)
    assert (found.name, found.also) == ("trunk", ("aaa-trunk", "trunk~again"))


def test_rows_come_in_the_order_of_names_and_nodes_go_out_with_their_edges(world: World) -> None:
    with world.catalog() as catalog:
        below = catalog.trace("core", up=False, down=True)
        gone = catalog.component("head-b").digest
    assert [row[3] for row in below.rows()] == ["trunk", "head-a", "head-b", "model@live", "model@live", "model@live"]
    assert [row[3] for row in below.without([gone]).rows()] == ["trunk", "head-a", "model@live", "model@live"]
