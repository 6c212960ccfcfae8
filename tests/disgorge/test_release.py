"""Training to a release: what is recorded, what is trained, what is refused."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.api.training import train_all
from disgorge.errors import ReleaseContained, WrongUse
from disgorge.method import ModelSpec
from disgorge.release.train import Model, lay_out, train_release, train_releases
from disgorge.tracking.registry import Registrar
from disgorge.tracking.runs import Observer
from disgorge.training.make import Made
from disgorge.training.recipe import Done, Job
from lineage.catalog.catalog import Catalog
from lineage.errors import UnknownRecord
from lineage.records import Composition, Shard
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.toys import person, populate, remove, toy_of


class Kept(Registrar, Observer):
    """A registry and a tracking that remember what they were told."""

    def __init__(self) -> None:
        self.adopted: list[tuple[str, str, str]] = []
        self.trained: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    def adopt(self, release: str, alias: str, composition: Composition) -> str:
        """Remember an adoption."""
        self.adopted.append((release, alias, composition.digest))
        return "1"

    def training(self, spec: ModelSpec, made: Made, shards: Sequence[Shard], *, model_file: Path | None = None) -> None:
        """Remember a training."""
        self.trained.append((made.trained, tuple(shard.name for shard in shards)))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with a toy's shards and nothing trained."""
    workspace = Workspace.init(tmp_path / "workspace")
    populate(workspace, toy_of("averages", 3), tmp_path / "sources")
    return workspace


@pytest.fixture
def spec() -> ModelSpec:
    """The toy's model, measured on its last shard."""
    spec = toy_of("averages", 3).spec
    return replace(spec, shards=spec.shards[:-1], evaluate=spec.shards[-1:])


def train(workspace: Workspace, spec: ModelSpec, kept: Kept) -> Made:
    """Train in this process."""
    return train_release(workspace, spec, InProcessRunner(workspace), registrar=kept, observer=kept)


def test_components_composition_and_release_are_recorded_in_that_order(workspace: Workspace, spec: ModelSpec) -> None:
    kept = Kept()
    made = train(workspace, spec, kept)
    kinds = [fact.kind for fact in workspace.ledger.facts() if fact.kind not in ("opened", "shard")]
    attested = ["component", "attested"]
    assert kinds == ["component", "signing-key", "attested", *attested * 3, "composition", "release"]
    with Catalog.of(workspace) as catalog:
        assert catalog.release(spec.release).composition == made.composition.digest
        assert catalog.composition(made.composition.digest) == made.composition
    assert kept.adopted == [(spec.release, "live", made.composition.digest)]
    assert kept.trained == [(made.trained, (*spec.core, *spec.shards))]


def test_training_again_trains_and_records_nothing(workspace: Workspace, spec: ModelSpec) -> None:
    first = train(workspace, spec, Kept())
    head = workspace.ledger.head()
    again = train(workspace, spec, Kept())
    assert again.composition == first.composition
    assert again.trained == ()
    assert workspace.ledger.head() == head


def test_one_shard_more_trains_one_component(workspace: Workspace, spec: ModelSpec) -> None:
    train(workspace, spec, Kept())
    more = replace(spec, shards=(*spec.shards, *spec.evaluate), evaluate=())
    assert train(workspace, more, Kept()).trained == (f"{spec.release}/mean/shard-4",)
    with Catalog.of(workspace) as catalog:
        assert len(catalog.releases()) == 1


def test_an_older_composition_comes_back_without_being_recorded_twice(workspace: Workspace, spec: ModelSpec) -> None:
    train(workspace, spec, Kept())
    train(workspace, replace(spec, seed=spec.seed + 1), Kept())
    train(workspace, spec, Kept())
    assert len(list(workspace.ledger.facts("composition"))) == 2
    assert len(list(workspace.ledger.facts("release"))) == 3


def test_another_alias_is_another_release_of_the_same_components(workspace: Workspace, spec: ModelSpec) -> None:
    train(workspace, spec, Kept())
    assert train(workspace, replace(spec, alias="candidate"), Kept()).trained == ()
    with Catalog.of(workspace) as catalog:
        assert [release.alias for release in catalog.releases()] == ["live", "candidate"]


def test_models_that_train_side_by_side_are_what_they_are_alone(workspace: Workspace, spec: ModelSpec) -> None:
    other, kept = replace(spec, release="other", shards=spec.shards[:1]), Kept()
    begun: list[tuple[str, ...]] = []

    class Runner(InProcessRunner):
        def run(self, jobs: Iterable[Job], **how: Any) -> Iterator[Done]:
            jobs = tuple(jobs)
            begun.append(tuple(job.name for job in jobs))
            return super().run(jobs, **how)

    models = [Model(spec), Model(other)]
    first, second = train_releases(workspace, models, Runner(workspace), registrar=kept, observer=kept)
    together, asked = begun
    assert together == (f"{spec.release}/scale", "other/scale"), "the first of either may begin at once"
    assert [name.split()[0] for name in asked] == [spec.release, "other"], "each is asked once, beside the other"
    assert kept.adopted == [
        (each.release, "live", made.composition.digest) for each, made in ((spec, first), (other, second))
    ]
    assert [trained for trained, _ in kept.trained] == [first.trained, second.trained]
    assert train(workspace, other, Kept()).composition == second.composition
    assert train(workspace, spec, Kept()).composition == first.composition


def test_two_models_of_one_release_are_refused_before_anything_is_trained(workspace: Workspace, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.yaml", "two.yaml")]
    for file in files:
        file.write_text("release: same\nmethod: averages\nshards: [shard-1]\n")
    head = workspace.ledger.head()
    with pytest.raises(WrongUse, match="two of the model files make the release 'same'"):
        train_all(workspace, files)
    assert workspace.ledger.head() == head


def test_a_shard_nobody_added_is_named_with_near_ones(workspace: Workspace, spec: ModelSpec) -> None:
    head = workspace.ledger.head()
    with pytest.raises(UnknownRecord, match=r"names 'shard-9', which no live shard .* did you mean"):
        train(workspace, replace(spec, evaluate=("shard-9",)), Kept())
    assert workspace.ledger.head() == head


def test_a_contained_release_is_not_trained_over(workspace: Workspace, spec: ModelSpec) -> None:
    train(workspace, spec, Kept())
    workspace.ledger.append("release-contained", {"name": spec.release, "alias": "live", "request": "R-1"})
    head, kept = workspace.ledger.head(), Kept()
    with pytest.raises(ReleaseContained, match="is contained"):
        train(workspace, spec, kept)
    assert workspace.ledger.head() == head
    assert kept.adopted == []


def test_a_withdrawn_shard_is_not_trained_on_again(workspace: Workspace, spec: ModelSpec) -> None:
    spec = replace(spec, evaluate=())
    train(workspace, spec, Kept())
    remove(workspace, [person(workspace, "shard-2", n) for n in range(4)])
    with pytest.raises(UnknownRecord, match="names 'shard-2'"):
        train(workspace, spec, Kept())


def test_the_layout_is_told_before_anything_is_trained(workspace: Workspace, spec: ModelSpec) -> None:
    assert [blueprint.name for blueprint in lay_out(workspace, spec)] == [
        "scale", "mean/shard-1", "mean/shard-2", "mean/shard-3",
    ]  # fmt: skip
