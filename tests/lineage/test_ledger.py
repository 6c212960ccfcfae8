"""The chain holds, every kind of damage is named, and no failed write leaves a trace."""

import datetime as dt
import json
import multiprocessing
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import rfc8785
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import BadInput, LedgerBroken, LineageError, NoWorkspace, UnknownRecord, WorkspaceBusy
from lineage.git_ignored import HOME
from lineage.losses import losses_of
from lineage.workspace import LINEAGE_KINDS, Fact, Ledger

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
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.init(tmp_path, clock=lambda: NOON)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    ledger = Ledger.init(folder, clock=lambda: NOON)
    for number in range(6):
        ledger.append("shard" if number % 2 else "request", {"number": number, "text": "x" * (number * 7)})
    return folder


@pytest.fixture
def filled(template: Path, tmp_path: Path) -> Ledger:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Ledger.open(tmp_path, clock=lambda: NOON)


def test_a_new_workspace_holds_one_fact_and_private_keys(ledger: Ledger) -> None:
    assert [(fact.seq, fact.kind, fact.at) for fact in ledger.facts()] == [(1, "opened", "2026-11-02T11:00:00.000000Z")]
    assert stat.S_IMODE((ledger.home / "private").stat().st_mode) == 0o700
    for key in ("pseudonym.key", "withdrawn.key"):
        assert stat.S_IMODE((ledger.home / "private" / key).stat().st_mode) == 0o600
    assert (ledger.home / ".gitignore").read_text().split() == list(HOME)
    assert sorted(path.name for path in ledger.home.iterdir()) == [
        ".gitignore", "config.toml", "head.json", "ledger.jsonl", "private",
    ]  # fmt: skip


def test_a_second_init_is_refused_and_changes_nothing(ledger: Ledger) -> None:
    head = ledger.head()
    with pytest.raises(LineageError, match="exists already"):
        Ledger.init(ledger.workspace)
    assert ledger.head() == head
    assert {path.name for path in ledger.workspace.iterdir()} == {".disgorge", ".gitignore"}


def test_open_walks_up_and_says_what_to_do_outside(ledger: Ledger, tmp_path_factory: pytest.TempPathFactory) -> None:
    deep = ledger.workspace / "a" / "b"
    deep.mkdir(parents=True)
    assert Ledger.open(deep).workspace == ledger.workspace
    with pytest.raises(NoWorkspace, match="disgorge init"):
        Ledger.open(tmp_path_factory.mktemp("outside"))


def test_each_line_is_canonical_json_and_carries_the_digest_of_the_one_before(filled: Ledger) -> None:
    ledger = filled
    facts = list(ledger.facts())
    lines = ledger.journal.file.read_bytes().splitlines()
    assert [rfc8785.dumps(json.loads(line)) for line in lines] == lines
    assert [fact.previous for fact in facts] == ["0" * 64, *(fact.digest for fact in facts[:-1])]
    assert [fact.seq for fact in facts] == list(range(1, len(lines) + 1))
    assert ledger.head() == facts[-1].digest
    assert ledger.verify() == len(lines)
    assert [fact.kind for fact in ledger.facts("shard")] == ["shard"] * 3


def test_what_is_appended_is_read_back(ledger: Ledger) -> None:
    seen = ledger.verify()

    @settings(max_examples=80, deadline=None)
    @given(bodies=st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=3), min_size=1, max_size=4))
    def check(bodies: list[dict[str, object]]) -> None:
        nonlocal seen
        written = ledger.append_all([("request", body) for body in bodies])
        assert tuple(ledger.facts())[seen:] == written
        assert [rfc8785.dumps(fact.body) for fact in written] == [rfc8785.dumps(body) for body in bodies]
        assert ledger.head() == written[-1].digest
        seen += len(written)

    check()


def test_what_json_cannot_carry_is_refused_and_nothing_of_its_batch_is_written(ledger: Ledger) -> None:
    before = ledger.journal.file.read_bytes()
    for body in ({"value": float("nan")}, {"value": 2**60}, {"value": object()}):
        with pytest.raises(BadInput, match="cannot be recorded exactly"):
            ledger.append_all([("request", {}), ("request", body)])
    with pytest.raises(BadInput, match="no kind of fact"):
        ledger.append('shard","seq":1', {})
    assert ledger.append_all([]) == ()
    assert ledger.journal.file.read_bytes() == before


def test_the_lineage_head_moves_with_lineage_only_however_far_back_it_is(ledger: Ledger) -> None:
    assert ledger.lineage_head() == ""
    for kind in LINEAGE_KINDS:
        fact = ledger.append(kind, {})
        assert ledger.lineage_head() == fact.digest
    ledger.append_all([("request", {"text": "y" * 5_000})] * 100)  # half a megabyte: several blocks from the end
    ledger.append("request", {"text": "z" * 300_000})  # one line longer than a block
    assert ledger.lineage_head() == fact.digest
    assert ledger.head() != fact.digest


# Damage ---------------------------------------------------------------------------------------------------------


def test_any_changed_byte_is_noticed(filled: Ledger) -> None:
    whole = {path: path.read_bytes() for path in (filled.journal.file, filled.journal.head_file)}

    @settings(max_examples=300, deadline=None)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(list(whole)))
        content = bytearray(whole[path])
        # head.json's last byte is a newline that means nothing.
        place = data.draw(st.integers(0, len(content) - (1 if path == filled.journal.file else 2)))
        content[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        with pytest.raises(LedgerBroken):
            filled.verify()
        path.write_bytes(whole[path])

    check()
    assert filled.verify() == 7


def swap(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[3], lines[2], *lines[4:]]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(swap, "line 3 does not follow", id="reordered"),
        pytest.param(lambda lines: lines[:3] + lines[4:], "line 4 does not follow", id="one taken out"),
        pytest.param(lambda lines: lines[:2] + lines[1:], "line 3 does not follow", id="one repeated"),
        pytest.param(lambda lines: lines[1:], "line 1 does not follow", id="the first taken out"),
        pytest.param(
            lambda lines: lines[:-2], "ends after line 5, but 7 facts were recorded", id="cut at a line's end"
        ),
        pytest.param(lambda lines: [], "ends after line 0", id="emptied"),
        pytest.param(lambda lines: [*lines[:3], b"hello\n", *lines[4:]], "line 4 is not a fact", id="overwritten"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:20]], "it was cut", id="cut inside a recorded line"),
    ],
)
def test_damage_is_named_and_nothing_can_be_appended_to_it(filled: Ledger, damage: object, words: str) -> None:
    ledger = filled
    lines = ledger.journal.file.read_bytes().splitlines(keepends=True)
    ledger.journal.file.write_bytes(b"".join(damage(lines)))  # type: ignore[operator]
    damaged = ledger.journal.file.read_bytes()
    with pytest.raises(LedgerBroken, match=words) as raised:
        ledger.verify()
    assert "restore" in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(LedgerBroken):
        ledger.set_aside_torn_line()
    assert ledger.journal.file.read_bytes() == damaged


def test_a_cut_end_is_noticed_by_whoever_reads_the_end_only(filled: Ledger) -> None:
    filled.journal.file.write_bytes(filled.journal.file.read_bytes().rsplit(b"\n", 2)[0] + b"\n")
    for look in (filled.head, filled.lineage_head, lambda: filled.append("request", {})):
        with pytest.raises(LedgerBroken, match="it was cut"):
            look()


def test_another_ledger_of_the_same_length_is_noticed_by_its_end(
    filled: Ledger, template: Path, tmp_path: Path
) -> None:
    other = Ledger.init(tmp_path / "other")
    for _ in range(6):
        other.append("request", {})
    shutil.copy(other.journal.file, filled.journal.file)
    for look in (filled.head, filled.verify):
        with pytest.raises(LedgerBroken, match=r"line 7 is not the fact that head\.json remembers"):
            look()


def test_a_missing_ledger_or_head_is_said(filled: Ledger) -> None:
    whole = filled.journal.file.read_bytes()
    filled.journal.file.unlink()
    with pytest.raises(LedgerBroken, match=r"ledger\.jsonl: cannot be read"):
        filled.verify()
    filled.journal.file.write_bytes(whole)
    filled.journal.head_file.unlink()
    with pytest.raises(LedgerBroken, match=r"head\.json: missing"):
        filled.head()


@pytest.mark.parametrize("torn", [b'{"at":"2026', b"\0" * 40, b"\0" * 40 + b"\n", b'{"at":"2026"}\n'])
def test_a_torn_line_is_named_and_set_aside_on_request_only(filled: Ledger, torn: bytes) -> None:
    ledger = filled
    whole, head = ledger.journal.file.read_bytes(), ledger.head()
    ledger.journal.file.write_bytes(whole + torn)
    for look in (ledger.verify, ledger.head, ledger.lineage_head, lambda: ledger.append("request", {})):
        with pytest.raises(LedgerBroken, match=r"line 8 is torn.*disgorge ledger verify --repair"):
            look()
    assert ledger.journal.file.read_bytes() == whole + torn
    aside = ledger.set_aside_torn_line()
    assert aside == ledger.home / "ledger.torn-1"
    assert aside.read_bytes() == torn
    assert (ledger.journal.file.read_bytes(), ledger.head()) == (whole, head)
    assert ledger.set_aside_torn_line() is None
    assert ledger.append("request", {}).seq == 8


def test_a_batch_that_was_torn_is_set_aside_whole(filled: Ledger) -> None:
    ledger = filled
    whole, head = ledger.journal.file.read_bytes(), ledger.journal.head_file.read_bytes()
    ledger.append_all([("request", {"part": 1}), ("request", {"part": 2})])
    batch = ledger.journal.file.read_bytes()[len(whole) :]
    ledger.journal.head_file.write_bytes(head)  # as a crash in the middle of the append leaves it
    ledger.journal.file.write_bytes(whole + batch[:-9])
    aside = ledger.set_aside_torn_line()
    assert aside is not None
    assert aside.read_bytes() == batch[:-9]
    assert ledger.journal.file.read_bytes() == whole


def test_whole_lines_that_a_crash_left_unacknowledged_count(filled: Ledger) -> None:
    ledger = filled
    head = ledger.journal.head_file.read_bytes()
    fact = ledger.append("shard", {"late": True})
    ledger.journal.head_file.write_bytes(head)
    assert (ledger.verify(), ledger.head(), ledger.lineage_head()) == (8, fact.digest, fact.digest)
    assert ledger.append("request", {}).previous == fact.digest
    assert ledger.verify() == 9


# A lost end --------------------------------------------------------------------------------------------------------


def everything(facts: Sequence[Fact]) -> int:
    """Keep all facts that are there."""
    return len(facts)


@pytest.mark.parametrize("lost", [1, 3, 6])
@pytest.mark.parametrize("rest", [b"", b'{"at":"2026', b"\0" * 40])
def test_a_lost_end_is_accepted_and_stands_in_the_ledger(filled: Ledger, lost: int, rest: bytes) -> None:
    head, lines = filled.head(), filled.journal.file.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:-lost])
    filled.journal.file.write_bytes(kept + rest)
    with pytest.raises(LedgerBroken, match=r"it was cut.*--accept-loss"):
        filled.verify()
    loss, aside = filled.accept_loss(everything)
    assert (loss.first, loss.last, loss.digest) == (len(lines) - lost + 1, len(lines), head)
    assert aside == (filled.home / "ledger.lost-1" if rest else None)
    assert aside is None or aside.read_bytes() == rest
    assert filled.journal.file.read_bytes().startswith(kept)
    again = Ledger.open(filled.workspace)
    assert again.verify() == len(lines) - lost + 1
    assert list(losses_of(again.facts())) == [loss]
    assert again.append("request", {}).seq == len(lines) - lost + 2
    assert again.lineage_head() == again.facts("loss-accepted").__next__().digest, "plans from before are stale"


def test_what_is_not_kept_is_moved_aside(filled: Ledger) -> None:
    lines = filled.journal.file.read_bytes().splitlines(keepends=True)
    filled.journal.file.write_bytes(b"".join(lines[:-1]))
    loss, aside = filled.accept_loss(lambda facts: len(facts) - 2)
    assert aside is not None
    assert aside.read_bytes() == b"".join(lines[-3:-1])
    assert (loss.first, loss.last) == (len(lines) - 2, len(lines))


@pytest.mark.parametrize(
    "harm", ["nothing", "torn", "edited", "reordered", "removed", "emptied", "gone", "other", "head"]
)
def test_no_other_damage_is_accepted(filled: Ledger, harm: str) -> None:
    file, lines = filled.journal.file, filled.journal.file.read_bytes().splitlines(keepends=True)
    damaged = {
        "torn": [*lines, b'{"at"'],
        "edited": [*lines[:2], lines[2].replace(b"x", b"y", 1), *lines[3:-1]],
        "reordered": [lines[0], lines[2], lines[1], *lines[3:-1]],
        "removed": [*lines[:2], *lines[3:]],
        "emptied": [b""],
        "other": [*lines[:-2], lines[-1]],
    }.get(harm, lines)
    file.write_bytes(b"".join(damaged))
    if harm == "gone":
        file.unlink()
    if harm == "head":
        filled.journal.head_file.unlink()
    before = {path.name: path.read_bytes() for path in filled.home.iterdir() if path.is_file()}
    with pytest.raises(LineageError) as raised:
        Ledger.open(filled.workspace).accept_loss(everything)
    assert isinstance(raised.value, LedgerBroken) or harm == "nothing"
    assert {path.name: path.read_bytes() for path in filled.home.iterdir() if path.is_file()} | {
        "ledger.lock": b""
    } == before | {"ledger.lock": b""}


# Writing that fails ---------------------------------------------------------------------------------------------


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let writes beyond ``size`` bytes fail in the kernel, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_ledger_as_it_was(filled: Ledger) -> None:
    ledger = filled
    before = {path.name: path.read_bytes() for path in ledger.home.iterdir() if path.is_file()}
    for room in (0, 10, 150):  # no room for head.json, for the line, for all of the line
        size = len(before["ledger.jsonl"]) + room if room else 8
        with (
            pytest.raises(LineageError, match=r"nothing was|nothing was recorded") as raised,
            no_file_larger_than(size),
        ):
            ledger.append("shard", {"text": "z" * 500})
        assert "\n" not in str(raised.value)
        after = {path.name: path.read_bytes() for path in ledger.home.iterdir() if path.is_file()}
        assert after == {**before, "ledger.lock": b""}
    assert ledger.append("shard", {"text": "z" * 500}).seq == 8


def test_a_writer_waits_for_another_and_then_gives_up(ledger: Ledger) -> None:
    (ledger.home / "config.toml").write_text("lock_seconds = 0.1\n")
    impatient = Ledger.open(ledger.workspace)
    with FileLock(ledger.home / "ledger.lock"):
        with pytest.raises(WorkspaceBusy, match="another process"):
            impatient.append("request", {})
        assert impatient.verify() == 1  # readers wait for nobody
    assert impatient.append("request", {}).seq == 2


@pytest.mark.parametrize("config", ["lock_seconds = 'long'", "lock_seconds = -1", "= nonsense", "lock_seconds = true"])
def test_a_bad_setting_is_named(ledger: Ledger, config: str) -> None:
    (ledger.home / "config.toml").write_text(config)
    with pytest.raises(BadInput, match=r"config\.toml"):
        Ledger.open(ledger.workspace)


def test_a_reader_that_meets_a_half_written_line_lets_the_writer_finish(filled: Ledger) -> None:
    ledger = filled
    whole = ledger.journal.file.read_bytes()
    ledger.append("request", {})
    extended, head = ledger.journal.file.read_bytes(), ledger.journal.head_file.read_bytes()
    held, done = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with FileLock(ledger.home / "ledger.lock"):
            ledger.journal.file.write_bytes(extended[: len(whole) + 30])
            held.set()
            time.sleep(0.3)
            ledger.journal.file.write_bytes(extended)
            done.set()

    ledger.journal.head_file.write_bytes(head)
    writer = threading.Thread(target=write_slowly)
    writer.start()
    held.wait()
    assert ledger.verify() == 8
    assert done.is_set()
    writer.join()


def append_many(workspace: Path, count: int) -> None:
    ledger = Ledger.open(workspace)
    for number in range(count):
        ledger.append("request", {"number": number})


def test_two_processes_writing_at_once_make_one_chain(ledger: Ledger) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(ledger.workspace, 30)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert ledger.verify() == 61


def test_a_writer_killed_at_any_moment_leaves_a_ledger_that_goes_on(ledger: Ledger) -> None:
    code = (
        "import sys; from pathlib import Path; from lineage.workspace import Ledger\n"
        "ledger = Ledger.open(Path(sys.argv[1])); print('ready', flush=True)\n"
        "while True: ledger.append_all([('request', {'text': 'x' * 20_000})] * 5)\n"
    )
    for pause in (0.0, 0.013, 0.037):
        writer = subprocess.Popen([sys.executable, "-c", code, str(ledger.workspace)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        ledger.set_aside_torn_line()
        ledger.append("request", {})
        assert ledger.verify() > 1


# Private --------------------------------------------------------------------------------------------------------


def test_pseudonyms_are_keyed_by_the_workspace(tmp_path: Path) -> None:
    one, other = Ledger.init(tmp_path / "one"), Ledger.init(tmp_path / "other")
    assert one.pseudonym("Ada") == Ledger.open(one.workspace).pseudonym("Ada")
    assert len({one.pseudonym("Ada"), one.pseudonym("Bob"), other.pseudonym("Ada"), one.withdrawn_mark("Ada")}) == 4


def test_withdrawn_items_are_remembered_under_a_key(ledger: Ledger) -> None:
    item, other = "a" * 64, "b" * 64
    assert not ledger.is_withdrawn(item)
    ledger.mark_withdrawn([item])
    ledger.mark_withdrawn([item])
    assert (ledger.is_withdrawn(item), ledger.is_withdrawn(other)) == (True, False)
    Ledger.open(ledger.workspace).mark_withdrawn([other])
    assert ledger.is_withdrawn(other)
    text = ledger.private.marks_file.read_text()
    assert text.split()[:-2] == sorted([ledger.withdrawn_mark(item), ledger.withdrawn_mark(other)])
    assert item not in text
    assert stat.S_IMODE(ledger.private.marks_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["emptied", "edited", "other key", "older", "gone"])
def test_a_list_of_withdrawn_items_that_is_not_as_it_was_left_is_refused(ledger: Ledger, damage: str) -> None:
    assert ledger.mark_withdrawn(["a" * 64]) == 1
    older = ledger.private.marks_file.read_bytes()
    body = {"shard": "c" * 64, "name": "s", "after": None, "removed": 2, "request": "R-1", "plan": "d" * 64}
    ledger.append("shard-withdrawn", body | {"marks": ledger.mark_withdrawn(["a" * 64, "b" * 64])})
    ledger.require_marks()
    file = ledger.private.marks_file
    if damage == "emptied":
        file.write_text("")
    elif damage == "edited":
        file.write_text(file.read_text().replace(ledger.withdrawn_mark("a" * 64), "0" * 64))
    elif damage == "older":
        file.write_bytes(older)
    elif damage == "gone":
        file.unlink()
    else:
        (file.parent / "withdrawn.key").write_text("00" * 32)
    with pytest.raises(LineageError, match=r"withdrawn\.txt.*restore"):
        Ledger.open(ledger.workspace).require_marks()


def test_a_missing_key_is_said(ledger: Ledger) -> None:
    (ledger.home / "private" / "pseudonym.key").unlink()
    with pytest.raises(LineageError, match=r"pseudonym\.key.*backup"):
        ledger.pseudonym("Ada")


def test_paths_of_a_shard_are_made_from_digests_only(ledger: Ledger) -> None:
    assert ledger.manifest_path("a" * 64).name == "a" * 64 + ".parquet"
    assert ledger.content_path("a" * 64).parent == ledger.workspace / "shards"
    with pytest.raises(UnknownRecord, match="not the digest of a shard"):
        ledger.manifest_path("../../private/pseudonym")


def test_what_was_checked_before_is_noticed_when_it_is_edited(tmp_path: Path) -> None:
    """A ledger remembers what it checked, and only hashes that as one piece: an edit there must not slip through."""
    ledger = Ledger.init(tmp_path)
    for number in range(5):
        ledger.append("hold", {"request": f"R-{number}", "on": True, "reason": "x"})
    assert ledger.verify() == 6
    file = ledger.home / "ledger.jsonl"
    file.write_bytes(file.read_bytes().replace(b"R-2", b"R-7"))
    with pytest.raises(LedgerBroken, match="line 4 was edited"):
        ledger.verify()
    file.write_bytes(file.read_bytes().replace(b"R-7", b"R-2"))
    ledger.append("hold", {"request": "R-9", "on": True, "reason": "x"})
    assert ledger.verify() == 7


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1" + "0" * 400, "true", "'30'", "1e9"])
def test_a_time_to_wait_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    Ledger.init(tmp_path)
    (tmp_path / ".disgorge" / "config.toml").write_text(f"lock_seconds = {value}\n")
    with pytest.raises(BadInput, match=r"config\.toml: lock_seconds must be a number of seconds up to 86,400"):
        Ledger.open(tmp_path)
