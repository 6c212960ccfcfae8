"""After a purge no verb of DVC brings an old component back, not even when the erased data themselves are put back.

DVC is the real one, its stages really run: each leaves a line in a log that DVC does not know. The pipeline read
alice's shard (a model, and a score of the model) and bob's, and made a folder in which only one file is alice's.
"""

import copy
import shutil
import sys
from contextlib import chdir
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from disgorge.evidence.checks import Verdict
from disgorge.locations.dvc_plan import DvcPlan
from disgorge.locations.every import plan, purge
from disgorge.locations.location import Target
from lineage.dvc.storage import md5_of
from lineage.workspace import Workspace
from tests.disgorge.test_purge import Removal, traces
from tests.stores import quiet_dvc

PYTHON = Path(sys.executable).as_posix()
TRAIN = """import hashlib, pathlib, sys
log, source, *outs = map(pathlib.Path, sys.argv[1:])
before = log.read_text() if log.exists() else ""
log.write_text(before + outs[0].name + "\\n")
learned = hashlib.sha256(source.read_bytes()).hexdigest()
for number, out in enumerate(outs):
    out.write_text("the same for everybody" if number else f"{learned} in run {before.count(outs[0].name)}")
"""
SPLIT = """import pathlib, shutil, sys
log, source, folder = map(pathlib.Path, sys.argv[1:])
log.write_text((log.read_text() if log.exists() else "") + "split\\n")
folder.mkdir(exist_ok=True)
shutil.copy(source.read_text().strip(), folder / "alice.parquet")
(folder / "note.txt").write_text("a retained sibling")
"""
FIT = """import hashlib, pathlib, sys
folder = pathlib.Path("model")
folder.mkdir(exist_ok=True)
learned = hashlib.sha256(pathlib.Path(sys.argv[1]).read_bytes()).hexdigest()
(folder / "weights.bin").write_text("learned " + learned)
"""
SIBLINGS = {"bob.model", "bob.score", "labels.txt", "constant.txt", "parts/note.txt"}
OLD = ("model.bin", "score.bin")


class Pipeline:
    """A removal in a workspace whose DVC pipeline learned from what is removed; everything is pushed."""

    def __init__(self, workspace_folder: Path) -> None:
        self.root = workspace_folder
        self.removal = removal = Removal(Workspace.init(workspace_folder))
        bob = removal.workspace.content_path(removal.bob.digest).relative_to(workspace_folder).as_posix()
        shard = self.alice.relative_to(workspace_folder).as_posix()
        (workspace_folder / "train.py").write_text(TRAIN)
        (workspace_folder / "split.py").write_text(SPLIT)
        (workspace_folder / "where.txt").write_text(shard)
        (workspace_folder / "labels.txt").write_text("the same for everybody")
        stages = {
            "train": ("train.py", shard, ["model.bin"]),
            "score": ("train.py", "model.bin", ["score.bin", "constant.txt"]),
            "other": ("train.py", bob, ["bob.model", "bob.constant"]),
            "rate": ("train.py", "bob.model", ["bob.score"]),
            "split": ("split.py", "where.txt", ["parts"]),
        }
        text = "stages:\n"
        for name, (program, source, outs) in stages.items():
            cmd = f"{PYTHON} {program} ../ran.log {source} {' '.join(outs)}"
            text += f"  {name}:\n    cmd: {cmd}\n    deps: [{program}, {source}]\n    outs: [{', '.join(outs)}]\n"
        (workspace_folder / "dvc.yaml").write_text(text)
        weights = removal.workspace.objects.path(removal.head.digest)
        shutil.copy(weights, workspace_folder / "head.safetensors")
        self.do("add", ["labels.txt", "head.safetensors"])
        self.do("reproduce")
        self.do("push", run_cache=True)
        self.old = {name: md5_of(workspace_folder / name) for name in OLD} | {"head.safetensors": md5_of(weights)}
        self.twin = self.alice.read_bytes()
        self.siblings = {name: (workspace_folder / name).read_bytes() for name in SIBLINGS}
        removal.withdraw()

    def copied_to(self, folder: Path) -> "Pipeline":
        """Return the same, elsewhere."""
        other = copy.copy(self)
        other.removal = self.removal.copied_to(folder)
        other.root = other.removal.workspace.root
        return other

    @property
    def log(self) -> Path:
        """What ran, a line each."""
        return self.root.parent / "ran.log"

    @property
    def alice(self) -> Path:
        """Where the erased shard's content lay."""
        return self.removal.workspace.content_path(self.removal.alice.digest)

    def do(self, verb: str, *given: Any, **named: Any) -> Any:
        """Let DVC do something here."""
        with quiet_dvc(), chdir(self.root):
            from dvc.repo import Repo

            with Repo(str(self.root)) as repo:
                return getattr(repo, verb)(*given, **named)

    def ran(self) -> list[str]:
        """Return which stages really ran, by their first output."""
        return self.log.read_text().split()

    def files(self) -> set[Path]:
        """Return every file of the workspace and of the remote, but what DVC keeps for itself while it works."""
        kept = (path for path in self.root.parent.rglob("*") if path.is_file() or path.is_symlink())
        return {path for path in kept if ".dvc/tmp" not in path.as_posix()}

    def old_places(self) -> list[str]:
        """Return where old bytes are, or old hashes are named, except in what disgorge keeps in private."""
        return [place for md5 in self.old.values() for place in traces(self.root, md5) if "private" not in place]

    def back(self) -> set[str]:
        """Return which old components are on disk in the workspace, whatever they are called."""
        here = {md5_of(path) for path in self.files()}
        return {name for name, md5 in self.old.items() if md5 in here}


@pytest.fixture(scope="module")
def made_once(dvc_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Return the pipeline before its purge, to be copied."""
    folder = tmp_path_factory.mktemp("pipeline") / "made"
    shutil.copytree(dvc_template, folder / "workspace")
    return Pipeline(folder / "workspace")


@pytest.fixture
def pipeline(made_once: Pipeline, tmp_path: Path) -> Pipeline:
    """Return a copy of the pipeline, with its remote and its log."""
    return made_once.copied_to(tmp_path / "copy")


def put_twin_back(pipeline: Pipeline) -> None:
    """Let the erased shard lie where it was, byte for byte, and DVC keep it."""
    pipeline.alice.write_bytes(pipeline.twin)
    pipeline.do("add", [str(pipeline.alice)])


def test_without_a_purge_dvc_brings_the_old_component_back(pipeline: Pipeline) -> None:
    """The control: what the other tests rule out does happen."""
    for name in OLD:
        (pipeline.root / name).unlink()
    ran = pipeline.ran()
    (pipeline.root / "dvc.lock").unlink()
    pipeline.do("reproduce")
    assert pipeline.ran() == ran, "taken from the run-cache"
    assert pipeline.back() == set(pipeline.old)


def test_no_verb_brings_the_old_component_back(pipeline: Pipeline) -> None:
    """Its hash is nowhere, so checkout and pull cannot; nor is its run, so repro trains, and something else."""
    removal = pipeline.removal
    before = removal.before()
    purged = purge(removal.workspace, Target(**removal.targets))
    assert pipeline.old_places() == []
    assert pipeline.back() == set()
    check = removal.check(before)
    assert check.verdict is Verdict.PASS, check.detail
    assert {name: (pipeline.root / name).read_bytes() for name in SIBLINGS} == pipeline.siblings
    assert not any("could not" in words for words in purged.left)
    lock = (pipeline.root / "dvc.lock").read_text()
    assert "  train:" not in lock
    assert "  score:" not in lock
    assert "  split:" in lock
    assert "  other:" in lock
    put_twin_back(pipeline)
    for verb in ("checkout", "pull"):
        pipeline.do(verb, allow_missing=True, **({"run_cache": True} if verb == "pull" else {}))
        assert pipeline.back() == set(), verb
    ran = pipeline.ran()
    pipeline.do("reproduce")
    assert pipeline.ran()[len(ran) :] == ["model.bin", "score.bin"], "trained, not remembered; the siblings were not"
    assert pipeline.back() == set()
    assert pipeline.old_places() == []
    again = removal.check(before)
    assert again.verdict is Verdict.FAIL, "the erased shard is back, and that is seen"


def test_a_folder_whose_files_are_listed_beside_it_is_forgotten_too(pipeline: Pipeline) -> None:
    """As DVC writes it once a folder was pushed to a version-aware remote; the remote may be given up later."""
    removal = pipeline.removal
    lock, beside = pipeline.root / "dvc.lock", pipeline.root / "export.dvc"
    (pipeline.root / "export").mkdir()
    shutil.copy(pipeline.alice, pipeline.root / "export" / "alice.parquet")
    (pipeline.root / "export" / "note.txt").write_text("a retained sibling")
    pipeline.do("add", ["export"])
    (pipeline.root / "fit.py").write_text(FIT)
    shard = pipeline.alice.relative_to(pipeline.root).as_posix()
    with (pipeline.root / "dvc.yaml").open("a") as stages:
        stages.write(f"  fit:\n    cmd: {PYTHON} fit.py {shard}\n    deps: [fit.py, {shard}]\n    outs: [model]\n")
    pipeline.do("reproduce", ["fit"])
    old = md5_of(pipeline.root / "model" / "weights.bin")
    for path, out in ((lock, "model"), (lock, "parts"), (beside, "export")):
        list_files(path, out, pipeline.root / out)
    for store in (pipeline.root / ".dvc" / "cache", pipeline.root.parent / "store"):
        shutil.rmtree(store / "runs", ignore_errors=True)
        for listing in (store / "files").rglob("*.dir"):
            listing.unlink()
    before = removal.before()
    purge(removal.workspace, Target(**removal.targets))
    for md5 in (old, str(removal.alice.dvc)):
        assert [place for place in traces(pipeline.root, md5) if ".disgorge" not in place] == []
    assert removal.check(before).verdict is Verdict.PASS
    for folder in ("export", "parts"):
        shutil.rmtree(pipeline.root / folder)
    pipeline.do("checkout", ["export", "parts"], force=True)
    for folder in ("export", "parts"):
        assert [path.name for path in (pipeline.root / folder).iterdir()] == ["note.txt"]


def list_files(path: Path, out: str, folder: Path) -> None:
    """Let a lock file or ``.dvc`` file list an output's files beside it."""
    from dvc.utils.serialize import modify_yaml

    with modify_yaml(str(path)) as told:
        entries = (told, *(told.get("stages") or {}).values())
        item = next(item for entry in entries for item in entry.get("outs") or () if item["path"] == out)
        item["files"] = [
            {"relpath": each.name, "md5": md5_of(each), "size": each.stat().st_size}
            for each in sorted(folder.iterdir())
        ]
        for name in ("md5", "nfiles", "size"):
            item.pop(name, None)


def test_siblings_come_back_from_the_remote(pipeline: Pipeline) -> None:
    """Nothing retained is lost: with cache and workspace gone, the remote still has every sibling."""
    purge(pipeline.removal.workspace, Target(**pipeline.removal.targets))
    shutil.rmtree(pipeline.root / ".dvc" / "cache")
    targets = ["bob.model", "bob.score", "labels.txt", "parts"]
    for name in SIBLINGS - {"constant.txt"}:
        (pipeline.root / name).unlink()
    pipeline.do("pull", targets)
    for name in SIBLINGS - {"constant.txt"}:
        assert (pipeline.root / name).read_bytes() == pipeline.siblings[name], name
    assert not (pipeline.root / "parts" / "alice.parquet").exists()


def test_two_remotes_of_one_folder_are_cleared_once(pipeline: Pipeline) -> None:
    """What went by the name of the one is no failure by that of the other."""
    config = pipeline.root / ".dvc" / "config"
    config.write_text(config.read_text() + "['remote \"twin\"']\n    url = ../store\n")
    purged = purge(pipeline.removal.workspace, Target(**pipeline.removal.targets))
    assert [words for words in purged.left if "could not" in words] == []
    assert pipeline.old_places() == []


def test_a_cache_elsewhere_is_said_to_be_shared_and_its_links_are_not_said_to_be_left(pipeline: Pipeline) -> None:
    """Others may use it; what a link from here pointed at went with it."""
    elsewhere = pipeline.root.parent / "elsewhere"
    (pipeline.root / ".dvc" / "cache").rename(elsewhere)
    config = pipeline.root / ".dvc" / "config"
    config.write_text(config.read_text() + f"[cache]\n    dir = {elsewhere}\n    type = symlink\n")
    pipeline.do("checkout", relink=True, force=True)
    assert (pipeline.root / "model.bin").is_symlink()
    removal = pipeline.removal
    said = plan(removal.workspace, Target(**removal.targets)).records
    shared = "DVC cache lies outside the repository: other projects may rest on what goes there"
    assert shared in said
    purged = purge(removal.workspace, Target(**removal.targets))
    assert shared in purged.left
    assert [words for words in purged.left if "was a link out" in words] == []
    assert pipeline.back() == set()


@pytest.mark.parametrize("kept", [False, True])
def test_killed_half_way_it_ends_all_the_same(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """What stages made is remembered before it is deleted: without lock and runs the rest still goes."""
    removal = pipeline.removal
    before = removal.before()
    if kept:

        class Killed(BaseException):
            """Stands for a kill right after it was remembered."""

        def kill(*_: Any) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(DvcPlan, "carry_out", kill)
            with pytest.raises(Killed):
                purge(removal.workspace, Target(**removal.targets))
        (pipeline.root / "dvc.lock").unlink()
        for runs in (pipeline.root / ".dvc" / "cache" / "runs", pipeline.root / "store" / "runs"):
            shutil.rmtree(runs)
    purge(removal.workspace, Target(**removal.targets))
    purge(removal.workspace, Target(**removal.targets))
    assert pipeline.old_places() == []
    assert removal.check(before).verdict is Verdict.PASS


def test_an_old_output_put_back_in_a_store_is_found(pipeline: Pipeline) -> None:
    """The search knows it by the hash that the purge kept, though nothing in DVC names it any more."""
    removal = pipeline.removal
    before = removal.before()
    old = (pipeline.root / "model.bin").read_bytes()
    purge(removal.workspace, Target(**removal.targets))
    assert removal.check(before).verdict is Verdict.PASS
    md5 = pipeline.old["model.bin"]
    place = pipeline.root / "store" / "files" / "md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(old)
    assert removal.check(before).verdict is Verdict.FAIL


def test_copies_that_a_killed_dvc_left_go_and_one_that_is_being_made_stays(pipeline: Pipeline) -> None:
    """Under the names that DVC gives them: with the erased shard in one, and half of a retained file in another."""
    from dvc_objects.fs.utils import tmp_fname

    removal = pipeline.removal
    before = removal.before()
    cache, store = pipeline.root / ".dvc" / "cache" / "files" / "md5", pipeline.root / "store" / "files" / "md5"
    whole, half, growing = cache / "0c" / tmp_fname(), store / "0d" / tmp_fname(), store / "0e" / tmp_fname()
    for path, data in ((whole, pipeline.twin), (half, pipeline.siblings["labels.txt"][:5]), (growing, b"")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    assert set(plan(removal.workspace, Target(**removal.targets)).paths) >= {whole, half}
    ended = Event()
    writer = Thread(target=write_until, args=(growing, ended))
    writer.start()
    try:
        purged = purge(removal.workspace, Target(**removal.targets))
    finally:
        ended.set()
        writer.join()
    assert [path for path in (whole, half, growing) if path.exists()] == [growing]
    assert [words for words in purged.left if "still being written" in words and growing.name in words]
    growing.unlink()
    assert removal.check(before).verdict is Verdict.PASS


def write_until(path: Path, ended: Event) -> None:
    """Write to a file again and again, as a copy that is being made."""
    with path.open("ab") as file:
        while not ended.wait(0.1):
            file.write(b"x")
            file.flush()


def test_what_a_live_component_equals_stays(pipeline: Pipeline) -> None:
    """A stage may have made of erased data the very bytes that something live is."""
    removal = pipeline.removal
    workspace = removal.workspace
    live = workspace.objects.put((pipeline.root / "model.bin").read_bytes())
    from lineage.records import Component, plain

    workspace.ledger.append("component", {"component": plain(Component(live, "equal", "toy", ()))})
    purge(workspace, Target(**removal.targets))
    md5 = pipeline.old["model.bin"]
    assert (pipeline.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).is_file()
    assert (pipeline.root / "model.bin").is_file()
    assert (pipeline.root / "score.bin").is_file(), "of it alone the score was made"
