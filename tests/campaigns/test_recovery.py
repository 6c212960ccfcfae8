"""docs/RECOVERY.md, followed row by row: the damage is done, what it says is seen is seen, what it says helps, helps.

Every row of its table has its damage in :data:`DAMAGES`, and the other way round. Commands in a row's last column are
run as they stand there; what has to be put back comes from a copy made before the damage.
"""

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from disgorge.plan.plan import Action
from disgorge.request.case import case_of
from disgorge.statement.signing import new_key, public_pem
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace
from tests.crash_harness.nursery import ROOT, Ended, the_nursery
from tests.crash_harness.removals import Removal, removal
from tests.tier import FULL, tally
from tests.toys import live_shards, rewrite

Break = Callable[[Path], None]
VERIFY, AUDIT = ("ledger", "verify"), ("audit",)
EXECUTE = ("request", "execute", "R-1", "--references", "0")
CHECK = ("verify", "reports/R-1", "--key", ".disgorge/public.pem")
FILE = (
    "request", "file", "--standing", "contributor", "--ground", "contract", "--regime", "contract", "--subject", "x",
    "--unmatched",
)  # fmt: skip
WITHOUT_MLFLOW = "import sys; sys.modules['mlflow'] = None\nfrom disgorge.cli import main; main()"


@dataclass(frozen=True)
class Damage:
    """What is done to a workspace, which command meets it and how that ends, and which files a copy has to give back.

    ``after`` says that it happens to a workspace whose removal is finished; ``lent`` are files of such a one put in
    first; ``deletes`` are those the row says may be deleted; ``first`` brings the workspace to where it breaks.
    """

    do: Break
    verb: tuple[str, ...]
    code: int
    back: tuple[str, ...] = ()
    after: bool = False
    lent: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    first: Break | None = None


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Break:
    """Change the lines of the ledger."""

    def do(workspace_folder: Path) -> None:
        file = workspace_folder / ".disgorge" / "ledger.jsonl"
        file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))

    return do


def written(name: str, data: bytes) -> Break:
    """Overwrite, or make, a file of ``.disgorge``."""

    def do(workspace_folder: Path) -> None:
        (workspace_folder / ".disgorge" / name).write_bytes(data)

    return do


def gone(name: str) -> Break:
    """Delete a file of ``.disgorge``."""
    return lambda workspace_folder: (workspace_folder / ".disgorge" / name).unlink()


def weights_swapped(workspace_folder: Path) -> None:
    """Give a retained component the bytes of another valid one."""
    workspace = Workspace.open(workspace_folder)
    with Catalog.of(workspace) as catalog:
        one, other = (catalog.component(f"toy-averages/mean/shard-{n}").digest for n in (1, 2))
    shutil.copyfile(workspace.objects.path(other), workspace.objects.path(one))


def manifest_swapped(workspace_folder: Path) -> None:
    """Give a shard the manifest of another."""
    workspace, found = Workspace.open(workspace_folder), live_shards(Workspace.open(workspace_folder))
    shutil.copyfile(workspace.manifest_path(found["shard-2"].digest), workspace.manifest_path(found["shard-1"].digest))


def items_from_before(workspace_folder: Path) -> None:
    """Bring back, under the name of the shard after a removal, the content from before it."""
    workspace, before = Workspace.open(workspace_folder), Workspace.open(retrain().folder / "approved")
    old = before.content_path(live_shards(before)["shard-3"].digest)
    shutil.copyfile(old, workspace.content_path(live_shards(workspace)["shard-3"].digest))


def cut_short(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def at_weights(change: Break) -> Break:
    """Do it to the file of a retained component."""

    def do(workspace_folder: Path) -> None:
        workspace = Workspace.open(workspace_folder)
        with Catalog.of(workspace) as catalog:
            change(workspace.objects.path(catalog.component("toy-averages/mean/shard-1").digest))

    return do


def at_record(kind: str) -> Break:
    """Delete the record that the last fact naming one of this kind names."""

    def do(workspace_folder: Path) -> None:
        workspace = Workspace.open(workspace_folder)
        named = [fact.body[kind] for fact in workspace.ledger.facts() if isinstance(fact.body.get(kind), str)]
        workspace.objects.path(named[-1]).unlink()

    return do


def at_shard(change: Break, where: Callable[[Workspace, str], Path]) -> Break:
    """Do it to a file of a shard."""

    def do(workspace_folder: Path) -> None:
        workspace = Workspace.open(workspace_folder)
        change(where(workspace, live_shards(workspace)["shard-1"].digest))

    return do


def at_private(change: Break, folder: str) -> Break:
    """Do it to the one file in a folder of ``private``; there is one, or this would prove nothing."""

    def do(workspace_folder: Path) -> None:
        (path,) = (workspace_folder / ".disgorge" / "private" / folder).iterdir()
        change(path)

    return do


@cache
def killed_before_purge() -> Path:
    """Return a workspace whose items are gone, whose release has moved, and whose purge has not begun."""
    workspace_folder = retrain().copy("half-done")
    purge = next(step.id for step in retrain().plan.steps if step.action is Action.PURGE)
    assert the_nursery().run("carry", workspace_folder, request="R-1", die_at_step=purge).killed
    return workspace_folder


def half_done(workspace_folder: Path) -> None:
    """Go on from there."""
    shutil.rmtree(workspace_folder)
    shutil.copytree(killed_before_purge(), workspace_folder)


def asked_by_key(workspace_folder: Path) -> None:
    """File another request, which selects by what only the private folder knows."""
    arguments = [*FILE[:-3], "--id", "R-2", "--key", "shard-1-1"]
    ended = run(workspace_folder, arguments)
    assert ended.code == 0, ended


def clock_back(workspace_folder: Path) -> None:
    """Append facts while the clock is years late."""
    workspace = Workspace.open(workspace_folder, clock=lambda: dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    for on in (True, False):
        workspace.ledger.append("hold", {"request": "R-1", "on": on, "reason": "other"})


def locks_left(workspace_folder: Path) -> None:
    """Leave lock files, as processes that were killed do."""
    for name in ("ledger.lock", "filing.lock", "execute.lock", "shards.lock"):
        (workspace_folder / ".disgorge" / name).write_text("4711")


def report_edited(workspace_folder: Path) -> None:
    """Change the page of a report."""
    page = workspace_folder / "reports" / "R-1" / "report.html"
    page.write_bytes(page.read_bytes() + b" ")


def report_gone(workspace_folder: Path) -> None:
    """Delete a report, and its zip."""
    shutil.rmtree(workspace_folder / "reports")


def ledger_rewritten(workspace_folder: Path) -> None:
    """Say of the shards that they had another license, and chain all facts again."""
    rewrite(Workspace.open(workspace_folder), lambda fact: json.loads(json.dumps(fact.body).replace('"MIT"', '"CC0"')))


TRUTH = (".disgorge/ledger.jsonl", ".disgorge/head.json")
SIGNING, PUBLIC = ".disgorge/private/signing.pem", ".disgorge/public.pem"

DAMAGES = {
    "last line torn": Damage(lines(lambda found: [*found, found[-1][:77]]), VERIFY, 1),
    "last fact lost": Damage(lines(lambda found: found[:-1]), VERIFY, 1, after=True),
    "ledger cut": Damage(lines(lambda found: found[:-2]), VERIFY, 1, TRUTH),
    "fact edited": Damage(
        lines(lambda found: [*found[:3], found[3].replace(b"MIT", b"TIM"), *found[4:]]), VERIFY, 1, TRUTH
    ),
    "facts reordered": Damage(
        lines(lambda found: [*found[:3], found[4], found[3], *found[5:]]), VERIFY, 1, TRUTH
    ),
    "fact removed": Damage(lines(lambda found: found[:3] + found[4:]), VERIFY, 1, TRUTH),
    "fact duplicated": Damage(lines(lambda found: found[:4] + found[3:]), VERIFY, 1, TRUTH),
    "head missing": Damage(gone("head.json"), VERIFY, 1, TRUTH),
    "clock went back": Damage(clock_back, VERIFY, 0),
    "lock left over": Damage(locks_left, VERIFY, 0),
    "settings unreadable": Damage(written("config.toml", b"lock_seconds = = \xff"), VERIFY, 2,
                                  deletes=(".disgorge/config.toml",)),
    "weights swapped": Damage(weights_swapped, AUDIT, 1, ("objects",)),
    "weights missing": Damage(at_weights(Path.unlink), AUDIT, 1, ("objects",)),
    "weights cut short": Damage(at_weights(cut_short), AUDIT, 1, ("objects",)),
    "plan missing": Damage(at_record("plan"), AUDIT, 1, ("objects",)),
    "impact missing": Damage(at_record("impact"), AUDIT, 1, ("objects",)),
    "examination missing": Damage(at_record("examination"), AUDIT, 1, ("objects",), first=half_done),
    "manifest missing": Damage(at_shard(Path.unlink, Workspace.manifest_path), AUDIT, 1, ("manifests",)),
    "manifest cut short": Damage(at_shard(cut_short, Workspace.manifest_path), AUDIT, 1, ("manifests",)),
    "items missing": Damage(at_shard(Path.unlink, Workspace.content_path), AUDIT, 1, ("shards",)),
    "items cut short": Damage(at_shard(cut_short, Workspace.content_path), AUDIT, 1, ("shards",)),
    "manifest swapped": Damage(manifest_swapped, AUDIT, 1, ("manifests",)),
    "items replaced by older ones": Damage(items_from_before, AUDIT, 1, ("shards",), after=True),
    "signing key missing": Damage(gone("private/signing.pem"), EXECUTE, 1, (SIGNING,), lent=(SIGNING, PUBLIC)),
    "public key swapped": Damage(written("public.pem", public_pem(new_key())), CHECK, 1, (PUBLIC,), after=True),
    "public key not its own": Damage(
        written("public.pem", public_pem(new_key())), EXECUTE, 1, deletes=(PUBLIC,), lent=(SIGNING, PUBLIC)
    ),
    "report edited": Damage(report_edited, AUDIT, 1, after=True),
    "report missing": Damage(report_gone, AUDIT, 1, after=True),
    "ledger rewritten": Damage(ledger_rewritten, AUDIT, 1, TRUTH, after=True),
    "pseudonym key missing": Damage(
        gone("private/pseudonym.key"), FILE, 3, (".disgorge/private/pseudonym.key",)
    ),
    "pseudonym key damaged": Damage(
        written("private/pseudonym.key", b"no key"), AUDIT, 1, (".disgorge/private/pseudonym.key",)
    ),
    "what was asked for damaged": Damage(
        at_private(cut_short, "requests"), ("request", "impact", "R-2"), 2, ("private",), after=True,
        first=asked_by_key,
    ),
    "list of what goes missing": Damage(
        at_private(Path.unlink, "executions"), AUDIT, 1, ("private",), first=half_done
    ),
    "list of what goes damaged": Damage(
        at_private(cut_short, "executions"), AUDIT, 1, ("private",), first=half_done
    ),
    "what DVC kept damaged": Damage(
        written("private/dvc.json", b"garbage"), AUDIT, 1, deletes=(".disgorge/private/dvc.json",)
    ),
}  # fmt: skip
MOUNTED = {"folder read-only", "disk full"}
"""Rows whose damage is a mount; they have tests of their own."""
ALSO_MET_BY = (AUDIT, EXECUTE, ("request", "list"))
"""What must meet a broken chain as well."""


@cache
def retrain() -> Removal:
    """The removal that is interrupted, or done, in a workspace that breaks."""
    return removal("retrain")


def rows() -> dict[str, tuple[str, str]]:
    """Return, by what happened, what docs/RECOVERY.md says is seen and what to do."""
    found = {}
    for line in (ROOT / "docs" / "RECOVERY.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "what happened":
            found[cells[0]] = (cells[1].strip("`"), cells[3])
    return found


def commands(words: str, copy: Path) -> list[list[str]]:
    """Return the commands in what to do, their placeholders filled in."""
    plan = case_of(Workspace.open(copy), "R-1").plan if "DIGEST" in words else ""
    filled = words.replace("COPY", str(copy)).replace("REQUEST", "R-1").replace("DIGEST", plan or "")
    return [found.split()[1:] for found in re.findall(r"`(disgorge [^`]*)`", filled)]


def said(ended: Ended) -> str:
    """Return all a command printed; no traceback, and an error is one line."""
    assert "Traceback" not in ended.out + ended.err
    if ended.err:
        assert len(ended.err.splitlines()) == 1, ended
    return ended.out + ended.err


def run(workspace_folder: Path, arguments: tuple[str, ...] | list[str]) -> Ended:
    """Type a command in the workspace."""
    return the_nursery().run("cli", workspace_folder, arguments=list(arguments), without=["mlflow"])


def put_back(workspace_folder: Path, copy: Path, names: tuple[str, ...]) -> None:
    """Take files from the copy; a bare name means whatever lies in that folder of the store."""
    for name in names:
        folder = f".disgorge/{name}" if name in ("objects", "manifests", "private") else name
        if (copy / folder).is_dir():
            shutil.copytree(copy / folder, workspace_folder / folder, dirs_exist_ok=True)
        else:
            shutil.copyfile(copy / folder, workspace_folder / folder)


def test_every_row_has_its_damage_and_every_damage_its_row() -> None:
    assert rows().keys() == DAMAGES.keys() | MOUNTED


@pytest.mark.parametrize("name", DAMAGES)
def test_what_the_document_says_is_seen_and_helps(name: str, tmp_path: Path) -> None:
    damage, wanted = DAMAGES[name], retrain()
    sees, what_to_do = rows()[name]
    workspace_folder = tmp_path / "workspace"
    shutil.copytree(wanted.folder / ("undisturbed" if damage.after else "approved"), workspace_folder)
    put_back(workspace_folder, wanted.folder / "undisturbed", damage.lent)
    if damage.first:
        damage.first(workspace_folder)
    copy = Path(shutil.copytree(workspace_folder, tmp_path / "copy"))
    damage.do(workspace_folder)
    ended = run(workspace_folder, damage.verb)
    assert (ended.code, sees in said(ended)) == (damage.code, True), (ended, sees)
    if damage.back == TRUTH and damage.verb == VERIFY and FULL:  # a chain made anew is whole, and the audit's to see
        for verb in ALSO_MET_BY:
            assert run(workspace_folder, verb).code == 1, verb
    put_back(workspace_folder, copy, damage.back)
    for path in damage.deletes:
        (workspace_folder / path).unlink()
    for command in commands(what_to_do, copy):
        done = run(workspace_folder, command)
        assert done.code == 0, (command, done)
    assert run(workspace_folder, VERIFY).code == 0
    assert run(workspace_folder, AUDIT).code == 0
    if not damage.after and (FULL or damage.lent or damage.first):
        wanted.finish(workspace_folder)
    tally("damages", name, detected=1, recovered=1)


def test_nothing_is_purged_while_what_the_report_is_written_from_is_lost(tmp_path: Path) -> None:
    """The old model could not be examined again."""
    workspace_folder = Path(shutil.copytree(killed_before_purge(), tmp_path / "workspace"))
    before = case_of(Workspace.open(workspace_folder), "R-1").steps
    at_record("examination")(workspace_folder)
    ended = run(workspace_folder, ("request", "resume", "R-1", "--references", "0"))
    assert ended.code == 2, ended
    assert "the examination that a fact names is missing" in said(ended)
    assert case_of(Workspace.open(workspace_folder), "R-1").steps == before


def mounts() -> bool:
    """Whether file systems can be mounted here, apart from the rest of the machine."""
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def in_shell(script: str, workspace_folder: Path) -> None:
    """Run a script where mounts are its own; ``d NAME VERB...`` runs a command and writes NAME.out, .err and .code."""
    define = 'd() { n="$TOLD/$1"; shift; c=0; "$PY" -c "$CODE" "$@" >$n.out 2>$n.err || c=$?; echo $c >$n.code; }\n'
    paths = os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    env = os.environ | {
        "PY": sys.executable,
        "CODE": WITHOUT_MLFLOW,
        "TOLD": str(workspace_folder.parent),
        "PYTHONPATH": paths,
    }
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", define + script, "sh", str(workspace_folder)],
        env=env, cwd=workspace_folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def told(workspace_folder: Path, name: str) -> Ended:
    """Return how a command of :func:`in_shell` ended."""
    code, out, err = ((workspace_folder.parent / f"{name}.{what}").read_text() for what in ("code", "out", "err"))
    return Ended(int(code), out, err, 0)


@pytest.mark.skipif(not mounts(), reason="this user may not mount; root does not heed permissions, so nothing is shown")
def test_a_folder_that_is_read_only_is_read_and_says_so_when_written(tmp_path: Path) -> None:
    wanted, workspace_folder = retrain(), tmp_path / "workspace"
    shutil.copytree(wanted.folder / "approved", workspace_folder)
    in_shell(
        """
        mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; cd "$1"
        d verify ledger verify; d audit audit; d refused request hold R-1 --reason other
        umount -l "$1"; cd "$1"; d again request hold R-1 --reason other; d lifted request hold R-1 --lift --reason over
        """,
        workspace_folder,
    )
    assert (told(workspace_folder, "verify").code, told(workspace_folder, "audit").code) == (0, 0)
    refused = told(workspace_folder, "refused")
    assert refused.code == 3, refused
    assert rows()["folder read-only"][0] in said(refused)
    assert (told(workspace_folder, "again").code, told(workspace_folder, "lifted").code) == (0, 0)
    wanted.finish(workspace_folder)
    tally("damages", "folder read-only", detected=1, recovered=1)


@pytest.mark.skipif(not mounts(), reason="this user may not mount a small disk")
@pytest.mark.skipif(not FULL, reason="the first tier fills a disk in test_disk_faults, by a limit")
@pytest.mark.parametrize("room", [0, 40])
def test_a_disk_that_is_full_is_named_and_with_room_it_goes_on(room: int, tmp_path: Path) -> None:
    """A real one, a few megabytes large, with so many KiB left."""
    wanted, workspace_folder = retrain(), tmp_path / "workspace"
    workspace_folder.mkdir()
    in_shell(
        f"""
        mkdir "$TOLD/disk"; mount -t tmpfs -o size=24m none "$TOLD/disk"
        cp -a "{wanted.folder}/approved" "$TOLD/disk/workspace"; cd "$TOLD/disk/workspace"
        left=$(df -k --output=avail . | tail -1); fallocate -l $((left - {room}))k ../filler
        d full request execute R-1 --references 0; d verify ledger verify
        rm ../filler; d again request execute R-1 --references 0; cp -a . "$1"
        """,
        workspace_folder,
    )
    full = told(workspace_folder, "full")
    assert full.code == 3, full
    assert rows()["disk full"][0] in said(full)
    assert told(workspace_folder, "verify").code == 0
    assert told(workspace_folder, "again").code == 0, told(workspace_folder, "again")
    wanted.check(workspace_folder)
    tally("damages", f"disk full, {room} KiB left", detected=1, recovered=1)
