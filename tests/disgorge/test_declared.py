"""Others' methods: what they declare and lay out is asked of processes, and none of their code is loaded here."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.rules import audit
from disgorge.declaration import declaration_of
from disgorge.errors import BadModel, ExecutionFailed, UnknownMethod
from disgorge.layout import layout_of
from disgorge.method import method_entries, own_methods
from disgorge.plan.plan import Action
from disgorge.training.code import distributions
from disgorge.training.make import make
from disgorge.training.runners import declared as asking
from disgorge.training.runners.box import Box
from disgorge.training.runners.declared import declared, declared_methods, maker_of
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.installed import view_of
from disgorge.training.sandbox.namespace import package_folders
from lineage.records import Shard, plain
from lineage.workspace import Workspace
from tests.tier import tally
from tests.toys import granted_plan, live_shards, person, populate, toy_of, write_rows

ROOT = Path(__file__).parents[2]
NEWCOMER = """
from averages import Averages

class Newcomer(Averages):
    pass

METHOD = Newcomer(name="newcomer", version="1")
"""


@pytest.fixture
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Box]]:
    """The processes that are asked from now on; nothing was asked before, and what is said is kept in a folder here.

    Of the methods in tests/plugins there is one.
    """
    started: list[Box] = []

    def start(*given: Any, **more: Any) -> Box:
        started.append(Box(*given, **more))
        return started[-1]

    monkeypatch.setattr(asking, "Box", start)
    monkeypatch.setattr(asking, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(asking, "method_entries", lambda: [each for each in method_entries() if each.name != "folders"])
    forget(monkeypatch)
    yield started
    monkeypatch.undo()
    look_again()


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process forget what was said, as another command does not know it."""
    for name in ("_said", "_failed", "_layouts"):
        monkeypatch.setattr(asking, name, {})


def look_again() -> None:
    """Have this process find out what is installed as if it had just started."""
    for cached in (method_entries, package_folders, view_of, distributions._by_top, distributions._described):
        cached.cache_clear()


Bring = Callable[..., Path]


@pytest.fixture
def bring(tmp_path: Path, boxes: list[Box], monkeypatch: pytest.MonkeyPatch) -> Bring:
    """Put a method of others there, as local code or as an installed distribution; return the file it is in."""

    def written(code: str, *, name: str = "newcomer", installed: bool = False) -> Path:
        folder = tmp_path / ("site-packages" if installed else "project")
        information = folder / f"{name}-1.0.dist-info"
        information.mkdir(parents=True, exist_ok=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[disgorge.methods]\n{name} = {name}:METHOD\n")
        file = folder / f"{name}.py"
        edited = file.stat().st_mtime + 2 if file.exists() else 1  # bytecode tells edits by the second
        file.write_text(code)
        if installed:
            shutil.copy(ROOT / "tests" / "plugins" / "averages.py", folder / f"{name}_averages.py")
            file.write_text(code.replace("from averages", f"from {name}_averages"))
            digests = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in folder.glob(f"{name}*.py")}
            rows = {path: base64.urlsafe_b64encode(each).decode()[:-1] for path, each in digests.items()}
            (information / "RECORD").write_text("".join(f"{path},sha256={rows[path]},\n" for path in sorted(rows)))
        os.utime(file, (edited, edited))
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        look_again()
        return file

    return written


def test_what_is_declared_is_what_the_method_has(boxes: list[Box]) -> None:
    from averages import METHOD

    known, honest = declared("averages"), toy_of("averages", 1)
    assert declaration_of(known) == declaration_of(METHOD)
    assert known.entry == "averages:METHOD"
    assert known.code is not None
    shards = {name: shard_of(number, name) for number, name in enumerate(honest.items, start=1)}
    assert layout_of(known, honest.spec, shards) == layout_of(METHOD, honest.spec, shards)
    assert len(boxes) == 2
    assert layout_of(known, honest.spec, shards)
    assert len(boxes) == 2, "a layout is asked once"
    gone = {name: shard for name, shard in shards.items() if name != "shard-2"}
    assert layout_of(known, honest.spec, gone) == layout_of(METHOD, honest.spec, gone)
    assert len(boxes) == 4, "with the names of what is gone, and without"


def shard_of(number: int, name: str) -> Any:
    """A shard as it is recorded."""
    return Shard(f"{number:064x}", name, "a form", "MIT", "consent", 12, fields=("label", "x"))


@pytest.mark.parametrize("installed", [False, True], ids=["local", "installed"])
def test_a_version_is_asked_once(
    installed: bool, bring: Bring, boxes: list[Box], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    declared("averages")
    count = len(boxes)

    def asked() -> int:
        """How many more processes were asked by the next command."""
        nonlocal count
        forget(monkeypatch)
        before, found = count, declared("newcomer")
        count = len(boxes)
        assert (found.entry, found.code is None) == ("newcomer:METHOD", installed)
        return count - before

    bring(NEWCOMER, installed=installed)
    assert asked() == 1
    assert asked() == 0
    for kept in (tmp_path / "cache" / "methods").glob("*.json"):
        kept.write_bytes(kept.read_bytes()[:-9])
    assert asked() == 2, "what cannot be read is asked again, of both"
    assert asked() == 0
    bring(NEWCOMER.replace('"1"', '"2"'), installed=installed)
    assert asked() == 1
    assert asked() == 0
    assert declared("newcomer").version == "2"


HOLDS = "from averages import METHOD as HONEST\nfrom dataclasses import replace\n"
BROKEN = {
    "is not there": ("raise ImportError('no module named elsewhere')", "no module named elsewhere"),
    "is no Python": ("METHOD = (", "was never closed"),
    "names nothing": ("", "no attribute 'METHOD'"),
    "ends the process": ("import os; os._exit(0)", "its process ended without an answer"),
    "leaves": ("raise SystemExit(0)", "its process ended without an answer"),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process ended without an answer"),
    "hangs": ("import time; time.sleep(600)", "it did not answer within 3 seconds"),
    "forks and stays": ("import os, time\nif os.fork() == 0: time.sleep(600)\nos._exit(1)", "ended without an answer"),
    "prints rubbish": (
        "import os\nfor fd in range(3, 9):\n  try: os.write(fd, b'{}\\n{}\\n[')\n  except OSError: pass\nos._exit(1)",
        "its process ended without an answer",
    ),
    "prints megabytes": ("print('x' * (8 << 20)); os = __import__('os'); os._exit(1)", "ended without an answer"),
    "is no method": ("METHOD = 3", "it declares no name, no version"),
    "has a number for a version": (f"{HOLDS}METHOD = replace(HONEST, version=1)", "version: Input should be a valid"),
    "has a name of many lines": (f"{HOLDS}METHOD = replace(HONEST, name='a\\nb')", "name: must be a line"),
    "has an endless name": (f"{HOLDS}METHOD = replace(HONEST, name='a' * 10**6)", "name: must be a line"),
    "offers what there is not": (
        f"{HOLDS}METHOD = replace(HONEST, name='b', offers=(replace(HONEST.offers[0], remedy='magic'),))",
        "offers.0.remedy: Input should be",
    ),
    "names no modules": (f"{HOLDS}METHOD = replace(HONEST, libraries=('os; rm',))", "must be names of modules"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_method_that_cannot_be_asked_is_one_line_and_stops_no_other(
    kind: str, bring: Bring, boxes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, words = BROKEN[kind]
    monkeypatch.setattr(asking, "_SECONDS", 3.0 if kind == "hangs" else 60.0)
    bring(code, name="broken")
    assert {*declared_methods()} == {*own_methods(), "averages"}
    assert declared("averages").version == "1"
    with pytest.raises(BadModel, match=r"^no method 'broken' .*; method broken:METHOD cannot be used: .*") as told:
        declared("broken")
    assert words in str(told.value)
    assert len(str(told.value).splitlines()) == 1
    assert len(boxes) == 2, "asked once in a command"
    assert not list((asking.cache_folder() / "methods").glob("tmp*")), "nothing half-written"


def test_a_name_that_nobody_has_is_unknown(boxes: list[Box]) -> None:
    with pytest.raises(UnknownMethod, match="no method 'nobody' is registered; there are: compartmental_diffusion, "):
        declared("nobody")


def test_what_lays_out_nonsense_is_told(bring: Bring) -> None:
    code = NEWCOMER.replace("\n\nMETHOD", "\n\n    def layout(self, spec, shards):\n        {body}\n\nMETHOD")
    spec = toy_of("averages", 1).spec
    for body, error, words in (
        ("return 3", ExecutionFailed, "method newcomer:METHOD did not lay toy-averages out: its process ended"),
        ("return [Averages]", ExecutionFailed, "method newcomer:METHOD did not lay toy-averages out"),
        ("raise KeyError('beta')", ExecutionFailed, "KeyError: 'beta'"),
        ("from disgorge.errors import BadModel; raise BadModel('give it a beta')", BadModel, "^give it a beta$"),
    ):
        bring(code.format(body=body))
        with pytest.raises(error, match=words):
            layout_of(declared("newcomer"), spec, {})


@pytest.mark.parametrize("installed", [False, True], ids=["local", "installed"])
def test_a_removal_asks_the_code_that_made_the_parts(installed: bool, bring: Bring, tmp_path: Path) -> None:
    """Of local code that is the stored one. Where it cannot be asked, nothing is planned: not that the release goes."""
    toy = toy_of("averages", 3)
    bring(NEWCOMER, installed=installed)
    spec = replace(toy.spec, method="newcomer")
    workspace = Workspace.init(tmp_path / "workspace")
    populate(workspace, toy, tmp_path / "sources")
    with Workers(workspace, count=1) as workers:
        made = make(workspace, spec, workers, method=declared("newcomer"), shards=live_shards(workspace))
    workspace.ledger.append("composition", {"composition": plain(made.composition)})
    workspace.ledger.append(
        "release", {"name": spec.release, "alias": spec.alias, "composition": made.composition.digest}
    )
    bring("raise RuntimeError('edited since')", installed=installed)
    if installed:
        with pytest.raises(BadModel, match="RuntimeError: edited since"):
            granted_plan(workspace, [person(workspace, "shard-1", 0)])
    else:
        assert maker_of(workspace, made.composition).version == "1"
        plan = granted_plan(workspace, [person(workspace, "shard-1", 0)])
        assert [step.subject for step in plan.steps if step.action is Action.RETRAIN] == ["toy-averages/mean/shard-1"]
    assert {each.id for each in audit(workspace)} <= {"DSG022"}, "that alone, where this machine confines too little"
    assert "newcomer" not in sys.modules


PATCHING = """
import json
import sys

import disgorge
import disgorge.method
import disgorge.plan.planner
from averages import Averages

disgorge.patched = json.patched = True
disgorge.plan.planner.make_plan = disgorge.method.offers_for = None


class Patching(Averages):
    pass


METHOD = Patching(name="newcomer")
"""
PASS = """
import json
import sys
from pathlib import Path

from tests.disgorge.cli.conftest import fine, planned

fine("init")
for name in json.loads(sys.argv[1]):
    terms = ("--core", "--basis", "public domain") if name == "core" else ("--basis", "consent")
    fine("shard", "add", f"{name}.npz", "--name", name, "--key", "key", "--subject", "subject", "--license", "MIT",
         "--no-check", "--no-dvc", *terms)
fine("train model.yaml")
digest = planned("R-1", "--subject", "shard-2-person-1")
fine("policy explain R-1")
fine(f"request approve R-1 {digest} --by ann")
told = fine("request execute R-1 --references 0").out
assert "certified" in told, told
fine("release predict toy shard-1")
fine("audit")

def traces():
    import disgorge.plan.planner
    there = [name for name in ("newcomer", "averages") if name in sys.modules]
    patched = [hasattr(disgorge, "patched"), hasattr(json, "patched"), disgorge.plan.planner.make_plan is None]
    return [there, patched]

found = traces()
from disgorge.method import method_named
method_named("newcomer")
print(json.dumps([found, traces()]))
"""


def test_a_plug_in_that_patches_its_caller_patches_nothing(tmp_path: Path, database: Path) -> None:
    """Every command in one process, which loads none of its code; the control loads it, and is patched."""
    project, place = tmp_path / "project", tmp_path / "place"
    information = project / "newcomer-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: newcomer\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[disgorge.methods]\nnewcomer = newcomer:METHOD\n")
    (project / "newcomer.py").write_text(PATCHING)
    place.mkdir()
    toy = toy_of("averages", 3)
    for name, items in toy.items.items():
        write_rows(place / f"{name}.npz", name, items, range(len(items)))
    model = {"release": "toy", "method": "newcomer", "core": ["core"], "shards": list(toy.spec.shards[:3])}
    (place / "model.yaml").write_text(json.dumps(model | {"evaluate": ["shard-4"]}))
    shutil.copy(database, place / "mlflow.db")
    paths = os.pathsep.join(map(str, (project, ROOT / "tests" / "plugins", ROOT)))
    ran = subprocess.run(
        [sys.executable, "-P", "-c", PASS, json.dumps(list(toy.items))],
        cwd=place, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found, control = json.loads(ran.stdout)
    tally("liars", "a plug-in that patches its caller", where="planning", caught=found == [[], [False] * 3])
    assert found == [[], [False] * 3]
    assert control == [["newcomer", "averages"], [True] * 3]
