"""The laws of removal, which every registered method must pass on its toy; a new method needs no new test.

Each case takes a seed, assigns people to shards by the toy, removes something through the whole pass (request to signed
report) and compares with a workspace that never held it. Exact means bit for bit: digests, not tolerances. Laws about
one and the same removal look at one workspace.
"""

import json
import random
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

from disgorge.method import Toy, methods
from disgorge.removal.execute import Executed
from disgorge.request.case import case_of, plan_of
from disgorge.training.items import join
from disgorge.training.stored import assemble, read_items
from lineage.catalog.catalog import Catalog
from lineage.records import Selector
from lineage.workspace import Workspace
from tests import toys
from tests.tier import FULL, amount

SEEDS = (1, 2, 3)

CASES = [(name, seed) for name in sorted(methods()) for seed in SEEDS[: amount(1, 3)]]


class Trained:
    """A toy trained once; every law works on a copy of its own."""

    def __init__(self, folder: Path, method: str, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.toy: Toy = toys.toy_of(method, seed)
        self.release = self.toy.spec.release
        self.untouched = toys.trained_toy(folder, method=method, seed=seed, clock=None)

    def copy(self, name: str) -> Workspace:
        """A workspace like the trained one."""
        return Workspace.open(Path(shutil.copytree(self.untouched.root, self.folder / name)))

    def never(self, name: str, gone: set[tuple[str, int]]) -> Workspace:
        """A workspace that never held some rows, trained from nothing."""
        workspace = Workspace.init(self.folder / name)
        toys.populate(
            workspace, self.toy, self.folder / f"{name}-sources", leave_out=lambda shard, row: (shard, row) in gone
        )
        toys.train(workspace, self.toy)
        return workspace

    def some_shard(self) -> str:
        """A removable shard the seed picks."""
        return random.Random(self.seed).choice(self.toy.spec.shards)

    def rows_of(self, shard: str, person_number: int | None = None) -> set[tuple[str, int]]:
        """The rows of a shard, or of one of its people."""
        rows = range(len(self.toy.items[shard]))
        return {(shard, row) for row in rows if person_number is None or row // 3 == person_number}

    @cached_property
    def without_shard(self) -> tuple[Workspace, Executed]:
        """A workspace after the removal of a shard, and how that ended; to look at."""
        workspace = self.copy("without-shard")
        return workspace, toys.remove(workspace, [Selector("shard", self.some_shard())])

    @cached_property
    def without_person(self) -> tuple[Workspace, Executed]:
        """A workspace after the removal of one person, and how that ended; to look at."""
        workspace = self.copy("without-person")
        return workspace, toys.remove(workspace, [toys.person(workspace, self.some_shard(), 1)])


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """One trained toy per method and seed."""
    method, seed = request.param
    folder = tmp_path_factory.mktemp(f"{method}-{seed}")
    yield Trained(folder, method, seed)
    shutil.rmtree(folder)


def test_1_removing_a_shard_equals_never_having_had_it(trained: Trained) -> None:
    workspace, done = trained.without_shard
    assert done.verdict == "certified"
    oracle = trained.never("oracle-1-shard", trained.rows_of(trained.some_shard()))
    assert toys.bytes_by_name(workspace, trained.release) == toys.bytes_by_name(oracle, trained.release)
    assert toys.served(workspace, trained.release) == toys.served(oracle, trained.release)


def test_1_removing_a_person_equals_never_having_had_them(trained: Trained) -> None:
    workspace, done = trained.without_person
    assert done.verdict == "certified"
    oracle = trained.never("oracle-1-person", trained.rows_of(trained.some_shard(), 1))
    assert toys.bytes_by_name(workspace, trained.release) == toys.bytes_by_name(oracle, trained.release)


def test_2_no_live_path_is_left(trained: Trained) -> None:
    before = toys.live_shards(trained.untouched)[trained.some_shard()].digest
    workspace, _ = trained.without_person
    with Catalog.of(workspace) as catalog:
        live = {component.digest for component in catalog.components()}
        reached = {edge.target for edge in catalog.trace(before, up=False, down=True).edges}
    assert not live & reached


def test_3_what_is_retained_keeps_its_bytes(trained: Trained) -> None:
    before = toys.bytes_by_name(trained.untouched, trained.release)
    workspace, _ = trained.without_person
    plan = plan_of(workspace, case_of(workspace, "R-1"))
    touched = {step.subject for step in plan.steps if step.release == trained.release}
    after = toys.bytes_by_name(workspace, trained.release)
    assert {name for name in before if before[name] != after.get(name)} <= touched
    assert len(touched & set(before)) < len(before)


def test_4_removing_twice_is_removing_once(trained: Trained) -> None:
    workspace, _ = trained.without_person
    once = toys.served(workspace, trained.release)
    with Catalog.of(workspace) as catalog:
        again = catalog.impact([toys.person(workspace, trained.some_shard(), 1)])
    assert again.items == 0
    assert not again.affected
    assert toys.served(workspace, trained.release) == once


def test_5_two_removals_commute(trained: Trained) -> None:
    if not FULL and trained.toy.spec.method == "compartmental_diffusion":
        pytest.skip("four removals of the slowest method: in the second tier")
    first, second = trained.toy.spec.shards[:2]
    one, other, together = trained.copy("law-5-ab"), trained.copy("law-5-ba"), trained.copy("law-5-joint")
    asked = ([Selector("shard", first)], [toys.person(one, second, 1)])
    for workspace, order in ((one, (0, 1)), (other, (1, 0))):
        for number in order:
            toys.remove(workspace, asked[number], request_id=f"R-{number}")
    assert toys.served(one, trained.release) == toys.served(other, trained.release)
    done = toys.remove_together(together, {f"R-{number}": selectors for number, selectors in enumerate(asked)})
    assert done.reports.keys() == {"R-0", "R-1"}
    assert toys.served(together, trained.release) == toys.served(one, trained.release)
    assert toys.bytes_by_name(together, trained.release) == toys.bytes_by_name(one, trained.release)


def test_6_removing_nothing_is_the_identity(trained: Trained) -> None:
    workspace = trained.copy("law-6")
    before = (toys.served(workspace, trained.release), workspace.ledger.lineage_head())
    with Catalog.of(workspace) as catalog:
        nothing = catalog.impact([Selector("key", "nobody-has-this-key")])
    assert (nothing.items, nothing.affected, nothing.releases) == (0, (), ())
    assert (toys.served(workspace, trained.release), workspace.ledger.lineage_head()) == before


def test_7_removing_everything_leaves_the_base(trained: Trained) -> None:
    workspace = trained.copy("law-7")
    before = toys.bytes_by_name(workspace, trained.release)
    everything = [Selector("shard", name) for name in trained.toy.spec.shards]
    assert toys.remove(workspace, everything).verdict == "certified"
    after = toys.bytes_by_name(workspace, trained.release)
    core = {toys.live_shards(workspace)[name].digest for name in trained.toy.spec.core}
    with Catalog.of(workspace) as catalog:
        uses = {use.digest for name in after for use in catalog.component(name).uses}
    assert set(after.items()) <= set(before.items())
    assert uses <= core | set(after.values())


def test_8_the_search_finds_the_data_before_removal(trained: Trained) -> None:
    """The positive control of the certificate's checks: before removal, each of them finds what must go."""
    workspace, _ = trained.without_person
    evidence = next(fact for fact in workspace.ledger.facts("report")).body["evidence"]
    checks = json.loads(workspace.objects.get(evidence))["checks"]
    for name in ("lineage-closure", "residue"):
        found = [check for check in checks if check["name"] == name]
        assert found
        for check in found:
            assert [(control["name"], control["held"]) for control in check["controls"]] == [("positive", True)]


def test_9_a_model_before_and_after_answers(trained: Trained) -> None:
    """Utility is measured on both; a model that cannot be assembled after a removal would be no remedy."""
    shard = trained.some_shard()
    workspace, _ = trained.without_shard
    composition = toys.composition_of(workspace, trained.release)
    model = assemble(workspace, composition)
    left = [name for name in trained.toy.spec.shards if name != shard]
    items = join([read_items(workspace, toys.live_shards(workspace)[name].digest) for name in left])
    assert model.scores(items).shape == (len(items),)
