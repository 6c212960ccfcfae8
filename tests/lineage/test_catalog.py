"""The catalog's answers equal those of a slow reference, and one extended equals one built from nothing."""

import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path as File

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import PATHS_IN_ALL, PATHS_KEPT, in_order, paths_from
from lineage.catalog.projection import Projection, open_projection
from lineage.errors import BadInput, DigestMismatch, LedgerBroken, LineageError, UnknownRecord
from lineage.ledger.chain import Fact, next_fact
from lineage.ledger.state import facts_about, state_of
from lineage.records import (
    Component,
    Composition,
    Impact,
    Item,
    Member,
    Path,
    Release,
    Role,
    Selector,
    Shard,
    Use,
    digest_of,
    in_member_order,
    plain,
    shard_digest,
)
from lineage.storage.manifest import write_manifest
from lineage.workspace import Workspace
from tests.tier import amount


def hexed(*parts: object) -> str:
    return digest_of([str(part) for part in parts])


@dataclass
class World:
    """Facts and manifests and, beside them, everything that was recorded, for the reference to walk."""

    folder: File
    items: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)
    components: list[Component] = field(default_factory=list)
    retired: set[tuple[str, str]] = field(default_factory=set)
    releases: list[tuple[Release, Composition]] = field(default_factory=list)
    facts: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def shard(self, name: str, items: Iterable[Item], **more: object) -> Shard:
        """Record a shard and write its manifest."""
        items = tuple(items)
        source, license = (more.pop(each, None) for each in ("source", "license"))
        shard = Shard(shard_digest(i.digest for i in items), name, source, license, None, len(items), **more)  # type: ignore[arg-type]
        self.items[shard.digest] = items
        self.withdrawn.discard((name, shard.digest))
        write_manifest(self.manifests(shard.digest), items)
        self.shards.append(shard)
        self.facts.append(("shard", {"shard": plain(shard)}))
        return shard

    def withdraw(self, shard: Shard, after: Shard | None = None) -> None:
        """Withdraw a shard."""
        self.withdrawn |= {(s.name, s.digest) for s in self.shards if s.digest == shard.digest}
        self.facts.append(
            ("shard-withdrawn", {"shard": shard.digest, "name": shard.name, "after": after and after.digest})
        )

    @property
    def live(self) -> list[Shard]:
        """The shards recorded and not withdrawn."""
        return [
            s for s in {(s.name, s.digest): s for s in self.shards}.values() if (s.name, s.digest) not in self.withdrawn
        ]

    def component(self, name: str, uses: Iterable[tuple[str, Role]], digest: str | None = None, **more: object) -> str:
        """Record a component and return its digest."""
        made = Component(digest or hexed(name), name, "toy", tuple(Use(*use) for use in uses), **more)  # type: ignore[arg-type]
        self.components.append(made)
        self.facts.append(("component", {"component": plain(made)}))
        return made.digest

    def retire(self, name: str, digest: str) -> None:
        """Retire a component."""
        self.retired.add((name, digest))
        self.facts.append(("component-retired", {"name": name, "component": digest, "after": None}))

    def release(self, name: str, members: Sequence[tuple[str, str]]) -> None:
        """Release these members."""
        made = Composition("toy", {}, in_member_order(Member(*member) for member in members))
        self.releases.append((Release(name, "live", made.digest), made))
        self.facts.append(("composition", {"composition": plain(made)}))
        self.facts.append(("release", {"name": name, "alias": "live", "composition": made.digest}))

    def manifests(self, shard: str) -> File:
        """Where a manifest is."""
        return self.folder / "manifests" / f"{shard}.parquet"

    def workspace(self) -> Workspace:
        """Return a ledger that holds the facts so far, in a workspace of its own."""
        workspace = Workspace.init(self.folder / "workspace")
        workspace.ledger.append_all(self.facts)
        shutil.copytree(self.folder / "manifests", workspace.home / "manifests")
        return workspace

    def chain(self) -> list[Fact]:
        """Return the facts so far as a ledger would have them."""
        facts: list[Fact] = []
        for kind, body in self.facts:
            facts.append(next_fact(facts[-1] if facts else None, kind=kind, body=body, at="2026-11-02T12:00:00Z"))
        return facts

    def catalog(self) -> Catalog:
        """Return a catalog of the facts so far, with no file but the manifests."""
        state, projection = state_of(self.chain()), Projection(self.manifests)
        projection.extend(state)
        return Catalog(state, projection.snapshot())


def item(content: int, key: str = "", subject: str | None = None, source: str | None = None) -> Item:
    return Item(hexed("item", content), key or f"k{content}", subject, source, None, 1)


# The reference ----------------------------------------------------------------------------------------------------


def matches(selectors: Sequence[Selector], shard: Shard, row: Item) -> bool:
    """Every field named must have one of the values given for it."""
    values = {
        "item": {row.digest},
        "key": {row.key},
        "subject": {row.subject},
        "source": {row.source or shard.source},
        "license": {row.license or shard.license},
        "shard": {shard.name, shard.digest},
    }
    fields = {selector.field for selector in selectors}
    return all({s.value for s in selectors if s.field == name} & values[name] for name in fields)


def forget_set(world: World, selectors: Sequence[Selector]) -> set[str]:
    return {row.digest for shard in world.live for row in world.items[shard.digest] if matches(selectors, shard, row)}


def ways(world: World, starts: set[str]) -> dict[str, set[Path]]:
    """Walk every path without repeats, one step at a time, from shards (and what they were cut from) on."""
    starts = set(starts)
    while True:
        older = {s.derived_from for s in world.shards if s.digest in starts and s.derived_from} - starts
        if not older:
            break
        starts |= older
    found: dict[str, set[Path]] = {}

    def walk(way: Path) -> None:
        for component in world.components:
            for use in {
                *component.uses,
                *(Use(u["digest"], Role(u["role"])) for u in component.recipe.get("uses", [])),
            }:
                if use.digest == way.nodes[-1] and component.digest not in way.nodes:
                    longer = Path((*way.nodes, component.digest), (*way.roles, use.role))
                    if longer not in found.setdefault(component.digest, set()):
                        found[component.digest].add(longer)
                        walk(longer)

    for start in starts:
        walk(Path((start,), ()))
    return found


def check(world: World, selectors: Sequence[Selector], impact: Impact) -> None:
    forget = forget_set(world, selectors)
    rows = [
        (shard, row)
        for shard in {s.digest: s for s in world.live}.values()
        for row in world.items[shard.digest]
        if row.digest in forget
    ]
    assert (impact.items, impact.subjects) == (len(forget), len({r.subject for _, r in rows} - {None}))
    direct = {(s.digest, row) for s in world.live for row in world.items[s.digest] if matches(selectors, s, row)}
    assert impact.duplicates == len([1 for s, row in rows if (s.digest, row) not in direct])
    expected = {}
    for shard in world.live:
        kept = [row.digest for row in world.items[shard.digest] if row.digest not in forget]
        removed = len(world.items[shard.digest]) - len(kept)
        if removed:
            after = replace(shard, digest=shard_digest(kept), count=len(kept), derived_from=shard.digest, dvc=None)
            expected[shard.name, shard.digest] = (after if kept else None, removed)
    assert {(c.before.name, c.before.digest): (c.after, c.removed) for c in impact.shards} == expected

    reached = ways(world, {digest for _, digest in expected})
    live = {(c.name, c.digest) for c in world.components} - world.retired
    assert {(a.component.name, a.component.digest) for a in impact.affected} == {c for c in live if c[1] in reached}
    for affected in impact.affected:
        assert set(affected.paths) == reached[affected.component.digest]
        assert len(affected.paths) == len(set(affected.paths)) > 0
    hit = {r.name for r, composition in world.releases if any(m.component in reached for m in composition.members)}
    assert {found.release.name for found in impact.releases} == hit
    members = {(m.name, m.component) for r, c in world.releases if r.name in hit for m in c.members}
    assert {(c.name, c.digest) for c in impact.retained} == {m for m in members & live if m[1] not in reached}


@st.composite
def worlds(draw: st.DrawFn) -> list[tuple[object, ...]]:
    """A short history: small numbers, so that names, bytes and digests collide often."""
    small = st.integers(0, 4)
    rows = st.lists(
        st.builds(item, small, st.sampled_from("abc"), st.none() | st.sampled_from("xyz"), st.none() | st.just("web")),
        min_size=1, max_size=4, unique_by=lambda row: (row.digest, row.key),
    )  # fmt: skip
    steps = [("shard", draw(small), draw(rows), draw(st.integers(0, 7))) for _ in range(draw(st.integers(1, 5)))]
    uses = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(Role)), max_size=3)
    for _ in range(draw(st.integers(0, 7))):
        steps.append(
            ("component", draw(small), draw(st.integers(0, 5)), draw(uses), draw(uses), draw(st.integers(0, 3)))
        )
    for number in range(draw(st.integers(0, 3))):
        steps.append(("release", number, draw(st.lists(st.integers(0, 12), max_size=4))))
    return steps


SELECTORS = st.lists(
    st.builds(Selector, st.just("key"), st.sampled_from("abc"))
    | st.builds(Selector, st.just("subject"), st.sampled_from("xyz"))
    | st.builds(Selector, st.just("source"), st.just("web"))
    | st.builds(Selector, st.just("item"), st.integers(0, 4).map(lambda n: hexed("item", n)))
    | st.builds(Selector, st.just("shard"), st.integers(0, 4).map(lambda n: f"s{n}")),
    min_size=1,
    max_size=3,
)


def build(world: World, steps: Sequence[tuple[object, ...]]) -> None:
    for step in steps:
        match step:
            case ("shard", int(number), rows, int(fate)):
                name = f"s{number}"
                if (name, shard_digest(r.digest for r in rows)) in {(s.name, s.digest) for s in world.shards}:
                    continue
                if any(shard_digest(r.digest for r in rows) == s.digest for s in world.shards):
                    rows = world.items[shard_digest(r.digest for r in rows)]  # one manifest a digest
                old = world.shards[-1] if world.shards and fate < 2 else None
                shard = world.shard(name, rows, derived_from=old.digest if old else None)
                if old and old.digest != shard.digest and not fate:
                    world.withdraw(old, shard)
            case ("component", int(name), int(digest), uses, hidden, int(fate)):
                known = [s.digest for s in world.shards] + [hexed("c", n) for n in range(6)]  # cycles, and unrecorded
                shown, named = ([(known[n % len(known)], role) for n, role in pairs] for pairs in (uses, hidden))
                recipe = {"uses": [{"of": "shard", "digest": d, "role": r.value} for d, r in named]} if fate else {}
                key = (f"c{name}", world.component(f"c{name}", dict.fromkeys(shown), hexed("c", digest), recipe=recipe))
                world.retired.discard(key)
                if fate == 1:
                    world.retire(*key)
            case ("release", int(number), members):
                made = [(c.name, c.digest) for c in world.components]
                if made:
                    world.release(f"r{number}", sorted({made[n % len(made)] for n in members}))


@pytest.fixture
def world(tmp_path: File) -> World:
    return World(tmp_path)


@settings(max_examples=amount(25, 80), deadline=None)
@given(steps=worlds(), questions=st.lists(SELECTORS, min_size=4, max_size=4))
def test_impact_equals_the_slow_reference(
    steps: list[tuple[object, ...]], questions: list[list[Selector]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(tmp_path_factory.getbasetemp() / "worlds")
    build(world, steps)
    with world.catalog() as catalog:
        for selectors in questions:
            impact, selected = catalog.impact(selectors), catalog.selected(selectors)
            check(world, selectors, impact)
            assert {c.before.digest: c.removed for c in impact.shards} == {d: len(rows) for d, rows in selected.items()}
            assert {digest for rows in selected.values() for digest in rows} == forget_set(world, selectors)


# Cases by hand ----------------------------------------------------------------------------------------------------

ADA = Selector("subject", "ada")


def test_influence_flows_through_every_role_and_through_what_was_retired(world: World) -> None:
    alice = world.shard("alice", [item(1, subject="ada"), item(2)])
    bob = world.shard("bob", [item(3)])
    for role in Role:
        world.component(f"by-{role.value}", [(alice.digest, role)])
    world.retire("by-select", hexed("by-select"))
    child = world.component("child", [(hexed("by-select"), Role.INITIALIZE), (bob.digest, Role.TRAIN)])
    world.component("other", [(bob.digest, Role.TRAIN)])
    world.release("model", [("child", child), ("other", hexed("other"))])
    world.release("untouched", [("other", hexed("other"))])
    with world.catalog() as catalog:
        impact = catalog.impact([ADA])
    names = [affected.component.name for affected in impact.affected]
    assert set(names) == {"child", *(f"by-{role.value}" for role in Role)} - {"by-select"}
    child_paths = next(affected.paths for affected in impact.affected if affected.component.name == "child")
    assert child_paths == (
        Path((alice.digest, hexed("by-select"), child), (Role.SELECT, Role.INITIALIZE)),
    )  # fmt: skip
    assert [component.name for component in impact.retained] == ["other"]
    assert [hit.release.name for hit in impact.releases] == ["model"]
    assert (impact.items, impact.subjects, impact.duplicates, impact.hits_core) == (1, 1, 0, False)


def test_the_shard_that_remains_is_named_as_it_was(world: World) -> None:
    alice = world.shard("alice", [item(1, subject="ada"), item(2)], core=True, dvc="md5", fields=("image", "label"))
    all_hers = world.shard("hers", [item(1, "again"), item(1, "twice")])
    with world.catalog() as catalog:
        impact = catalog.impact([ADA])
        selected = catalog.selected([ADA])
    assert [(change.before, change.removed) for change in impact.shards] == [(alice, 1), (all_hers, 2)]
    assert impact.shards[0].after == replace(
        alice, digest=shard_digest([item(2).digest]), count=1, dvc=None, derived_from=alice.digest
    )
    assert impact.shards[1].after is None
    assert (impact.hits_core, impact.items, impact.duplicates) == (True, 1, 2)
    assert selected == {alice.digest: (item(1).digest,), all_hers.digest: (item(1).digest,) * 2}


def test_what_was_made_from_a_shard_before_it_was_cut_still_counts(world: World) -> None:
    before = world.shard("alice", [item(1), item(2, subject="ada"), item(3)])
    quiet = world.component("quiet", [(before.digest, Role.TRAIN)])
    after = world.shard("alice", [item(1), item(2, subject="ada")], derived_from=before.digest)
    world.withdraw(before, after)
    with world.catalog() as catalog:
        impact = catalog.impact([ADA])
    assert [(change.before.digest) for change in impact.shards] == [after.digest]
    assert [affected.component.digest for affected in impact.affected] == [quiet]


def test_a_selector_that_matches_nothing_is_an_empty_impact(world: World) -> None:
    world.shard("alice", [item(1)])
    with world.catalog() as catalog:
        impact = catalog.impact([ADA])
        assert (impact.shards, impact.affected, impact.releases, impact.items) == ((), (), (), 0)
        assert catalog.selected([ADA]) == {}
        with pytest.raises(BadInput, match="at least one of item, key"):
            catalog.impact([])
        with pytest.raises(BadInput, match="unknown field 'colour' to select by"):
            catalog.impact([ADA, Selector("colour", "red")])


def test_a_release_of_parts_nobody_recorded_stops_the_question(world: World) -> None:
    world.shard("alice", [item(1, subject="ada")])
    world.facts.append(("release", {"name": "model", "alias": "live", "composition": "c" * 64}))
    with (
        world.catalog() as catalog,
        pytest.raises(LineageError, match="release model@live has a composition that"),
    ):
        catalog.impact([ADA])


def test_lists_follow_the_facts(world: World) -> None:
    alice, bob = world.shard("alice", [item(1)]), world.shard("bob", [item(2)])
    cut = world.shard("alice", [item(3)], derived_from=alice.digest)
    world.withdraw(alice, cut)
    old = world.component("head", [(alice.digest, Role.TRAIN)], digest="a" * 64, recipe={"seed": 1})
    new = world.component("head", [(cut.digest, Role.TRAIN)], digest="b" * 64, recipe={"seed": 2})
    world.retire("head", old)
    world.component("foreign", [(bob.digest, Role.TRAIN)], digest="c" * 64)
    world.release("model", [("head", old)])
    world.release("model", [("head", new)])
    world.facts.append(("release-contained", {"name": "model", "alias": "live", "request": "r1"}))
    with world.catalog() as catalog:
        assert catalog.shards() == (bob, cut)
        assert catalog.shards(live=False) == (alice, bob, cut)
        assert catalog.shard("alice") == catalog.shard(cut.digest) == cut
        assert catalog.shard(alice.digest) == alice
        assert [c.digest for c in catalog.components()] == [new, "c" * 64]
        assert [c.digest for c in catalog.components(live=False)] == [old, new, "c" * 64]
        assert (catalog.component("head").digest, catalog.component(old).digest) == (new, old)
        assert catalog.component(new) == world.components[1]
        (release,) = catalog.releases()
        assert catalog.release("model") == release == Release("model", "live", world.releases[1][1].digest, True)
        assert catalog.composition(release.composition) == world.releases[1][1]
    histories = {name: [fact.kind for fact in facts_about(world.chain(), name)] for name in ("alice", "model")}
    assert histories["alice"] == ["shard", "shard", "shard-withdrawn"]
    assert histories["model"] == ["release", "release", "release-contained"]
    world.release("model", [("head", new)])
    world.facts.append(("release-withdrawn", {"name": "other", "alias": "live"}))
    with world.catalog() as catalog:
        assert not catalog.release("model").contained
    world.facts.append(("release-withdrawn", {"name": "model", "alias": "live"}))
    with world.catalog() as catalog:
        assert catalog.releases() == ()
        assert [release.name for release in catalog.releases(live=False)] == ["model"]
        with pytest.raises(UnknownRecord, match=r"release model@live was withdrawn; .* --all"):
            catalog.release("model")


def test_unknown_names_are_answered_with_near_ones(world: World) -> None:
    alice = world.shard("alice", [item(1)])
    world.shard("alina", [item(2)])
    world.component("head", [(alice.digest, Role.TRAIN)])
    world.release("model", [("head", hexed("head"))])
    world.withdraw(alice)
    world.retire("head", hexed("head"))
    with world.catalog() as catalog:
        with pytest.raises(UnknownRecord, match="no shard 'alnia' is recorded; did you mean 'alina'"):
            catalog.shard("alnia")
        with pytest.raises(UnknownRecord, match="shard 'alice' was withdrawn"):
            catalog.shard("alice")
        with pytest.raises(UnknownRecord, match="component 'head' was retired"):
            catalog.component("head")
        with pytest.raises(UnknownRecord, match="no release modle@live; did you mean 'model@live'"):
            catalog.release("modle")
        with pytest.raises(UnknownRecord, match="no composition"):
            catalog.composition("d" * 64)
        with pytest.raises(UnknownRecord, match="nothing named 'modle' is recorded"):
            catalog.trace("modle", up=True, down=True)


def test_the_beginning_of_a_digest_will_do(world: World) -> None:
    """Tables show twelve digits, and people copy what they see."""
    alice, one = world.shard("alice", [item(1)]), "abcd" * 3
    world.component("head", [(alice.digest, Role.TRAIN)], digest=one + "0" * 52)
    world.component("tail", [(alice.digest, Role.TRAIN)], digest=one + "1" * 52)
    bob = world.shard("bob", [item(2)])
    world.shard(bob.digest[:12], [item(3)])
    world.withdraw(alice)
    with world.catalog() as catalog:
        assert catalog.shard(alice.digest[:12]) == alice
        assert catalog.trace(alice.digest[:12], up=False, down=True) == catalog.trace(alice.digest, up=False, down=True)
        (found,) = [
            each for each in catalog.trace(hexed("item", 2)[:8], up=False, down=False).nodes if each.kind == "item"
        ]
        assert found.id == hexed("item", 2)
        assert catalog.component(one + "0").name == "head"
        with pytest.raises(UnknownRecord, match=f"ambiguous digest prefix '{one}' .2 matches"):
            catalog.component(one)
        assert catalog.shard(bob.digest[:12]).name == bob.digest[:12], "a name is what it is, whatever it looks like"
        with pytest.raises(UnknownRecord):
            catalog.shard(alice.digest[:6])


# The projection ---------------------------------------------------------------------------------------------------


def recorded(world: World) -> Workspace:
    alice = world.shard("alice", [item(1, subject="ada"), item(2)])
    world.component("head", [(alice.digest, Role.TRAIN)])
    return world.workspace()


def affected(workspace: Workspace) -> list[str]:
    with Catalog.of(workspace) as catalog:
        return [found.component.name for found in catalog.impact([ADA]).affected]


def tables(connection: duckdb.DuckDBPyConnection) -> dict[str, list[object]]:
    """Every row of every table, in order."""
    names = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
    return {name: sorted(connection.execute(f"select * from {name}").fetchall(), key=repr) for name in names}


def same_as_anew(workspace: Workspace) -> bool:
    """Whether what this process extended is what it would build from nothing out of the same facts."""
    state, extended = open_projection(workspace)
    facts = list(workspace.ledger.facts())
    lasts = [n for n, fact in enumerate(facts, start=1) if fact.digest == state.lineage_head]
    built, projection = state_of(facts[: lasts[0] if lasts else 0]), Projection(workspace.manifest_path)
    projection.extend(built)
    return (state, tables(extended)) == (built, tables(projection.snapshot()))


def some_facts(world: World, draw: random.Random) -> list[tuple[str, dict[str, object]]]:
    """Record one thing, repeat an earlier one, or withdraw what is live; return what was appended for it."""
    before, made = len(world.facts), hexed("component", draw.randrange(6))
    match draw.choice(["shard", "shard", "withdraw", "component", "component", "retire", "release", "contained"]):
        case "withdraw" if world.live:
            world.withdraw(draw.choice(world.live))
        case "component" if world.shards:
            uses = [(draw.choice(world.shards).digest, draw.choice(list(Role))) for _ in range(draw.randint(1, 3))]
            world.component(f"c{draw.randrange(3)}", uses, digest=made)
        case "retire" if world.components:
            world.retire(f"c{draw.randrange(3)}", made)
        case "release":
            world.release(f"r{draw.randrange(2)}", [("part", made)])
        case "contained":
            world.facts.append(("release-contained", {"name": "r0", "alias": "live"}))
        case _:
            numbers = draw.sample(range(6), draw.randint(0, 4))
            world.shard(f"s{draw.randrange(3)}", [item(n) for n in numbers])
    return world.facts[before:]


@pytest.mark.parametrize("seed", range(amount(6, 60)))
def test_an_extended_catalog_equals_one_built_from_nothing(tmp_path: File, seed: int) -> None:
    """Over random facts of two writers, and after extensions that failed half-way."""
    draw, world = random.Random(seed), World(tmp_path)
    (tmp_path / "manifests").mkdir()
    one = Workspace.init(tmp_path / "workspace")
    (one.home / "manifests").symlink_to(tmp_path / "manifests")
    writers = (one, Workspace.open(one.root))
    for _ in range(40):
        draw.choice(writers).ledger.append_all(some_facts(world, draw))
        if world.live and draw.random() < 0.2:
            path = one.manifest_path(draw.choice(world.live).digest)
            whole = path.read_bytes()
            path.write_bytes(b"")
            with suppress(DigestMismatch):
                Catalog.anew(draw.choice(writers))
            path.write_bytes(whole)
        assert draw.random() < 0.4 or same_as_anew(draw.choice(writers))


_WRITER = """
import sys
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
for number in range(10**6):
    use = {"digest": "ab" * 32, "role": "train"}
    made = {"digest": f"{number:064x}", "name": f"{sys.argv[2]}-{number}", "kind": "toy", "uses": [use]}
    workspace.ledger.append("component", {"component": made})
    Catalog.of(workspace).close()
    print(number, flush=True)
"""


def test_two_writing_processes_killed_while_they_extend_leave_the_same_rows(world: World) -> None:
    workspace = recorded(world)
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(workspace.root), name], stdout=subprocess.PIPE)
        for name in ("one", "other")
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            assert same_as_anew(workspace)
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert same_as_anew(workspace)
    assert affected(workspace) == ["head"]


def test_a_step_loads_no_items_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = recorded(world)
    assert affected(workspace) == ["head"]
    monkeypatch.setattr(Projection, "_load", None)
    workspace.ledger.append("component-retired", {"name": "head", "component": hexed("head"), "after": None})
    assert affected(workspace) == []


def test_readers_share_the_projection_and_an_old_one_answers_on(world: World) -> None:
    workspace = recorded(world)
    with Catalog.of(workspace) as before, Catalog.of(workspace) as beside:
        workspace.ledger.append("component-retired", {"name": "head", "component": hexed("head"), "after": None})
        with Catalog.of(workspace) as after:
            assert [len(catalog.components()) for catalog in (before, beside, after)] == [1, 1, 0]


def test_a_manifest_that_changed_or_is_gone_stops_the_question(world: World) -> None:
    workspace = recorded(world)
    path = workspace.manifest_path(world.shards[0].digest)
    whole = path.read_bytes()
    for rows in ([item(1)], [], [item(1), item(2), item(3)]):
        write_manifest(path, rows)
        with pytest.raises(DigestMismatch, match="manifest of shard 'alice' changed"):
            Catalog.of(workspace)
    path.write_bytes(whole[:-20])
    with pytest.raises(DigestMismatch, match="manifest of shard 'alice' changed"):
        Catalog.of(workspace)
    path.write_bytes(whole)
    workspace.ledger.append("shard", {"shard": plain(replace(world.shards[0], name="more", manifest="0" * 64))})
    with pytest.raises(DigestMismatch, match="manifest of shard 'more' changed"):  # other rows, of the same items
        Catalog.of(workspace)
    path.unlink()
    with pytest.raises(LineageError, match="manifest of shard 'alice' is missing"):
        Catalog.of(workspace)


def test_a_workspace_with_any_name_will_do(tmp_path: File) -> None:
    world = World(tmp_path / "a [1] * what? 'quoted' {x}")
    assert affected(recorded(world)) == ["head"]


def test_a_broken_ledger_and_a_fact_of_another_format_are_named(world: World) -> None:
    workspace = recorded(world)
    workspace.ledger.append("component", {"name": "head"})
    with pytest.raises(LedgerBroken, match="line 4 of the ledger, a 'component'"):
        Catalog.of(workspace)
    workspace.ledger.journal.file.write_bytes(workspace.ledger.journal.file.read_bytes().replace(b"alice", b"malic"))
    with pytest.raises(LedgerBroken, match="line 2 was edited"):
        Catalog.of(workspace)


# Order and paths --------------------------------------------------------------------------------------------------

EDGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.sampled_from(Role)), max_size=14)


@given(edges=EDGES)
def test_inputs_come_first_wherever_there_is_no_circle(edges: list[tuple[str, str, Role]]) -> None:
    forward = [edge for edge in edges if edge[0] < edge[1]]
    order = in_order("abcdef", forward)
    assert sorted(order) == list("abcdef")
    assert all(order.index(source) < order.index(target) for source, target, _ in forward)
    assert sorted(in_order("abcdef", edges)) == list("abcdef")


@given(edges=EDGES, keep=st.integers(1, 5))
def test_fewer_paths_are_the_shortest_of_all_and_none_is_left_without(
    edges: list[tuple[str, str, Role]], keep: int
) -> None:
    everything = paths_from(["a"], edges)
    some = paths_from(["a"], edges, keep=keep)
    assert set(some) == set(everything)
    for node, kept in some.items():
        assert len(kept) == min(keep, len(everything[node])) or len(kept) < keep
        assert set(kept) <= set(everything[node])
        assert len(kept[0].nodes) == min(len(path.nodes) for path in everything[node])


def test_a_graph_with_more_paths_than_atoms_is_answered() -> None:
    layers = [[f"{layer}-{n}" for n in range(10)] for layer in range(30)]
    edges = [("s", n, Role.TRAIN) for n in layers[0]]
    for before, after in pairwise(layers):
        edges += [(source, target, Role.TRAIN) for source in before for target in after]
    paths = paths_from(["s"], edges)
    assert set(paths) == {node for layer in layers for node in layer}
    assert max(len(found) for found in paths.values()) == min(PATHS_KEPT, PATHS_IN_ALL // 300)
