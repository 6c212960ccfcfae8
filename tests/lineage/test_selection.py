"""The catalog and the manifests read one by one pick the same items: both ask the one condition of selectors."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.catalog.selection import selected_items
from lineage.errors import BadInput
from lineage.records import Item, Selector, digest_of
from tests.lineage.test_catalog import World, matches
from tests.tier import amount

MAYBE = st.sampled_from([None, "ada", "web", "MIT", "k1"])
ROWS = st.lists(
    st.builds(
        lambda n, key, subject, source, license: Item(digest_of(n), key, subject, source, license, 1),
        st.integers(0, 5), st.sampled_from(["k1", "k2", "ada"]), MAYBE, MAYBE, MAYBE,
    ),
    max_size=4,
)  # fmt: skip
SHARDS = st.lists(st.tuples(st.sampled_from(["web", "scans"]), MAYBE, MAYBE, ROWS), min_size=1, max_size=3)
VALUES = ["ada", "web", "MIT", "k1", "k2", "scans", digest_of(0), digest_of(1)]
SELECTORS = st.lists(
    st.builds(
        Selector,
        st.sampled_from(["item", "key", "subject", "source", "license", "shard"]),
        st.sampled_from(VALUES),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=amount(20, 200), deadline=None)
@given(shards=SHARDS, selectors=SELECTORS)
def test_both_ways_of_asking_pick_what_the_slow_reference_picks(
    shards: list[tuple[str, str | None, str | None, list[Item]]],
    selectors: list[Selector],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(tmp_path_factory.getbasetemp() / "selection")
    for name, source, license, rows in shards:
        world.shard(name, rows, source=source, license=license)
    selectors = [*selectors, *(Selector("shard", each.digest) for each in world.shards[:1])][-4:]
    picked = {row.digest for s in world.live for row in world.items[s.digest] if matches(selectors, s, row)}
    assert selected_items([(s, world.items[s.digest]) for s in world.live], selectors) == picked
    with world.catalog() as catalog:
        assert {item for items in catalog.selected(selectors).values() for item in items} == picked


@pytest.mark.parametrize(
    ("selectors", "words"),
    [([], "nothing selected"), ([Selector("color", "red")], "unknown field 'color' to select by")],
)
def test_no_selector_and_an_unknown_field_are_refused(selectors: list[Selector], words: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.shard("web", [Item(digest_of(0), "k1", None, None, None, 1)])
    with pytest.raises(BadInput, match=words):
        selected_items([(s, world.items[s.digest]) for s in world.live], selectors)
    with world.catalog() as catalog, pytest.raises(BadInput, match=words):
        catalog.selected(selectors)
