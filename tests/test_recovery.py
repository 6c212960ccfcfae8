"""RECOVERY.md, followed row by row: the damage is done, what it says is seen is seen, what it says helps, helps.

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
from lineage.ledger.chain import encode, next_fact
from lineage.records import canonical
from lineage.workspace import Fact, Ledger
from tests.children.nursery import ROOT, Ended, the_nursery
from tests.children.removals import Removal, removal
from tests.tier import FULL, tally
from tests.toys import live_shards

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

    def do(workspace: Path) -> None:
        file = workspace / ".disgorge" / "ledger.jsonl"
        file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))

    return do


def written(name: str, data: bytes) -> Break:
    """Overwrite, or make, a file of ``.disgorge``."""

    def do(workspace: Path) -> None:
        (workspace / ".disgorge" / name).write_bytes(data)

    return do


def gone(name: str) -> Break:
    """Delete a file of ``.disgorge``."""
    return lambda workspace: (workspace / ".disgorge" / name).unlink()


def catalogs(workspace: Path, *, junk: bool) -> None:
    """Delete or overwrite every projection; there is one, or this would prove nothing."""
    Catalog.of(Ledger.open(workspace)).close()
    for path in list((workspace / ".disgorge").glob("catalog-*")):
        path.write_bytes(b"junk" * 4096) if junk else path.unlink()


def weights_swapped(workspace: Path) -> None:
    """Give a retained component the bytes of another valid one."""
    ledger = Ledger.open(workspace)
    with Catalog.of(ledger) as catalog:
        one, other = (catalog.component(f"toy-averages/mean/shard-{n}").digest for n in (1, 2))
    shutil.copyfile(ledger.objects.path(other), ledger.objects.path(one))


def manifest_swapped(workspace: Path) -> None:
    """Give a shard the manifest of another."""
    ledger, found = Ledger.open(workspace), live_shards(Ledger.open(workspace))
    shutil.copyfile(ledger.manifest_path(found["shard-2"].digest), ledger.manifest_path(found["shard-1"].digest))


def items_from_before(workspace: Path) -> None:
    """Bring back, under the name of the shard after a removal, the content from before it."""
    ledger, before = Ledger.open(workspace), Ledger.open(retrain().folder / "approved")
    old = before.content_path(live_shards(before)["shard-3"].digest)
    shutil.copyfile(old, ledger.content_path(live_shards(ledger)["shard-3"].digest))


def cut_short(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def at_weights(change: Break) -> Break:
    """Do it to the file of a retained component."""

    def do(workspace: Path) -> None:
        ledger = Ledger.open(workspace)
        with Catalog.of(ledger) as catalog:
            change(ledger.objects.path(catalog.component("toy-averages/mean/shard-1").digest))

    return do


def at_record(kind: str) -> Break:
    """Delete the record that the last fact naming one of this kind names."""

    def do(workspace: Path) -> None:
        ledger = Ledger.open(workspace)
        named = [fact.body[kind] for fact in ledger.facts() if isinstance(fact.body.get(kind), str)]
        ledger.objects.path(named[-1]).unlink()

    return do


def at_shard(change: Break, where: Callable[[Ledger, str], Path]) -> Break:
    """Do it to a file of a shard."""

    def do(workspace: Path) -> None:
        ledger = Ledger.open(workspace)
        change(where(ledger, live_shards(ledger)["shard-1"].digest))

    return do


def at_private(change: Break, folder: str) -> Break:
    """Do it to the one file in a folder of ``private``; there is one, or this would prove nothing."""

    def do(workspace: Path) -> None:
        (path,) = (workspace / ".disgorge" / "private" / folder).iterdir()
        change(path)

    return do


@cache
def killed_before_purge() -> Path:
    """Return a workspace whose items are gone, whose release has moved, and whose purge has not begun."""
    workspace = retrain().copy("half-done")
    purge = next(step.id for step in retrain().plan.steps if step.action is Action.PURGE)
    assert the_nursery().run("carry", workspace, request="R-1", die_at_step=purge).killed
    return workspace


def half_done(workspace: Path) -> None:
    """Go on from there."""
    shutil.rmtree(workspace)
    shutil.copytree(killed_before_purge(), workspace)


def asked_by_key(workspace: Path) -> None:
    """File another request, which selects by what only the private folder knows."""
    arguments = [*FILE[:-3], "--id", "R-2", "--key", "shard-1-1"]
    ended = run(workspace, arguments)
    assert ended.code == 0, ended


def clock_back(workspace: Path) -> None:
    """Append facts while the clock is years late."""
    ledger = Ledger.open(workspace, clock=lambda: dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    for on in (True, False):
        ledger.append("hold", {"request": "R-1", "on": on, "reason": "other"})


def locks_left(workspace: Path) -> None:
    """Leave lock files, as processes that were killed do."""
    for name in ("ledger.lock", "filing.lock", "execute.lock", "shards.lock"):
        (workspace / ".disgorge" / name).write_text("4711")


def report_edited(workspace: Path) -> None:
    """Change the page of a report."""
    page = workspace / "reports" / "R-1" / "report.html"
    page.write_bytes(page.read_bytes() + b" ")


def report_gone(workspace: Path) -> None:
    """Delete a report, and its zip."""
    shutil.rmtree(workspace / "reports")


def ledger_rewritten(workspace: Path) -> None:
    """Say of the shards that they had another license, and chain all facts again."""
    ledger, made = Ledger.open(workspace), list[Fact]()
    for fact in ledger.facts():
        body = json.loads(json.dumps(fact.body).replace('"MIT"', '"CC0"'))
        made.append(next_fact(made[-1] if made else None, kind=fact.kind, body=body, at=fact.at))
    ledger.journal.file.write_bytes(b"".join(encode(fact) + b"\n" for fact in made))
    ledger.journal.head_file.write_bytes(canonical({"digest": made[-1].digest, "seq": made[-1].seq}) + b"\n")


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
    "catalog deleted": Damage(lambda workspace: catalogs(workspace, junk=False), VERIFY, 0),
    "catalog damaged": Damage(lambda workspace: catalogs(workspace, junk=True), VERIFY, 0),
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
    "manifest missing": Damage(at_shard(Path.unlink, Ledger.manifest_path), AUDIT, 1, ("manifests",)),
    "manifest cut short": Damage(at_shard(cut_short, Ledger.manifest_path), AUDIT, 1, ("manifests",)),
    "items missing": Damage(at_shard(Path.unlink, Ledger.content_path), AUDIT, 1, ("shards",)),
    "items cut short": Damage(at_shard(cut_short, Ledger.content_path), AUDIT, 1, ("shards",)),
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
ALSO_MET_BY = (AUDIT, EXECUTE, ("request", "list"), ("ledger", "rebuild"))
"""What must meet a broken chain as well."""


@cache
def retrain() -> Removal:
    """The removal that is interrupted, or done, in a workspace that breaks."""
    return removal("retrain")


def rows() -> dict[str, tuple[str, str]]:
    """Return, by what happened, what RECOVERY.md says is seen and what to do."""
    found = {}
    for line in (ROOT / "RECOVERY.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 4 and cells[0] != "what happened":
            found[cells[0]] = (cells[1].strip("`"), cells[3])
    return found


def commands(words: str, copy: Path) -> list[list[str]]:
    """Return the commands in what to do, their placeholders filled in."""
    plan = case_of(Ledger.open(copy), "R-1").plan if "DIGEST" in words else ""
    filled = words.replace("COPY", str(copy)).replace("REQUEST", "R-1").replace("DIGEST", plan or "")
    return [found.split()[1:] for found in re.findall(r"`(disgorge [^`]*)`", filled)]


def said(ended: Ended) -> str:
    """Return all a command printed; no traceback, and an error is one line."""
    assert "Traceback" not in ended.out + ended.err
    if ended.err:
        assert len(ended.err.splitlines()) == 1, ended
    return ended.out + ended.err


def run(workspace: Path, arguments: tuple[str, ...] | list[str]) -> Ended:
    """Type a command in the workspace."""
    return the_nursery().run("cli", workspace, arguments=list(arguments), without=["mlflow"])


def put_back(workspace: Path, copy: Path, names: tuple[str, ...]) -> None:
    """Take files from the copy; a bare name means whatever lies in that folder of the store."""
    for name in names:
        folder = f".disgorge/{name}" if name in ("objects", "manifests", "private") else name
        if (copy / folder).is_dir():
            shutil.copytree(copy / folder, workspace / folder, dirs_exist_ok=True)
        else:
            shutil.copyfile(copy / folder, workspace / folder)


def test_every_row_has_its_damage_and_every_damage_its_row() -> None:
    assert rows().keys() == DAMAGES.keys() | MOUNTED


@pytest.mark.parametrize("name", DAMAGES)
def test_what_the_document_says_is_seen_and_helps(name: str, tmp_path: Path) -> None:
    damage, wanted = DAMAGES[name], retrain()
    sees, what_to_do = rows()[name]
    workspace = tmp_path / "workspace"
    shutil.copytree(wanted.folder / ("undisturbed" if damage.after else "approved"), workspace)
    put_back(workspace, wanted.folder / "undisturbed", damage.lent)
    if damage.first:
        damage.first(workspace)
    copy = Path(shutil.copytree(workspace, tmp_path / "copy"))
    damage.do(workspace)
    ended = run(workspace, damage.verb)
    assert (ended.code, sees in said(ended)) == (damage.code, True), (ended, sees)
    if damage.back == TRUTH and FULL:
        for verb in ALSO_MET_BY:
            assert run(workspace, verb).code == 1, verb
    put_back(workspace, copy, damage.back)
    for path in damage.deletes:
        (workspace / path).unlink()
    for command in commands(what_to_do, copy):
        done = run(workspace, command)
        assert done.code == 0, (command, done)
    assert run(workspace, VERIFY).code == 0
    assert run(workspace, AUDIT).code == 0
    if not damage.after and (FULL or damage.lent or damage.first):
        wanted.resume(workspace)
        wanted.check(workspace)
    tally("damages", name, detected=1, recovered=1)


def test_nothing_is_purged_while_what_the_report_is_written_from_is_lost(tmp_path: Path) -> None:
    """The old model could not be examined again."""
    workspace = Path(shutil.copytree(killed_before_purge(), tmp_path / "workspace"))
    before = case_of(Ledger.open(workspace), "R-1").steps
    at_record("examination")(workspace)
    ended = run(workspace, ("request", "resume", "R-1", "--references", "0"))
    assert ended.code == 2, ended
    assert "the examination that a fact names is missing" in said(ended)
    assert case_of(Ledger.open(workspace), "R-1").steps == before


def mounts() -> bool:
    """Whether file systems can be mounted here, apart from the rest of the machine."""
    try:
        return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def in_shell(script: str, workspace: Path) -> None:
    """Run a script where mounts are its own; ``d NAME VERB...`` runs a command and writes NAME.out, .err and .code."""
    define = 'd() { n="$TOLD/$1"; shift; c=0; "$PY" -c "$CODE" "$@" >$n.out 2>$n.err || c=$?; echo $c >$n.code; }\n'
    paths = os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    env = os.environ | {
        "PY": sys.executable,
        "CODE": WITHOUT_MLFLOW,
        "TOLD": str(workspace.parent),
        "PYTHONPATH": paths,
    }
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", define + script, "sh", str(workspace)],
        env=env, cwd=workspace, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def told(workspace: Path, name: str) -> Ended:
    """Return how a command of :func:`in_shell` ended."""
    code, out, err = ((workspace.parent / f"{name}.{what}").read_text() for what in ("code", "out", "err"))
    return Ended(int(code), out, err, 0)


@pytest.mark.skipif(not mounts(), reason="this user may not mount; root does not heed permissions, so nothing is shown")
def test_a_folder_that_is_read_only_is_read_and_says_so_when_written(tmp_path: Path) -> None:
    wanted, workspace = retrain(), tmp_path / "workspace"
    shutil.copytree(wanted.folder / "approved", workspace)
    in_shell(
        """
        mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; cd "$1"
        d verify ledger verify; d audit audit; d refused request hold R-1 --reason other
        umount -l "$1"; cd "$1"; d again request hold R-1 --reason other; d lifted request hold R-1 --lift --reason over
        """,
        workspace,
    )
    assert (told(workspace, "verify").code, told(workspace, "audit").code) == (0, 0)
    refused = told(workspace, "refused")
    assert refused.code == 3, refused
    assert rows()["folder read-only"][0] in said(refused)
    assert (told(workspace, "again").code, told(workspace, "lifted").code) == (0, 0)
    wanted.resume(workspace)
    wanted.check(workspace)
    tally("damages", "folder read-only", detected=1, recovered=1)


@pytest.mark.skipif(not mounts(), reason="this user may not mount a small disk")
@pytest.mark.skipif(not FULL, reason="the first tier fills a disk in test_faults_on_disk, by a limit")
@pytest.mark.parametrize("room", [0, 40])
def test_a_disk_that_is_full_is_named_and_with_room_it_goes_on(room: int, tmp_path: Path) -> None:
    """A real one, a few megabytes large, with so many KiB left."""
    wanted, workspace = retrain(), tmp_path / "workspace"
    workspace.mkdir()
    in_shell(
        f"""
        mkdir "$TOLD/disk"; mount -t tmpfs -o size=24m none "$TOLD/disk"
        cp -a "{wanted.folder}/approved" "$TOLD/disk/workspace"; cd "$TOLD/disk/workspace"
        left=$(df -k --output=avail . | tail -1); fallocate -l $((left - {room}))k ../filler
        d full request execute R-1 --references 0; d verify ledger verify
        rm ../filler; d again request execute R-1 --references 0; cp -a . "$1"
        """,
        workspace,
    )
    full = told(workspace, "full")
    assert full.code == 3, full
    assert rows()["disk full"][0] in said(full)
    assert told(workspace, "verify").code == 0
    assert told(workspace, "again").code == 0, told(workspace, "again")
    wanted.check(workspace)
    tally("damages", f"disk full, {room} KiB left", detected=1, recovered=1)
