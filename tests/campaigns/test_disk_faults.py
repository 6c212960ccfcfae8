"""Files that somebody changed, a full disk, a clock that goes backwards: one clear error, and a way to go on."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from disgorge.report.bundle import verify_bundle
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.nursery import the_nursery
from tests.crash_harness.removals import removal
from tests.toys import RELEASE, carry, granted_plan, live_shards, person, trained_toy

Find = Callable[[Workspace], Path]


def flipped(data: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def component(name: str) -> Find:
    """Find the weights of a component."""

    def find(workspace: Workspace) -> Path:
        with Catalog.of(workspace) as catalog:
            return workspace.objects.path(catalog.component(f"{RELEASE}/{name}").digest)

    return find


def content(name: str) -> Find:
    """Find the items of a shard."""
    return lambda workspace: workspace.content_path(live_shards(workspace)[name].digest)


def manifest(name: str) -> Find:
    """Find the manifest of a shard."""
    return lambda workspace: workspace.manifest_path(live_shards(workspace)[name].digest)


@contextmanager
def damaged(workspace_folder: Path, which: Find, other: Find | None) -> Iterator[Path]:
    """Flip a bit of a file, or give it the bytes of another one; it is restored afterwards."""
    workspace = Workspace.open(workspace_folder)
    path = which(workspace)
    kept, bytes_of_another = path.read_bytes(), None if other is None else other(workspace).read_bytes()
    path.write_bytes(flipped(kept) if bytes_of_another is None else bytes_of_another)
    yield path
    path.write_bytes(kept)


@pytest.mark.parametrize(
    ("which", "other"),
    [
        pytest.param(component("scale"), component("mean/shard-2"), id="an input of training swapped"),
        pytest.param(content("shard-1"), None, id="retained items flipped"),
        pytest.param(content("shard-1"), content("shard-2"), id="retained items swapped"),
        pytest.param(content("shard-3"), None, id="items to cut flipped"),
        pytest.param(manifest("shard-3"), manifest("shard-2"), id="a manifest swapped"),
        pytest.param(lambda workspace: workspace.home / "ledger.jsonl", None, id="the ledger flipped"),
    ],
)
def test_a_changed_file_stops_the_removal_and_restored_it_goes_on(which: Find, other: Find | None) -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("changed")
    with damaged(workspace_folder, which, other) as path:
        ended = the_nursery().run("carry", workspace_folder, request="R-1")
        assert ended.code == 1, ended
        assert ended.err.startswith(("lineage.errors.", "disgorge.errors."))
        assert len(ended.err.splitlines()) == 1
        assert path.name in ended.err
    aftermath.under_way(workspace_folder, wanted.plan)
    wanted.finish(workspace_folder)


def test_a_swapped_component_that_is_retained_is_trained_again_by_the_probe() -> None:
    """Re-execution stores what the recipe determines, and that is what the digest says: nothing else is ever served."""
    wanted = removal("retrain")
    workspace_folder = wanted.copy("swapped")
    kept = component("mean/shard-1")(Workspace.open(workspace_folder)).read_bytes()
    with damaged(workspace_folder, component("mean/shard-1"), component("mean/shard-2")) as path:
        wanted.resume(workspace_folder)
        assert path.read_bytes() == kept
    wanted.check(workspace_folder)


def test_a_swapped_component_that_was_proved_before_is_refused() -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("proved")
    assert the_nursery().run("carry", workspace_folder, request="R-1", die_at_step=wanted.step("adopt")).killed
    with damaged(workspace_folder, component("mean/shard-1"), component("mean/shard-2")):
        ended = the_nursery().run("carry", workspace_folder, request="R-1")
        assert ended.code == 1, "a release with other weights than its probe saw was adopted"
    wanted.finish(workspace_folder)


@pytest.mark.parametrize("room", [0, 600, 12_000])
def test_a_full_disk_stops_the_removal_and_with_room_it_goes_on(room: int) -> None:
    """No file may grow beyond the ledger and so many bytes: what a write meets then is what it meets on a full disk."""
    wanted = removal("retrain")
    workspace_folder = wanted.copy(f"full-{room}")
    ended = the_nursery().run(
        "cli", workspace_folder, arguments=["request", "execute", "R-1", "--references", "0"], without=["mlflow"],
        limit=(workspace_folder / ".disgorge" / "ledger.jsonl").stat().st_size + room,
    )  # fmt: skip
    assert ended.code == 3, ended
    assert len(ended.err.splitlines()) == 1, ended
    assert ended.err.startswith("error: ")
    assert "File too large" in ended.err
    Workspace.open(workspace_folder).ledger.verify()
    aftermath.under_way(workspace_folder, wanted.plan)
    wanted.finish(workspace_folder)


def test_a_clock_that_goes_backwards_breaks_nothing(tmp_path: Path) -> None:
    began = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
    ticks = itertools.count()

    def clock() -> dt.datetime:
        """Every look an hour earlier, and every third a day later."""
        tick = next(ticks)
        return began - dt.timedelta(hours=tick % 24) + dt.timedelta(days=tick % 3 == 0)

    workspace = trained_toy(tmp_path, clock=clock)
    granted_plan(workspace, [person(workspace, "shard-3", 1)])
    executed = carry(workspace)
    assert executed.verdict == "certified"
    times = [fact.at for fact in workspace.ledger.facts()]
    assert times != sorted(times)
    assert workspace.ledger.verify() == len(times)
    assert verify_bundle(executed.bundle).verdict == "certified"
    assert not audit(workspace)
