"""Who asked, whose data it was, which items went: none of it is anywhere but in ``private/``, and there it is closed.

Looks into every file of a workspace after a whole pass with MLflow, DVC and Great Expectations, run by somebody whose
umask closes nothing: as bytes, and as what readers of each format would see. The controls show that the search finds.
"""

import base64
import json
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from disgorge.report.bundle import verify_bundle
from disgorge.request.case import case_of
from disgorge.request.particulars import erase_particulars
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.alone import whole_pass
from tests.crash_harness.nursery import the_nursery
from tests.crash_harness.removals import removal
from tests.crash_harness.whole_pass import APPROVER, CONTACT, NAME, NOTE, OTHERS, REQUEST


@pytest.fixture(scope="module")
def workspace_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which somebody's removal was carried out."""
    folder, ran = whole_pass(tmp_path_factory.getbasetemp())
    assert ran.code == 0, ran.said
    return folder / "workspace"


@pytest.fixture(scope="module")
def forgotten(workspace_folder: Path) -> dict[str, Any]:
    """What was to be forgotten, as it was known before."""
    known: dict[str, Any] = json.loads((workspace_folder.parent / "forgotten.json").read_text())
    return known


def public(workspace_folder: Path) -> list[Path]:
    """Every file of a workspace that is not private."""
    private = workspace_folder / ".disgorge" / "private"
    return sorted(path for path in workspace_folder.rglob("*") if path.is_file() and private not in path.parents)


def seen_in(path: Path) -> bytes:
    """What is in a file: its bytes, and what its format hides in them, in lower case."""
    data = path.read_bytes()
    seen = [data]
    if data.startswith(b"PAR1"):
        seen.append(str(pq.read_table(path).to_pydict()).encode())
    elif data.startswith(b"SQLite format 3"):
        with sqlite3.connect(path) as connection:
            seen.append("\n".join(connection.iterdump()).encode())
    elif path.name == "statement.json":
        seen.append(base64.b64decode(json.loads(data)["payload"]))
    return b"\n".join(seen).lower()


def found(paths: Iterable[Path], needles: Iterable[str]) -> dict[str, list[str]]:
    """Which of the needles are in which files: as text, and a digest also as the bytes it stands for."""
    forms = {needle: [needle.lower().encode()] for needle in needles}
    for needle in forms:
        if len(needle) == 64:
            forms[needle].append(bytes.fromhex(needle))
    hits = {path.name: seen_in(path) for path in paths}
    return {
        needle: names
        for needle, written in forms.items()
        if (names := [name for name, seen in hits.items() if any(form in seen for form in written)])
    }


def test_who_asked_who_approved_who_else_is_there_and_which_items_went_is_nowhere(
    workspace_folder: Path, forgotten: dict[str, Any]
) -> None:
    assert len(forgotten["items"]) == 4
    asked, others = [NAME, NAME.split()[1], CONTACT, NOTE, "QX-77"], [APPROVER, APPROVER.split()[1], *OTHERS]
    went = [*forgotten["items"], *forgotten["keys"], "quillfeather-scan"]
    assert not found(public(workspace_folder), [*asked, *others, *went])


def test_names_are_in_no_files_name(workspace_folder: Path, forgotten: dict[str, Any]) -> None:
    names = "\n".join(str(path.relative_to(workspace_folder)) for path in workspace_folder.rglob("*")).lower()
    assert not [word for word in (*forgotten["items"], *NAME.lower().split(), "penny") if word in names]


def test_the_search_finds_what_is_there(workspace_folder: Path) -> None:
    """The control: particulars where they belong, and retained items in every format there is."""
    workspace = Workspace.open(workspace_folder)
    private = [path for path in (workspace.home / "private").rglob("*") if path.is_file()]
    assert found(private, [NAME, CONTACT, NOTE]).keys() == {NAME, CONTACT, NOTE}
    with Catalog.of(workspace) as catalog:
        shard = catalog.shard("shard-2")
        (serving,) = catalog.releases()
    kept = str(pq.read_table(workspace.manifest_path(shard.digest)).column("digest")[0])
    places = found(public(workspace_folder), [kept, "shard-2-1", serving.composition])
    assert {f"{shard.digest}.parquet"} < set(places[kept])
    assert {"ledger.jsonl", "mlflow.db", "statement.json", "report.html"} <= set(places[serving.composition])


def test_private_is_closed_to_others(workspace_folder: Path) -> None:
    private = workspace_folder / ".disgorge" / "private"
    inside = [private, *private.rglob("*")]
    assert {path.name for path in inside} > {"pseudonym.key", "withdrawn.key", "withdrawn.txt", "signing.pem"}
    for path in inside:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_private_is_kept_from_git(workspace_folder: Path) -> None:
    for path in (workspace_folder / ".disgorge" / "private").rglob("*"):
        assert subprocess.run(["git", "check-ignore", "-q", path], cwd=workspace_folder, check=False).returncode == 0, (
            path
        )
    added = subprocess.run(["git", "add", "-A", "-n"], cwd=workspace_folder, capture_output=True, text=True, check=True)
    assert ".disgorge/ledger.jsonl" in added.stdout
    assert "private" not in added.stdout
    names = {line.split("'")[1] for line in added.stdout.splitlines()}
    inside = {f".disgorge/{name}" for name in (".gitignore", "config.toml", "head.json", "ledger.jsonl", "public.pem")}
    assert {name for name in names if name.startswith((".disgorge", "reports", "ml"))} == inside
    assert not [name for name in names if name.endswith((".parquet", ".safetensors", ".db", ".zip"))], names


def test_what_is_withdrawn_is_remembered_by_keyed_marks_only(workspace_folder: Path, forgotten: dict[str, Any]) -> None:
    workspace = Workspace.open(workspace_folder)
    assert all(workspace.private.is_withdrawn(item) for item in forgotten["items"])
    assert not found([path for path in (workspace.home / "private").rglob("*") if path.is_file()], forgotten["items"])
    hashes = [sha256(item.encode()).hexdigest() for item in forgotten["items"]]
    assert not set(hashes) & set(workspace.private.marks_file.read_text().split())


def test_particulars_can_be_erased_and_the_chain_does_not_notice(workspace_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(workspace_folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".git", ".dvc")))
    workspace = Workspace.open(copy)
    requests = workspace.home / "private" / "requests"
    (file,) = requests.iterdir()
    facts, recorded = workspace.ledger.verify(), case_of(workspace, REQUEST).request.particulars
    assert sha256(file.read_bytes()).hexdigest() == recorded
    told = {key: value for key, value in json.loads(file.read_bytes()).items() if key != "salt"}
    assert (
        sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest() != recorded
    )  # no guess can be checked
    assert erase_particulars(workspace, REQUEST)
    assert not list(requests.iterdir())
    assert not found([path for path in copy.rglob("*") if path.is_file()], [NAME, CONTACT, NOTE])
    assert not erase_particulars(workspace, REQUEST)
    assert (workspace.ledger.verify(), case_of(workspace, REQUEST).closed) == (facts, "done")
    key = (workspace.home / "public.pem").read_bytes()
    assert verify_bundle(copy / "reports" / REQUEST, public_key=key).verdict == "certified"


def test_an_execution_cut_short_names_no_item_outside_private() -> None:
    """What the steps still need to know is in ``private/executions``; the ledger, objects and reports never have it."""
    wanted = removal("retrain")
    copy = wanted.copy("cut-short")
    assert the_nursery().run("carry", copy, request="R-1", die_at_step=wanted.step("purge"), umask=0).killed
    workspace = Workspace.open(copy)
    places = aftermath.traces(workspace, wanted.forgotten)
    old = {workspace.content_path(change.before.digest) for change in wanted.plan.shard_changes}
    old |= {workspace.manifest_path(change.before.digest) for change in wanted.plan.shard_changes}
    (waiting,) = (workspace.home / "private" / "executions").iterdir()
    allowed = {path.relative_to(workspace.root).as_posix() for path in (*old, waiting)}
    assert set(places) == allowed
    assert not stat.S_IMODE(waiting.stat().st_mode) & 0o077
    wanted.finish(copy)


def test_what_a_killed_filing_left_half_written_is_erased(tmp_path: Path) -> None:
    """A name in a file that was never renamed into place is a name all the same."""
    workspace = Workspace.init(tmp_path / "killed")
    folder = workspace.home / "private" / "requests"
    folder.mkdir()
    (folder / ".aside-0123456789abcdef").write_text('{"name": "Ada Example"}')
    assert not erase_particulars(workspace, "R-1")
    assert not list(folder.iterdir())
