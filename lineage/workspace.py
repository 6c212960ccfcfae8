"""The ledger: an append-only file of hash-chained facts, and the workspace it lives in.

``.disgorge/ledger.jsonl`` is the truth about lineage. Writers take a file lock, check the end of the file, append and
fsync; readers take no lock and check the whole chain. ``head.json`` repeats the last fact's place and digest, written
after the append, so that a ledger cut at a line's end is noticed as well.

>>> import tempfile
>>> ledger = Ledger.init(Path(tempfile.mkdtemp()))
>>> fact = ledger.append("release", {"name": "digits", "alias": "live", "composition": "ab" * 32})
>>> [fact.kind for fact in ledger.facts()], ledger.head() == fact.digest
(['opened', 'release'], True)

What this costs, and does not give: reading verifies every byte, a second for some hundred thousand facts; and a chain
shows tampering to somebody who remembers a head, it does not prevent a new chain from being written from the start.
"""

import datetime as dt
import os
import re
import secrets
import shutil
import tomllib
import zoneinfo
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage import losses
from lineage.errors import BadInput, LineageError, NoWorkspace, UnknownRecord
from lineage.git_ignored import HOME, ignore_data
from lineage.ledger.chain import Fact, Link, next_fact, parse
from lineage.ledger.journal import LOCK_SECONDS, Head, Journal
from lineage.private import Private
from lineage.records import Json, Use
from lineage.storage.objects import Objects

if TYPE_CHECKING:
    from lineage.recording import Recording

__all__ = ["FOLDER", "LINEAGE_KINDS", "Fact", "Ledger"]

FOLDER = ".disgorge"
LINEAGE_KINDS = (
    "shard",
    "shard-withdrawn",
    "component",
    "component-retired",
    "composition",
    "release",
    "release-contained",
    "release-withdrawn",
    "purged",
    losses.KIND,
)
"""Kinds of facts that change lineage: a plan goes stale when one is appended."""

Clock = Callable[[], dt.datetime]
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_LOCK_SECONDS = 86_400
"""Seconds of a day: who waits longer waits for something that will not come."""
_CONFIG = """\
# Settings of this workspace. Every line may be left out.
format = 1
lock_seconds = 30   # how long a writer waits for another one
# time_zone = "Europe/Berlin"   # whose days count for receipt and deadlines; by default the machine's
"""
_FURTHEST_EAST = dt.timezone(dt.timedelta(hours=14))
"""The time zone in which a day begins first: UTC+14, the Line Islands."""


def system_clock() -> dt.datetime:
    """Return the time now, in UTC."""
    return dt.datetime.now(dt.UTC)


class Ledger:
    """The facts of one workspace, and where its other files are."""

    def __init__(self, workspace: Path, *, clock: Clock = system_clock):
        self.workspace = workspace
        self.home = workspace / FOLDER
        settings = _settings(self.home / "config.toml")
        self.journal = Journal(self.home, lock_seconds=_lock_seconds(self.home / "config.toml", settings))
        self._time_zone = _time_zone(self.home / "config.toml", settings)
        self.objects = Objects(self.home / "objects")
        self.private = Private(self.home / "private")
        self._clock = clock

    @classmethod
    def init(cls, workspace: Path, *, clock: Clock = system_clock) -> "Ledger":
        """Make a workspace in a folder and return its ledger; it appears whole or not at all.

        Raises :class:`~lineage.errors.LineageError` if there is one already.
        """
        workspace = Path(workspace).resolve()
        home = workspace / FOLDER
        if home.exists():
            raise LineageError(f"{home} exists already: this folder is a workspace; use it, or choose another folder")
        aside = workspace / f"{FOLDER}-{secrets.token_hex(8)}"
        try:
            aside.mkdir(parents=True)
            (aside / "config.toml").write_text(_CONFIG, encoding="utf-8")
            (aside / ".gitignore").write_text("".join(f"{line}\n" for line in HOME), encoding="utf-8")
            ignore_data(workspace)
            Private(aside / "private").create()
            fact = next_fact(None, kind="opened", body={"format": 1}, at=_stamp(clock()))
            Journal(aside).create(fact)
            os.rename(aside, home)
        except OSError as problem:
            raise LineageError(f"{home}: cannot be made ({problem.strerror}); check the folder") from problem
        finally:
            if aside.exists():
                shutil.rmtree(aside, ignore_errors=True)
        return cls(workspace, clock=clock)

    @classmethod
    def open(cls, start: Path | None = None, *, clock: Clock = system_clock) -> "Ledger":
        """Return the ledger of the workspace that holds ``start`` (the current folder), walking up as git does."""
        here = Path(start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / FOLDER).is_dir():
                return cls(folder, clock=clock)
        raise NoWorkspace(f"no {FOLDER} in {here} or any folder above it; make one with `disgorge init`")

    def now(self) -> dt.datetime:
        """Return the time of the clock this ledger was opened with, in UTC."""
        return self._clock().astimezone(dt.UTC)

    def local_time(self) -> dt.datetime:
        """Return the time now in the workspace's ``time_zone``, by default the machine's."""
        return self.now().astimezone(self._time_zone)

    def today(self) -> dt.date:
        """Return the controller's day, in which receipt, deadlines, overdue, decided and purge dates are counted."""
        return self.local_time().date()

    def day_of(self, fact: Fact) -> dt.date:
        """Return the controller's day on which a fact was recorded."""
        return dt.datetime.fromisoformat(fact.at).astimezone(self._time_zone).date()

    def latest_today(self) -> dt.date:
        """Return the latest date that is today anywhere on earth: what arrived there, arrived by then."""
        return self.now().astimezone(_FURTHEST_EAST).date()

    def manifest_path(self, shard: str) -> Path:
        """Return where the manifest of the shard with that digest is."""
        return self.home / "manifests" / f"{_checked_digest(shard)}.parquet"

    def content_path(self, shard: str) -> Path:
        """Return where the content of the shard with that digest is."""
        return self.workspace / "shards" / f"{_checked_digest(shard)}.parquet"

    def pseudonym(self, name: str) -> str:
        """Return the pseudonym of a person, however spelled: keyed, so that no list of names leads to it."""
        return self.private.pseudonym(name)

    def keyed(self, text: str) -> str:
        """Return the keyed mark of a text, such as an item's key, in which every character counts."""
        return self.private.keyed(text)

    def withdrawn_mark(self, item: str) -> str:
        """Return the keyed mark under which a withdrawn item's digest is remembered."""
        return self.private.withdrawn_mark(item)

    def mark_withdrawn(self, items: Iterable[str]) -> int:
        """Remember that these items, by digest, must not come back; return how many items that is said of by now."""
        with self.journal.writing():
            return self.private.mark_withdrawn(items)

    def require_marks(self) -> None:
        """Raise :class:`LineageError` unless as many withdrawn items are remembered as the facts count."""
        counted = max((fact.body.get("marks", 0) for fact in self.facts("shard-withdrawn")), default=0)
        if (there := len(self.private.marks())) < counted:
            raise LineageError(
                f"{self.private.marks_file}: remembers {there} withdrawn items and {counted} were withdrawn; copy it "
                f"with withdrawn.key from where requests are carried out, or restore the newest backup"
            )

    def is_withdrawn(self, item: str) -> bool:
        """Return whether the item with that digest was withdrawn once."""
        return self.private.is_withdrawn(item)

    def recording(
        self,
        *,
        kind: str,
        name: str,
        uses: Sequence[Use | tuple[str, str]],
        recipe: dict[str, Json] | None = None,
    ) -> "AbstractContextManager[Recording]":
        """Record a component trained by the code inside the ``with`` block; see :mod:`lineage.recording`."""
        from lineage.recording import recording

        return recording(self, kind=kind, name=name, uses=uses, recipe=recipe)

    def append(self, kind: str, body: dict[str, Any]) -> Fact:
        """Append one fact and return it. On any failure the ledger is as it was."""
        return self.append_all([(kind, body)])[0]

    def append_all(self, facts: Iterable[tuple[str, dict[str, Any]]]) -> tuple[Fact, ...]:
        """Append several facts under one lock and one fsync: all of them, or none.

        Raises :class:`~lineage.errors.WorkspaceBusy`, :class:`~lineage.errors.LedgerBroken` (nothing is appended to a
        broken ledger) and :class:`~lineage.errors.LineageError` when the disk is full.
        """
        wanted = list(facts)
        if not wanted:
            return ()

        def following(last: Link) -> list[Fact]:
            at, made = _stamp(self.now()), []
            after: Fact | Link = last
            for kind, body in wanted:
                after = next_fact(after, kind=kind, body=body, at=at)
                made.append(after)
            return made

        return self.journal.append(following)

    def facts(self, *kinds: str) -> Iterator[Fact]:
        """Yield the facts of these kinds (all of them by default), oldest first.

        The whole chain is checked before the first is yielded; :class:`~lineage.errors.LedgerBroken` names the line.
        """
        for number, (line, link) in enumerate(self.journal.lines(), start=1):
            if not kinds or link.kind in kinds:
                yield parse(line, number=number, where=str(self.journal.file))

    def verify(self) -> int:
        """Check the whole chain and return how many facts it holds; :class:`~lineage.errors.LedgerBroken`."""
        return sum(1 for _ in self.facts())

    def head(self) -> str:
        """Return the digest of the last fact. Reads the end of the file only."""
        return self.journal.tail().digest

    def lineage_head(self) -> str:
        """Return the digest of the last fact that changed lineage, "" if there is none. Checks the whole chain."""
        return next((link.digest for _, link in reversed(self.journal.lines()) if link.kind in LINEAGE_KINDS), "")

    def set_aside_torn_line(self) -> Path | None:
        """Move a torn last line to a file beside the ledger and return its path; None if no line is torn."""
        return self.journal.set_aside_torn_line()

    def accept_loss(self, keep: Callable[[Sequence[Fact]], int]) -> tuple[losses.Loss, Path | None]:
        """Go on though the last facts are gone, record that as a fact, and return what was lost.

        ``keep`` returns how many of the facts that are there stay facts, at least one; the others are moved to a file
        beside the ledger, whose path is returned too, None if there are none. Raises
        :class:`~lineage.errors.LedgerBroken` for any damage but a lost end.
        """

        def kept(lines: Sequence[bytes]) -> int:
            where = str(self.journal.file)
            return max(1, keep([parse(line, number=n, where=where) for n, line in enumerate(lines, start=1)]))

        def following(last: Link, head: Head) -> Fact:
            body = losses.body_of(last.seq + 1, head.seq, head.digest)
            return next_fact(last, kind=losses.KIND, body=body, at=_stamp(self.now()))

        fact, aside = self.journal.accept_loss(kept, following)
        return next(losses.losses_of([fact])), aside


def _stamp(now: dt.datetime) -> str:
    return now.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _settings(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise BadInput(
            f"{config}: cannot be read ({problem}); correct it, or delete it to use the defaults"
        ) from problem


def _time_zone(config: Path, settings: dict[str, Any]) -> zoneinfo.ZoneInfo | None:
    """Return the zone that the settings name, or None for the machine's."""
    name = settings.get("time_zone")
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError, TypeError):
        raise BadInput(
            f"{config}: unknown time_zone {name!r:.60}; use a name of the IANA database, such as Europe/Berlin"
        ) from None


def _lock_seconds(config: Path, settings: dict[str, Any]) -> float:
    value = settings.get("lock_seconds", LOCK_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_LOCK_SECONDS:
        most = f"{_MOST_LOCK_SECONDS:,}"
        raise BadInput(
            f"{config}: lock_seconds must be a number of seconds up to {most}, not {value!r:.40}; correct it"
        )
    return float(value)


def _checked_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise UnknownRecord(f"{text!r} is not the digest of a shard: that is 64 hexadecimal characters")
    return text
