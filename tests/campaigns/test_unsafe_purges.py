"""Tricks to make a purge delete what is retained, or what lies outside the workspace. None may work.

Each case changes a removal just before its purge, by facts or by links, and says which paths must then still be there
with the bytes they had. What goes is checked too: a purge that deletes nothing would pass every other line here.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from disgorge.locations.every import purge
from disgorge.locations.location import Deletion, Target
from disgorge.locations.references import spare_of
from lineage.records import Composition, Member, Shard, canonical, plain
from tests.disgorge.test_purge import Removal, component, removal, tracked, tracked_once

__all__ = ["removal", "tracked", "tracked_once"]  # fixtures

Kept = Iterable[Path]


def content(made: Removal, shard: Shard) -> list[Path]:
    """Return the files of a shard."""
    return [made.workspace.manifest_path(shard.digest), made.workspace.content_path(shard.digest)]


def shard_again(made: Removal) -> Kept:
    """Record the withdrawn shard once more under another name: it is one content, and live."""
    again = Shard(**{**plain(made.alice), "name": "carol", "fields": made.alice.fields})
    made.workspace.ledger.append("shard", {"shard": plain(again)})
    return content(made, made.alice)


def retained_asked_for(made: Removal) -> Kept:
    """Name a live shard and a live component among what is to go."""
    made.targets["shards"] += (made.bob.digest, made.after.digest)
    made.targets["weights"] += (made.other.digest,)
    return [*content(made, made.bob), *content(made, made.after), made.workspace.objects.path(made.other.digest)]


def equal_bytes(made: Removal) -> Kept:
    """Let a live component of another name be the same bytes as the retired one."""
    return [made.workspace.objects.path(component(made.workspace, "twin", made.bob, value=1.0).digest)]


def two_releases(made: Removal) -> Kept:
    """Withdraw one of two releases that share a component, and retire the component for that one."""
    shared = component(made.workspace, "shared", made.bob, value=3.0)
    for name, value in (("mine", 4.0), ("yours", 5.0)):
        own = component(made.workspace, f"{name}/own", made.bob, value=value)
        members = (Member("shared", shared.digest), Member(own.name, own.digest))
        composition = Composition("toy", {"release": name}, members)
        made.workspace.ledger.append("composition", {"composition": plain(composition)})
        made.workspace.ledger.append("release", {"name": name, "alias": "live", "composition": composition.digest})
        if name == "mine":
            gone = {"name": name, "alias": "live", "composition": composition.digest}
            made.workspace.ledger.append("release-withdrawn", gone)
            made.workspace.ledger.append(
                "component-retired", {"name": "shared", "component": shared.digest, "after": None}
            )
    made.targets["weights"] += (shared.digest,)
    return [made.workspace.objects.path(shared.digest)]


def requests_objects(made: Removal) -> Kept:
    """Name what other requests keep: plan, impact, examination and the samples it shows."""
    put = made.workspace.objects.put
    samples = put(b"\x08\0\0\0\0\0\0\0{}      ")
    plan, impact = put(canonical({"plan": 1})), put(canonical({"impact": 1}))
    examination = put(canonical({"checks": [], "samples": samples}))
    made.workspace.ledger.append("plan", {"request": "R-9", "plan": plan, "impact": impact})
    made.workspace.ledger.append("examination", {"plan": plan, "release": "x", "examination": examination})
    made.targets["weights"] += (samples, plan, impact, examination)
    return [made.workspace.objects.path(digest) for digest in (samples, plan, impact, examination)]


def hard_links(made: Removal) -> Kept:
    """Give what is to go a second name outside the workspace."""
    outside = made.workspace.root.parent / "outside"
    outside.mkdir()
    for number, path in enumerate((*content(made, made.alice), made.workspace.objects.path(made.head.digest))):
        os.link(path, outside / str(number))
    return sorted(outside.iterdir())


def links_to_files(made: Removal) -> Kept:
    """Let what is to go be a link to a file outside."""
    outside = made.workspace.root.parent / "outside"
    outside.mkdir()
    for number, path in enumerate((*content(made, made.alice), made.workspace.objects.path(made.head.digest))):
        shutil.move(path, outside / str(number))
        path.symlink_to(outside / str(number))
    return sorted(outside.iterdir())


def link_to_retained(made: Removal) -> Kept:
    """Let the old weights be a link to retained ones."""
    path, retained = (made.workspace.objects.path(each.digest) for each in (made.head, made.other))
    path.unlink()
    path.symlink_to(retained)
    return [retained]


Trick = Callable[[Removal], Kept]
# (trick, what is kept after all: shard, weights; a word of the residuals)
TRICKS: list[tuple[Trick, set[str], str]] = [
    (shard_again, {"shard"}, ""),
    (retained_asked_for, set(), ""),
    (equal_bytes, {"weights"}, ""),
    (two_releases, set(), ""),
    (requests_objects, set(), ""),
    (hard_links, set(), "hard link"),
    (links_to_files, set(), "link out of the workspace"),
    (link_to_retained, set(), ""),
]


def try_it(made: Removal, trick: Trick) -> Deletion:
    """Try a trick, purge, and see that everything that was to be kept is there with its bytes."""
    kept = {path: path.read_bytes() for path in trick(made)}
    kept |= {path: path.read_bytes() for path in (*content(made, made.bob), *content(made, made.after))}
    kept[made.workspace.objects.path(made.other.digest)] = made.workspace.objects.get(made.other.digest)
    assert kept
    purged = purge(made.workspace, Target(items=made.items if trick is not shard_again else (), **made.targets))
    for path, data in kept.items():
        assert path.read_bytes() == data, path
    return purged


@pytest.mark.parametrize(("trick", "stays", "said"), TRICKS, ids=[trick.__name__ for trick, _, _ in TRICKS])
def test_nothing_retained_or_outside_is_lost(removal: Removal, trick: Trick, stays: set[str], said: str) -> None:
    """And what is to go goes, unless something live is the same."""
    purged = try_it(removal, trick)
    there = [path.exists() for path in content(removal, removal.alice)]
    assert there == ["shard" in stays] * 2
    assert removal.workspace.objects.exists(removal.head.digest) == ("weights" in stays)
    assert said in " ".join(purged.left)
    if trick is equal_bytes:
        assert purged.kept == (f"object {removal.head.digest} is kept: it is live as twin",)


def add_output(made: Removal, make: Callable[[Path, Path], Any]) -> Path:
    """Track a folder in DVC that holds the erased shard, then let something replace it; return what is outside."""
    workspace_folder = made.workspace.root
    outside = workspace_folder.parent / "outside"
    outside.mkdir()
    shutil.copy(made.workspace.content_path(made.alice.digest), outside / "alice.parquet")
    (outside / "precious.txt").write_text("nobody's business")
    make(workspace_folder / "export", outside)
    return outside


def file_in_output(output: Path, outside: Path) -> None:
    """Let a file of the tracked folder be a link."""
    (output / "alice.parquet").unlink()
    (output / "alice.parquet").symlink_to(outside / "alice.parquet")


def folder_in_output(output: Path, outside: Path) -> None:
    """Let the tracked folder have a folder that is a link."""
    (output / "deeper").symlink_to(outside)


def output_itself(output: Path, outside: Path) -> None:
    """Let the tracked folder itself be a link."""
    shutil.rmtree(output)
    output.symlink_to(outside)


@pytest.mark.parametrize("make", [file_in_output, folder_in_output, output_itself])
def test_a_link_in_an_output_of_dvc_leads_nowhere(tracked: Removal, make: Callable[[Path, Path], Any]) -> None:
    outside = add_output(tracked, make)
    before = {path: path.read_bytes() for path in outside.iterdir()}
    purged = purge(tracked.workspace, Target(**tracked.targets))
    assert {path: path.read_bytes() for path in outside.iterdir()} == before
    assert tracked.workspace.content_path(tracked.after.digest).is_file()
    assert not tracked.workspace.content_path(tracked.alice.digest).exists()
    if make is not folder_in_output:
        assert "by way of a link" in " ".join(purged.left) or "was a link" in " ".join(purged.left)


def test_an_output_that_was_changed_since_is_not_deleted(tracked: Removal) -> None:
    """DVC's file names the erased bytes, but what lies there now is something else."""
    path = tracked.workspace.content_path(tracked.alice.digest)
    path.unlink()
    export = tracked.workspace.root / "export" / "alice.parquet"
    export.unlink()
    export.write_text("my own notes")
    purge(tracked.workspace, Target(**tracked.targets))
    assert export.read_text() == "my own notes"


def test_who_needs_what_is_said_in_words(removal: Removal) -> None:
    list(requests_objects(removal))
    needs = spare_of(removal.workspace)
    assert all(words for words in (*needs.objects.values(), *needs.shards.values()))
    assert "an examination shows it" in needs.objects.values()
    assert "a fact names it as impact" in needs.objects.values()
