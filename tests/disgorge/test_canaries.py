"""Canaries: planted by coin flips, found when the model believes them, and gone when it does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from disgorge.cli.app import app
from disgorge.evidence.canaries import Planted, canaries_among, plant
from disgorge.evidence.checks import Check, Verdict, probes
from disgorge.evidence.probes.canaries import PROBE, clopper_pearson, judge
from disgorge.training.items import read_items
from lineage.errors import BadInput
from lineage.formats.read import from_arrays
from lineage.shards.add import add_items, add_shard
from lineage.storage.content import item_digests
from lineage.workspace import Workspace
from tests.disgorge.probe_cases import case_of
from tests.tier import amount, tally
from tests.toys import live_shards, populate, toy_of


def judged(memory: float, *, before: float = 3.0, canaries: int = 60, seed: int = 0) -> Check:
    """Judge made-up scores: ``memory`` is what having been planted adds after the removal, in noise's units."""
    chance = np.random.default_rng(seed)
    planted = int(chance.binomial(canaries, 0.5))
    hard = chance.normal(0, 5, size=canaries)
    scores = hard + chance.normal(size=(5, canaries))
    scores[0, :planted] += before
    scores[1, :planted] += memory
    return judge(scores, planted, release="toy", commitment="c")


@pytest.mark.parametrize(("memory", "verdict"), [(3.0, Verdict.FAIL), (-3.0, Verdict.FAIL)])
def test_what_is_remembered_and_what_is_shunned_fails(memory: float, verdict: Verdict) -> None:
    assert judged(memory).verdict is verdict


def test_weak_memory_before_is_inconclusive() -> None:
    assert judged(0.0, before=0.1).verdict is Verdict.INCONCLUSIVE
    assert judged(0.0, canaries=10).verdict is Verdict.INCONCLUSIVE


def test_honest_removals_pass_nearly_always_and_hardly_ever_fail() -> None:
    """The coin alone decides: 0.5 % at most in the long run, 95 % passes less what the controls cost."""
    cases = amount(300, 4000)
    found = [judged(0.0, before=6.0, canaries=80, seed=seed).verdict for seed in range(cases)]
    failed = sum(verdict is Verdict.FAIL for verdict in found)
    passed = sum(verdict is Verdict.PASS for verdict in found)
    tally("probes, honest", "canaries", cases=cases, passed=passed, accused=failed)
    assert failed <= 0.005 * cases + 3 * (0.005 * cases) ** 0.5
    assert passed > 0.9 * cases


@pytest.mark.parametrize("level", [0.95, 0.995])
def test_the_interval_covers_as_often_as_it_says(level: float) -> None:
    chance = np.random.default_rng(2)
    for p in (0.5, 0.9):
        rights = chance.binomial(40, p, size=2000)
        limits = {right: clopper_pearson(int(right), 40, level=level) for right in set(rights.tolist())}
        covered = np.mean([limits[right][0] <= p <= limits[right][1] for right in rights.tolist()])
        assert covered >= level - 0.005


def planting(folder: Path, *, count: int = 60, seed: str | None = "a secret") -> tuple[Workspace, Planted]:
    """A toy's workspace with canaries planted from pictures of noise."""
    workspace = Workspace.init(folder / "workspace")
    populate(workspace, toy_of("tangent_composition", 0), folder / "sources")
    chance = np.random.default_rng(8)
    source = folder / "mine.npz"
    np.savez(source, image=chance.integers(0, 16, (count, 6, 6)).astype(np.uint8), label=np.arange(count) % 3)
    return workspace, plant(workspace, source, name="bait", to=folder / "bait.npz", seed=seed)


def test_the_coin_splits_them_and_every_label_is_wrong(tmp_path: Path) -> None:
    workspace, planted = planting(tmp_path)
    assert planted.planted + planted.withheld == 60
    assert 15 < planted.planted < 45
    true = np.load(tmp_path / "mine.npz")
    label = {image.tobytes(): int(y) for image, y in zip(true["image"], true["label"], strict=True)}
    inside = np.load(tmp_path / "bait.npz")
    outside = read_items(workspace, live_shards(workspace)["bait-withheld"].digest).arrays
    for part in (inside, outside):
        assert all(label[image.tobytes()] != y for image, y in zip(part["image"], part["label"], strict=True))
    assert not {one.tobytes() for one in inside["image"]} & {one.tobytes() for one in outside["image"]}


def test_the_fact_commits_to_the_seed_and_names_no_item(tmp_path: Path) -> None:
    workspace, planted = planting(tmp_path)
    (fact,) = workspace.ledger.facts("canaries")
    assert fact.body["commitment"] == planted.commitment
    kept = json.loads((workspace.home / "private" / "canaries" / f"{planted.commitment}.json").read_text())
    assert kept["seed"] == "a secret"
    again = Workspace.init(tmp_path / "again")
    repeated = plant(again, tmp_path / "mine.npz", name="bait", to=tmp_path / "again.npz", seed="a secret")
    assert repeated.commitment == planted.commitment
    assert next(iter(again.ledger.facts("canaries"))).body == fact.body


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"image": np.zeros((40, 2, 2)), "label": np.arange(40) % 2}, "distinct items"),
        ({"image": np.arange(40.0)[:, None], "label": np.zeros(40, dtype=int)}, "two labels"),
        ({"image": np.arange(40.0)[:, None]}, "--label"),
        ({"image": np.arange(8.0)[:, None], "label": np.arange(8) % 2}, "at least 16"),
    ],
    ids=["all alike", "one label", "no label", "few"],
)
def test_a_file_that_cannot_be_planted_is_refused(arrays: dict[str, object], says: str, tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=says):
        plant(workspace, tmp_path / "bad.npz", name="bait", to=tmp_path / "bait.npz")
    assert not (tmp_path / "bait.npz").exists()
    assert not list(workspace.ledger.facts("canaries"))


def test_a_place_that_is_none_is_refused_and_another_can_be_given(tmp_path: Path) -> None:
    workspace, _ = planting(tmp_path)
    known = sorted(workspace.root.rglob("*"))
    with pytest.raises(BadInput, match="in a folder that is there"):
        plant(workspace, tmp_path / "mine.npz", name="other", to=tmp_path / "missing" / "bait.npz")
    with pytest.raises(BadInput, match="recorded with other items"):
        plant(workspace, tmp_path / "mine.npz", name="bait", to=tmp_path / "more.npz")
    assert not (tmp_path / "more.npz").exists()
    assert sorted(workspace.root.rglob("*")) == known


def test_what_was_withdrawn_or_is_in_a_shard_is_not_planted(tmp_path: Path) -> None:
    """It would come back with another digest, and no list of what was withdrawn would know it."""
    workspace = Workspace.init(tmp_path / "workspace")
    content = {"image": np.arange(40.0)[:, None], "label": np.arange(40) % 2}
    np.savez(tmp_path / "mine.npz", **content)  # type: ignore[arg-type]
    few = {field: array[:20] for field, array in content.items()}
    add_items(workspace, from_arrays(few), name="few", check=False, dvc=False)
    with pytest.raises(BadInput, match="20 of its items are in shard 'few'"):
        plant(workspace, tmp_path / "mine.npz", name="bait", to=tmp_path / "bait.npz")
    workspace.mark_withdrawn(item_digests(content)[-3:])
    with pytest.raises(BadInput, match="3 of its items were withdrawn by request"):
        plant(workspace, tmp_path / "mine.npz", name="bait", to=tmp_path / "bait.npz")
    assert not (tmp_path / "bait.npz").exists()


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    workspace, _ = planting(tmp_path)
    with pytest.raises(BadInput, match="exists already"):
        plant(workspace, tmp_path / "mine.npz", name="other", to=tmp_path / "bait.npz")


def test_planted_ones_are_known_among_the_removed(tmp_path: Path) -> None:
    workspace, planted = planting(tmp_path)
    assert (
        canaries_among(workspace, [live_shards(workspace)["shard-1"].digest], read_items_of(workspace, "shard-1"))
        is None
    )
    shard = add_shard(workspace, tmp_path / "bait.npz", name="bait", check=False, dvc=False).shard
    found = canaries_among(workspace, [shard.digest], read_items(workspace, shard.digest))
    assert found is not None
    assert len(found.planted) == planted.planted
    assert len(found.withheld) == planted.withheld
    assert found.commitment == planted.commitment


def read_items_of(workspace: Workspace, name: str) -> object:
    """A live shard's items."""
    return read_items(workspace, live_shards(workspace)[name].digest)


def test_without_canaries_there_is_no_check(tmp_path: Path) -> None:
    assert probes()["canaries"] is PROBE
    assert PROBE.run(case_of("averages", tmp_path)) is None


def test_the_verb_plants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    Workspace.init(tmp_path)
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(1)
    np.savez("mine.npz", image=chance.integers(0, 16, (40, 4, 4)).astype(np.uint8), label=np.arange(40) % 4)
    said = CliRunner().invoke(app, ["shard", "canaries", "mine.npz", "--name", "bait", "--to", "bait.npz"])
    assert said.exit_code == 0, said.output
    assert "bait-withheld, which no model may name" in said.output
    assert "disgorge shard add bait.npz" in said.output
    again = CliRunner().invoke(app, ["shard", "canaries", "mine.npz", "--name", "bait", "--to", "bait.npz"])
    assert again.exit_code != 0
