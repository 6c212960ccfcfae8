"""The chain holds, every kind of damage is named, and no failed write leaves a trace."""

import datetime as dt
import json
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import BadInput, LedgerBroken, LineageError, NoWorkspace, UnknownRecord, WorkspaceBusy
from lineage.git_ignored import HOME
from lineage.ledger.fact_kinds import (
    LINEAGE_KINDS,
    ArtifactFact,
    ArtifactWithdrawnFact,
    ComponentFact,
    ComponentRetiredFact,
    CompositionFact,
    ItemsLetInFact,
    LossAcceptedFact,
    PurgedFact,
    ReleaseContainedFact,
    ReleaseFact,
    ReleaseWithdrawnFact,
    ShardFact,
    ShardWithdrawnFact,
)
from lineage.ledger.losses import losses_of
from lineage.records import Artifact, Component, Composition, Role, Shard, Use
from lineage.workspace import Workspace
from tests.toys import no_file_larger_than

NOON = dt.datetime(2026, 11, 2, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # An XML-like text, quotes and a look-alike of a line's own end are what could fool a reader of lines.
    | st.text()
    | st.sampled_from(['"}', "\n", '","kind":"shard","previous":"' + "0" * 64 + '","seq":1}']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path, clock=lambda: NOON)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    workspace = Workspace.init(folder, clock=lambda: NOON)
    for number in range(6):
        body = {"number": number, "text": "x" * (number * 7), "name": "model", "alias": "live"}
        workspace.ledger.append("release-withdrawn" if number % 2 else "request", body)
    return folder


@pytest.fixture
def filled(template: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Workspace.open(tmp_path, clock=lambda: NOON)


def test_a_new_workspace_holds_one_fact_and_private_keys(workspace: Workspace) -> None:
    assert [(fact.seq, fact.kind, fact.at) for fact in workspace.ledger.facts()] == [
        (1, "opened", "2026-11-02T11:00:00.000000Z")
    ]
    assert stat.S_IMODE((workspace.home / "private").stat().st_mode) == 0o700
    for key in ("pseudonym.key", "withdrawn.key"):
        assert stat.S_IMODE((workspace.home / "private" / key).stat().st_mode) == 0o600
    assert (workspace.home / ".gitignore").read_text().split() == list(HOME)
    assert sorted(path.name for path in workspace.home.iterdir()) == [
        ".gitignore", "config.toml", "head.json", "ledger.jsonl", "private",
    ]  # fmt: skip


def test_a_second_init_is_refused_and_changes_nothing(workspace: Workspace) -> None:
    head = workspace.ledger.head()
    with pytest.raises(LineageError, match="exists already"):
        Workspace.init(workspace.root)
    assert workspace.ledger.head() == head
    assert {path.name for path in workspace.root.iterdir()} == {".disgorge", ".gitignore"}


def test_open_walks_up_and_says_what_to_do_outside(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deep = workspace.root / "a" / "b"
    deep.mkdir(parents=True)
    assert Workspace.open(deep).root == workspace.root
    with pytest.raises(NoWorkspace, match="disgorge init"):
        Workspace.open(tmp_path_factory.mktemp("outside"))


def test_each_line_is_canonical_json_and_carries_the_digest_of_the_one_before(filled: Workspace) -> None:
    workspace = filled
    facts = list(workspace.ledger.facts())
    lines = workspace.ledger.journal.file.read_bytes().splitlines()
    assert [rfc8785.dumps(json.loads(line)) for line in lines] == lines
    assert [fact.previous for fact in facts] == ["0" * 64, *(fact.digest for fact in facts[:-1])]
    assert [fact.seq for fact in facts] == list(range(1, len(lines) + 1))
    assert workspace.ledger.head() == facts[-1].digest
    assert workspace.ledger.verify() == len(lines)
    assert [fact.kind for fact in workspace.ledger.facts("release-withdrawn")] == ["release-withdrawn"] * 3


def test_what_is_appended_is_read_back(workspace: Workspace) -> None:
    seen = workspace.ledger.verify()

    @settings(max_examples=80, deadline=None)
    @given(bodies=st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=3), min_size=1, max_size=4))
    def check(bodies: list[dict[str, object]]) -> None:
        nonlocal seen
        written = workspace.ledger.append_all([("request", body) for body in bodies])
        assert tuple(workspace.ledger.facts())[seen:] == written
        assert [rfc8785.dumps(fact.body) for fact in written] == [rfc8785.dumps(body) for body in bodies]
        assert workspace.ledger.head() == written[-1].digest
        seen += len(written)

    check()


def test_what_json_cannot_carry_is_refused_and_nothing_of_its_batch_is_written(workspace: Workspace) -> None:
    before = workspace.ledger.journal.file.read_bytes()
    for body in ({"value": float("nan")}, {"value": 2**60}, {"value": object()}):
        with pytest.raises(BadInput, match="cannot be recorded exactly"):
            workspace.ledger.append_all([("request", {}), ("request", body)])
    with pytest.raises(BadInput, match="invalid kind of fact"):
        workspace.ledger.append('shard","seq":1', {})
    assert workspace.ledger.append_all([]) == ()
    assert workspace.ledger.journal.file.read_bytes() == before


OF_LINEAGE = (
    ShardFact(Shard("a" * 64, "s", None, None, None, 1)),
    ShardWithdrawnFact("a" * 64),
    ItemsLetInFact("a" * 64, "s", 1, "f" * 64, "why"),
    ArtifactFact(Artifact("e" * 64, "w", "MIT", "elsewhere", "owned", 1, 1)),
    ArtifactWithdrawnFact("e" * 64, "w"),
    ComponentFact(Component("b" * 64, "c", "k", (Use("a" * 64, Role.TRAIN),))),
    ComponentRetiredFact("c", "b" * 64),
    CompositionFact(Composition("m", {}, ())),
    ReleaseFact("r", "live", "c" * 64),
    ReleaseContainedFact("r", "live"),
    ReleaseWithdrawnFact("r", "live"),
    PurgedFact("R-1", (), ()),
    LossAcceptedFact(1, 1, "d" * 64),
)
"""A fact of each kind that changes lineage."""


def test_the_lineage_head_moves_with_lineage_only_however_far_back_it_is(workspace: Workspace) -> None:
    assert workspace.ledger.lineage_head() == ""
    assert {each.kind_of_fact for each in OF_LINEAGE} == set(LINEAGE_KINDS)
    for each in OF_LINEAGE:
        (fact,) = workspace.ledger.record(each)
        assert workspace.ledger.lineage_head() == fact.digest
    workspace.ledger.append_all(
        [("request", {"text": "y" * 5_000})] * 100
    )  # half a megabyte: several blocks from the end
    workspace.ledger.append("request", {"text": "z" * 300_000})  # one line longer than a block
    assert workspace.ledger.lineage_head() == fact.digest
    assert workspace.ledger.head() != fact.digest


# Damage ---------------------------------------------------------------------------------------------------------


def test_any_changed_byte_is_noticed(filled: Workspace) -> None:
    whole = {path: path.read_bytes() for path in (filled.ledger.journal.file, filled.ledger.journal.head_file)}

    @settings(max_examples=300, deadline=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(list(whole)))
        content = bytearray(whole[path])
        # head.json's last byte is a newline that means nothing.
        place = data.draw(st.integers(0, len(content) - (1 if path == filled.ledger.journal.file else 2)))
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        with pytest.raises(LedgerBroken):
            filled.ledger.verify()
        path.write_bytes(whole[path])

    check()
    assert filled.ledger.verify() == 7


DAMAGE: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "reordered": (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "line 3 does not follow"),
    "one taken out": (lambda lines: lines[:3] + lines[4:], "line 4 does not follow"),
    "one repeated": (lambda lines: lines[:2] + lines[1:], "line 3 does not follow"),
    "the first taken out": (lambda lines: lines[1:], "line 1 does not follow"),
    "edited": (lambda lines: [*lines[:2], lines[2].replace(b"x", b"y", 1), *lines[3:]], "line 3 was edited"),
    "overwritten": (lambda lines: [*lines[:3], b"hello\n", *lines[4:]], "line 4 is not a fact"),
    "torn": (lambda lines: [*lines, b'{"at"'], "line 8 is torn"),
    "cut at a line's end": (lambda lines: lines[:-2], "ends after line 5, but 7 facts were recorded"),
    "emptied": (lambda lines: [], "ends after line 0"),
    "cut inside a recorded line": (lambda lines: [*lines[:-1], lines[-1][:20]], "it was cut"),
}
"""What is done to the lines of a ledger, and what is said of it."""
CUT = ("cut at a line's end", "cut inside a recorded line")
"""The only damage that can be accepted."""


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "torn"])
def test_damage_is_named_and_nothing_can_be_appended_to_it(filled: Workspace, damage: str) -> None:
    (harm, words), file = DAMAGE[damage], filled.ledger.journal.file
    file.write_bytes(b"".join(harm(file.read_bytes().splitlines(keepends=True))))
    damaged = file.read_bytes()
    with pytest.raises(LedgerBroken, match=words) as raised:
        filled.ledger.verify()
    assert "restore" in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(LedgerBroken):
        filled.ledger.set_aside_torn_line()
    assert file.read_bytes() == damaged


def test_a_cut_end_is_noticed_by_whoever_reads_the_end_only(filled: Workspace) -> None:
    filled.ledger.journal.file.write_bytes(filled.ledger.journal.file.read_bytes().rsplit(b"\n", 2)[0] + b"\n")
    for look in (filled.ledger.head, filled.ledger.lineage_head, lambda: filled.ledger.append("request", {})):
        with pytest.raises(LedgerBroken, match="it was cut"):
            look()


def test_another_ledger_of_the_same_length_is_noticed_by_its_end(
    filled: Workspace, template: Path, tmp_path: Path
) -> None:
    other = Workspace.init(tmp_path / "other")
    for _ in range(6):
        other.ledger.append("request", {})
    shutil.copy(other.ledger.journal.file, filled.ledger.journal.file)
    for look in (filled.ledger.head, filled.ledger.verify):
        with pytest.raises(LedgerBroken, match=r"line 7 is not the fact that head\.json remembers"):
            look()


def test_a_missing_ledger_or_head_is_said(filled: Workspace) -> None:
    whole = filled.ledger.journal.file.read_bytes()
    filled.ledger.journal.file.unlink()
    with pytest.raises(LedgerBroken, match=r"ledger\.jsonl: cannot be read"):
        filled.ledger.verify()
    filled.ledger.journal.file.write_bytes(whole)
    filled.ledger.journal.head_file.unlink()
    with pytest.raises(LedgerBroken, match=r"head\.json: missing"):
        filled.ledger.head()


@pytest.mark.parametrize("torn", [b'{"at":"2026', b"\0" * 40, b"\0" * 40 + b"\n", b'{"at":"2026"}\n'])
def test_a_torn_line_is_named_and_set_aside_on_request_only(filled: Workspace, torn: bytes) -> None:
    workspace = filled
    whole, head = workspace.ledger.journal.file.read_bytes(), workspace.ledger.head()
    workspace.ledger.journal.file.write_bytes(whole + torn)
    ledger = workspace.ledger
    for look in (ledger.verify, ledger.head, ledger.lineage_head, lambda: ledger.append("request", {})):
        with pytest.raises(LedgerBroken, match=r"line 8 is torn.*disgorge ledger verify --repair"):
            look()
    assert workspace.ledger.journal.file.read_bytes() == whole + torn
    aside = workspace.ledger.set_aside_torn_line()
    assert aside == workspace.home / "ledger.torn-1"
    assert aside.read_bytes() == torn
    assert (workspace.ledger.journal.file.read_bytes(), workspace.ledger.head()) == (whole, head)
    assert workspace.ledger.set_aside_torn_line() is None
    assert workspace.ledger.append("request", {}).seq == 8


def test_a_batch_that_was_torn_is_set_aside_whole(filled: Workspace) -> None:
    workspace = filled
    whole, head = workspace.ledger.journal.file.read_bytes(), workspace.ledger.journal.head_file.read_bytes()
    workspace.ledger.append_all([("request", {"part": 1}), ("request", {"part": 2})])
    batch = workspace.ledger.journal.file.read_bytes()[len(whole) :]
    workspace.ledger.journal.head_file.write_bytes(head)  # as a crash in the middle of the append leaves it
    workspace.ledger.journal.file.write_bytes(whole + batch[:-9])
    aside = workspace.ledger.set_aside_torn_line()
    assert aside is not None
    assert aside.read_bytes() == batch[:-9]
    assert workspace.ledger.journal.file.read_bytes() == whole


def test_whole_lines_that_a_crash_left_unacknowledged_count(filled: Workspace) -> None:
    workspace = filled
    head = workspace.ledger.journal.head_file.read_bytes()
    (fact,) = workspace.ledger.record(ReleaseWithdrawnFact("late", "live"))
    workspace.ledger.journal.head_file.write_bytes(head)
    assert workspace.ledger.verify() == 8
    assert workspace.ledger.head() == workspace.ledger.lineage_head() == fact.digest
    assert workspace.ledger.append("request", {}).previous == fact.digest
    assert workspace.ledger.verify() == 9


# A lost end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 3, 6])
@pytest.mark.parametrize("rest", [b"", b'{"at":"2026', b"\0" * 40])
def test_a_lost_end_is_accepted_and_stands_in_the_ledger(filled: Workspace, lost: int, rest: bytes) -> None:
    head, lines = filled.ledger.head(), filled.ledger.journal.file.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:-lost])
    filled.ledger.journal.file.write_bytes(kept + rest)
    with pytest.raises(LedgerBroken, match=r"it was cut.*--accept-loss"):
        filled.ledger.verify()
    loss, aside = filled.ledger.accept_loss(len)
    assert (loss.first, loss.last, loss.digest) == (len(lines) - lost + 1, len(lines), head)
    assert aside == (filled.home / "ledger.lost-1" if rest else None)
    assert aside is None or aside.read_bytes() == rest
    assert filled.ledger.journal.file.read_bytes().startswith(kept)
    again = Workspace.open(filled.root)
    assert again.ledger.verify() == len(lines) - lost + 1
    assert list(losses_of(again.ledger.facts())) == [loss]
    assert again.ledger.append("request", {}).seq == len(lines) - lost + 2
    assert again.ledger.lineage_head() == again.ledger.facts("loss-accepted").__next__().digest, (
        "plans from before are stale"
    )


def test_what_is_not_kept_is_moved_aside(filled: Workspace) -> None:
    lines = filled.ledger.journal.file.read_bytes().splitlines(keepends=True)
    filled.ledger.journal.file.write_bytes(b"".join(lines[:-1]))
    loss, aside = filled.ledger.accept_loss(lambda facts: len(facts) - 2)
    assert aside is not None
    assert aside.read_bytes() == b"".join(lines[-3:-1])
    assert (loss.first, loss.last) == (len(lines) - 2, len(lines))


@pytest.mark.parametrize(
    "harm", ["nothing", "gone", "head", "the last but one", *(name for name in DAMAGE if name not in CUT)]
)
def test_no_other_damage_is_accepted(filled: Workspace, harm: str) -> None:
    file, lines = filled.ledger.journal.file, filled.ledger.journal.file.read_bytes().splitlines(keepends=True)
    if harm in DAMAGE:
        file.write_bytes(b"".join(DAMAGE[harm][0](lines)))
    elif harm == "the last but one":
        file.write_bytes(b"".join([*lines[:-2], lines[-1]]))
    elif harm != "nothing":
        (file if harm == "gone" else filled.ledger.journal.head_file).unlink()
    before = held(filled)
    with pytest.raises(LineageError) as raised:
        Workspace.open(filled.root).ledger.accept_loss(len)
    assert isinstance(raised.value, LedgerBroken) or harm == "nothing"
    assert held(filled) == before


def held(workspace: Workspace) -> dict[str, bytes]:
    """What the files of a workspace's home hold, but the lock."""
    files = (path for path in workspace.home.iterdir() if path.is_file() and path.suffix != ".lock")
    return {path.name: path.read_bytes() for path in files}


# Writing that fails ---------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_ledger_as_it_was(filled: Workspace) -> None:
    workspace = filled
    before = held(workspace)
    for room in (0, 10, 150):  # no room for head.json, for the line, for all of the line
        size = len(before["ledger.jsonl"]) + room if room else 8
        with pytest.raises(LineageError, match="nothing was") as raised, no_file_larger_than(size):
            workspace.ledger.append("shard", {"text": "z" * 500})
        assert "\n" not in str(raised.value)
        assert held(workspace) == before
    assert workspace.ledger.append("shard", {"text": "z" * 500}).seq == 8


def test_a_writer_waits_for_another_and_then_gives_up(workspace: Workspace) -> None:
    (workspace.home / "config.toml").write_text("lock_seconds = 0.1\n")
    impatient = Workspace.open(workspace.root)
    with FileLock(workspace.home / "ledger.lock"):
        with pytest.raises(WorkspaceBusy, match="another process"):
            impatient.ledger.append("request", {})
        assert impatient.ledger.verify() == 1  # readers wait for nobody
    assert impatient.ledger.append("request", {}).seq == 2


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1" + "0" * 400, "true", "'30'", "'long'", "1e9"])
def test_a_time_to_wait_that_is_none_is_refused(workspace: Workspace, value: str) -> None:
    (workspace.home / "config.toml").write_text(f"lock_seconds = {value}\n")
    with pytest.raises(BadInput, match=r"config\.toml: lock_seconds must be a number of seconds up to 86,400"):
        Workspace.open(workspace.root)
    (workspace.home / "config.toml").write_text("= nonsense")
    with pytest.raises(BadInput, match=r"config\.toml"):
        Workspace.open(workspace.root)


def test_a_reader_that_meets_a_half_written_line_lets_the_writer_finish(filled: Workspace) -> None:
    workspace = filled
    whole = workspace.ledger.journal.file.read_bytes()
    workspace.ledger.append("request", {})
    extended, head = workspace.ledger.journal.file.read_bytes(), workspace.ledger.journal.head_file.read_bytes()
    held, done = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with FileLock(workspace.home / "ledger.lock"):
            workspace.ledger.journal.file.write_bytes(extended[: len(whole) + 30])
            held.set()
            time.sleep(0.3)
            workspace.ledger.journal.file.write_bytes(extended)
            done.set()

    workspace.ledger.journal.head_file.write_bytes(head)
    writer = threading.Thread(target=write_slowly)
    writer.start()
    held.wait()
    assert workspace.ledger.verify() == 8
    assert done.is_set()
    writer.join()


def append_many(workspace_folder: Path, count: int) -> None:
    workspace = Workspace.open(workspace_folder)
    for number in range(count):
        workspace.ledger.append("request", {"number": number})


def test_two_processes_writing_at_once_make_one_chain(workspace: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(workspace.root, 30)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert workspace.ledger.verify() == 61


def test_a_writer_killed_at_any_moment_leaves_a_ledger_that_goes_on(workspace: Workspace) -> None:
    code = (
        "import sys; from pathlib import Path; from lineage.workspace import Workspace\n"
        "workspace = Workspace.open(Path(sys.argv[1])); print('ready', flush=True)\n"
        "while True: workspace.ledger.append_all([('request', {'text': 'x' * 20_000})] * 5)\n"
    )
    for pause in (0.0, 0.013, 0.037):
        writer = subprocess.Popen([sys.executable, "-c", code, str(workspace.root)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        workspace.ledger.set_aside_torn_line()
        workspace.ledger.append("request", {})
        assert workspace.ledger.verify() > 1


# Private --------------------------------------------------------------------------------------------------------


def test_pseudonyms_are_keyed_by_the_workspace(tmp_path: Path) -> None:
    one, other = Workspace.init(tmp_path / "one"), Workspace.init(tmp_path / "other")
    assert one.pseudonym("Ada") == Workspace.open(one.root).pseudonym("Ada")
    assert (
        len({one.pseudonym("Ada"), one.pseudonym("Bob"), other.pseudonym("Ada"), one.private.withdrawn_mark("Ada")})
        == 4
    )


def test_withdrawn_items_are_remembered_under_a_key(workspace: Workspace) -> None:
    item, other = "a" * 64, "b" * 64
    assert not workspace.private.is_withdrawn(item)
    workspace.mark_withdrawn([item])
    workspace.mark_withdrawn([item])
    assert (workspace.private.is_withdrawn(item), workspace.private.is_withdrawn(other)) == (True, False)
    Workspace.open(workspace.root).mark_withdrawn([other])
    assert workspace.private.is_withdrawn(other)
    text = workspace.private.marks_file.read_text()
    assert text.split()[:-2] == sorted(
        [workspace.private.withdrawn_mark(item), workspace.private.withdrawn_mark(other)]
    )
    assert item not in text
    assert stat.S_IMODE(workspace.private.marks_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["emptied", "edited", "other key", "older", "gone"])
def test_a_list_of_withdrawn_items_that_is_not_as_it_was_left_is_refused(workspace: Workspace, damage: str) -> None:
    assert workspace.mark_withdrawn(["a" * 64]) == 1
    older = workspace.private.marks_file.read_bytes()
    body = {"shard": "c" * 64, "name": "s", "after": None, "removed": 2, "request": "R-1", "plan": "d" * 64}
    workspace.ledger.append("shard-withdrawn", body | {"marks": workspace.mark_withdrawn(["a" * 64, "b" * 64])})
    workspace.require_marks()
    file = workspace.private.marks_file
    if damage == "emptied":
        file.write_text("")
    elif damage == "edited":
        file.write_text(file.read_text().replace(workspace.private.withdrawn_mark("a" * 64), "0" * 64))
    elif damage == "older":
        file.write_bytes(older)
    elif damage == "gone":
        file.unlink()
    else:
        (file.parent / "withdrawn.key").write_text("00" * 32)
    with pytest.raises(LineageError, match=r"withdrawn\.txt.*restore"):
        Workspace.open(workspace.root).require_marks()


def test_a_missing_key_is_said(workspace: Workspace) -> None:
    (workspace.home / "private" / "pseudonym.key").unlink()
    with pytest.raises(LineageError, match=r"pseudonym\.key.*backup"):
        workspace.pseudonym("Ada")


def test_paths_of_a_shard_are_made_from_digests_only(workspace: Workspace) -> None:
    assert workspace.manifest_path("a" * 64).name == "a" * 64 + ".parquet"
    assert workspace.content_path("a" * 64).parent == workspace.root / "shards"
    with pytest.raises(UnknownRecord, match="not the digest of a shard"):
        workspace.manifest_path("../../private/pseudonym")


def test_what_was_checked_before_is_noticed_when_it_is_edited(tmp_path: Path) -> None:
    """A ledger remembers the facts that it checked: an edit there must not slip through."""
    workspace = Workspace.init(tmp_path)
    for number in range(5):
        workspace.ledger.append("hold", {"request": f"R-{number}", "on": True, "reason": "x"})
    assert workspace.ledger.verify() == 6
    file = workspace.home / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b"R-2", b"R-7"))
    with pytest.raises(LedgerBroken, match="line 4 was edited"):
        workspace.ledger.verify()
    file.write_bytes(file.read_bytes().replace(b"R-7", b"R-2"))
    workspace.ledger.append("hold", {"request": "R-9", "on": True, "reason": "x"})
    assert workspace.ledger.verify() == 7
