"""The control of confinement holds where jobs are confined, breaks where they are not, and leaves nothing behind."""

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import disgorge
from disgorge.audit.rules import audit
from disgorge.examination import confinement_control as module
from disgorge.examination.confinement_control import ConfinementControl, confinement_control
from disgorge.examination.hidden_item import OWED, SEEN_UNDER_LANDLOCK, clear_hidden, hidden
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.training.runners import box, local
from disgorge.training.runners.box import Box
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.inputs import Stage
from disgorge.training.sandbox.levels import Level, Reached, reached
from disgorge.training.sandbox.namespace import package_folders
from disgorge.training.sandbox.planted import ENTRY, look
from lineage.workspace import Workspace
from tests.disgorge.sandbox.jobs import LEVELS
from tests.in_process import InProcessRunner

CONFINED = [level for level in LEVELS if level is not Level.PROCESS]
ON_THE_MACHINE = ("temporary folder", "home folder", "cache folder", "working folder", "variable of this program")
"""Places that every machine has, beside those of a workspace."""


def at(level: Level, patch: pytest.MonkeyPatch) -> None:
    """Hold confinement to a level."""
    if level is not reached().level:
        for place in (local, module):
            patch.setattr(place, "reached", lambda: Reached(level))


def controlled(workspace: Workspace) -> ConfinementControl:
    """The control by processes as every command starts them."""
    with Workers(workspace, count=2) as runner:
        found = confinement_control(workspace, runner)
    assert found is not None
    return found


def files(*folders: Path) -> set[Path]:
    """Every file and link below these folders, what Python and bwrap cache aside."""
    return {path for folder in folders for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder of the test's own, so that what is left could be seen."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


@pytest.mark.parametrize("level", CONFINED)
def test_it_holds_where_jobs_are_confined(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, level: Level) -> None:
    at(level, monkeypatch)
    before = files(workspace.root, Path.cwd())
    found = controlled(workspace)
    assert found.control.held, found.control.words
    assert found.control.value == 0
    ways: Mapping[str, str] = found.detail["ways"]
    assert {ways[name] for name in (*OWED, *ON_THE_MACHINE)} == {"closed"}
    let_through = {name for name, outcome in ways.items() if outcome == "let through"}
    assert let_through <= (SEEN_UNDER_LANDLOCK if level is Level.LANDLOCK else set())
    assert ("target of a link" in let_through) == (level is Level.LANDLOCK)
    assert found.detail["level"] == level
    assert found.detail["input found"]
    assert files(workspace.root, Path.cwd()) == before
    assert "DISGORGE_CONTROL_ITEM" not in os.environ
    assert not list(workspace.home.glob("apart-*"))


def test_where_nothing_is_confined_there_is_no_control(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        at(Level.PROCESS, patch)
        with Workers(workspace) as runner:
            assert confinement_control(workspace, runner) is None
    assert confinement_control(workspace, InProcessRunner(workspace)) is None  # whatever else could be had here


def test_a_bare_process_that_claims_a_namespace_breaks_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the box is taken out: the same worker, the same inputs, in the world of this program."""

    def bare(self: Box, job: Sequence[str], _: Workspace, variables: Mapping[str, str], __: Any) -> Any:
        started, name, told, program = job
        told = json.dumps(json.loads(told) | {"inputs": str(self.stage.inputs)})
        return self._bare((started, name, told, program), variables)

    monkeypatch.setattr(Box, "_boxed", bare)
    for place in (local, module):
        monkeypatch.setattr(place, "reached", lambda: Reached(Level.NAMESPACE))
    found = controlled(workspace)
    ways = found.detail["ways"]
    assert not found.control.held
    assert {ways[name] for name in (*OWED, "target of a link", "times of files", "working folder")} == {"found"}
    assert found.control.value == sum(outcome == "found" for outcome in ways.values())
    assert found.detail["input found"]
    assert "it came by abstract socket" in found.control.words


UNCONFINED = """
import json, sys
from disgorge.training.runners import worker
worker.confine = lambda folder, **_: True
worker.main(json.loads(sys.argv[1]))
"""


@pytest.mark.skipif(Level.LANDLOCK not in LEVELS, reason="what is taken out was never there")
def test_landlock_that_does_nothing_breaks_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "worker_unconfined.py").write_text(UNCONFINED)
    path = os.pathsep.join([str(tmp_path / "plugins"), *box._search_path().values()])
    monkeypatch.setattr(box, "_search_path", lambda: {"PYTHONPATH": path})
    monkeypatch.setattr(box, "WORKER", "worker_unconfined")
    for place in (local, module):
        monkeypatch.setattr(place, "reached", lambda: Reached(Level.LANDLOCK))
    found = controlled(workspace)
    assert not found.control.held
    assert {found.detail["ways"][name] for name in (*OWED, "home folder")} == {"found"}
    assert found.detail["ways"]["target of a link"] == "let through"


@pytest.mark.skipif(Level.NAMESPACE not in LEVELS, reason="what is taken out was never there")
def test_a_box_without_its_filter_breaks_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Namespaces do not divide the keyring; where a container around refuses keyrings, there is nothing to break."""
    monkeypatch.setattr(box, "filter_program", lambda **_: struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000))
    found = controlled(workspace)
    outcome = found.detail["ways"].get("keyring of the session", "not tried")
    assert outcome in ("found", "not tried")
    assert found.control.held == (outcome == "not tried")


def test_a_folder_of_code_holds_no_item(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may read it, and so an honest confinement would be called broken."""
    for folder in (Path(disgorge.__file__).parent / "methods", package_folders()[0]):
        monkeypatch.chdir(folder)
        with hidden(workspace) as there:
            assert "working folder" not in there.ways
            assert not list(folder.glob(".disgorge-control*"))


def test_a_package_of_the_users_may_hold_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of local code a job sees what was stored, and nothing that lies beside it now."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path / "package")
    with hidden(workspace) as there:
        assert "working folder" in there.ways
    if CONFINED:
        assert controlled(workspace).control.held


@pytest.mark.skipif(not CONFINED, reason="no job is confined here")
def test_a_job_that_cannot_see_its_input_breaks_it(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It found nothing of what was hidden from it: what can read nothing at all finds nothing either."""
    monkeypatch.setattr(Stage, "furnish", lambda self, recipe, code: None)
    found = controlled(workspace)
    assert not found.control.held
    assert not found.detail["input found"]
    assert found.control.value == 0
    assert "Given the item as an input it must find it: it did not." in found.control.words


@pytest.mark.skipif(not CONFINED, reason="no job is confined here")
def test_an_item_that_was_not_where_it_had_to_be_breaks_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not there, no job finds; so each way is tried in this process too."""

    def nothing(kind: str, place: str) -> bytes:
        return b"" if place.endswith("confinement-control.txt") else look(kind, place)

    monkeypatch.setattr(module, "look", nothing)
    found = controlled(workspace)
    assert not found.control.held
    assert found.detail["ways"]["private file"] == "not tried"
    assert "it was not tried by private file" in found.control.words


def test_every_way_leads_to_the_item_where_nothing_is_closed(workspace: Workspace) -> None:
    with hidden(workspace) as there:
        found = {name: look(*way) for name, way in there.ways.items()}
        item = there.item
        assert all(item in data or item.hex().encode() in data for name, data in found.items() if name not in OWED)
        assert all(found[name] for name in OWED)
    later = {name: look(*way) for name, way in there.ways.items()}
    assert not [name for name, data in later.items() if data == found[name]]


KILLED = """
import os, signal, sys
from pathlib import Path
from disgorge.examination.hidden_item import hidden
from lineage.workspace import Workspace
with hidden(Workspace.open(Path(sys.argv[1]))) as there:
    print(*(place for kind, place in there.ways.values() if kind == "file"), sep="\\n", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(
    workspace: Workspace, tmp_path: Path, dvc_template: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Path]]:
    """Files that a control has left which was killed, in a workspace with every store there may be."""
    stores = (workspace.root / name for name in ("mlruns", "mlartifacts", "reports", "store", ".dvc/cache"))
    for folder in (tmp_path / "home", *stores):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    for file in (dvc_template / ".dvc").iterdir():
        if file.is_file():
            (workspace.root / ".dvc" / file.name).write_bytes(file.read_bytes())
    command = [sys.executable, "-c", KILLED, str(workspace.root)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    paths = [Path(line) for line in ran.stdout.split()]
    yield paths
    for path in paths:
        path.unlink(missing_ok=True)


def test_what_a_killed_control_left_harms_nothing_and_is_deleted(workspace: Workspace, killed: list[Path]) -> None:
    stores = {workspace.root / name for name in ("mlruns", "mlartifacts", "reports", ".dvc/cache")}
    assert stores | {Path(os.environ["HOME"])} <= {path.parent for path in killed}
    assert all(path.exists() for path in killed)
    traces = search(workspace, Target(shards=frozenset({"0" * 64}), items=frozenset({"1" * 64})))
    assert (traces.found, traces.needs_a_person, traces.unreachable) == ((), (), ())
    assert not [path for path in traces.unreadable if path in killed]
    assert not audit(workspace)
    clear_hidden(workspace)
    assert not [path for path in killed if path.exists()]
    assert not list(workspace.home.glob("apart-*"))


def test_a_note_that_is_damaged_stops_nothing(workspace: Workspace) -> None:
    note = workspace.private.folder / "confinement-control.txt"
    for text in ("", "not an item", "00" * 7):
        note.write_text(text)
        clear_hidden(workspace)
        assert not note.exists()


def test_the_job_is_no_registered_method() -> None:
    """Nobody can train with it by name, and no law is tried on it."""
    from disgorge.method import methods

    assert ENTRY.partition(":")[0].rpartition(".")[2] not in {type(each).__module__ for each in methods().values()}
    assert "confinement-control" not in methods()
