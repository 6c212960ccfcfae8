"""A workspace: the ledger of facts, and where its objects, private files, manifests and contents are.

>>> import tempfile
>>> from lineage.ledger.fact_kinds import ReleaseFact
>>> workspace = Workspace.init(Path(tempfile.mkdtemp()))
>>> (fact,) = workspace.ledger.record(ReleaseFact("digits", "live", "ab" * 32))
>>> [fact.kind for fact in workspace.ledger.facts()], workspace.ledger.head() == fact.digest
(['opened', 'release'], True)
"""

import datetime as dt
import math
import os
import re
import secrets
import shutil
import tomllib
import zoneinfo
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lineage.errors import BadInput, LineageError, NoWorkspace, UnknownRecord
from lineage.git_ignored import HOME, ignore_data
from lineage.ledger.chain import FORMAT, Fact, next_fact
from lineage.ledger.fact_kinds import ShardWithdrawnFact
from lineage.ledger.journal import LOCK_SECONDS, Journal
from lineage.ledger.ledger import Ledger, stamp
from lineage.private import Private
from lineage.storage.objects import Objects

FOLDER = ".disgorge"
Clock = Callable[[], dt.datetime]
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_LOCK_SECONDS = 86_400
"""Seconds of a day: who waits longer waits for something that will not come."""
_CONFIG = """\
# Settings of this workspace. Every line may be left out.
lock_seconds = 30   # how long a writer waits for another one
# time_zone = "Europe/Berlin"   # whose days count for receipt and deadlines; by default the machine's
# largest_searched_gb = 1   # of a text, database or member of an archive in which a removal looks for rows
"""
_FURTHEST_EAST = dt.timezone(dt.timedelta(hours=14))
"""The time zone in which a day begins first: UTC+14, the Line Islands."""


def system_clock() -> dt.datetime:
    """Return the time now, in UTC."""
    return dt.datetime.now(dt.UTC)


class Workspace:
    """A workspace's parts: ``root`` is its folder, ``home`` is ``.disgorge`` in it."""

    def __init__(self, root: Path, *, clock: Clock = system_clock):
        self.root = root
        self.home = root / FOLDER
        settings = _settings(self.home / "config.toml")
        lock_seconds = _lock_seconds(self.home / "config.toml", settings)
        self.ledger = Ledger(self.home, clock=self.now, lock_seconds=lock_seconds)
        self._time_zone = _time_zone(self.home / "config.toml", settings)
        self.largest_searched = _largest_searched(self.home / "config.toml", settings)
        """Bytes of the largest text in which a search looks for rows."""
        self.objects = Objects(self.home / "objects")
        self.private = Private(self.home / "private")
        self._clock = clock

    @classmethod
    def init(cls, root: Path, *, clock: Clock = system_clock) -> "Workspace":
        """Make a workspace in a folder and return it; it appears whole or not at all.

        Raises :class:`~lineage.errors.LineageError` if there is one already.
        """
        root = Path(root).resolve()
        home = root / FOLDER
        if home.exists():
            raise LineageError(f"{home} exists already: this folder is a workspace; use it, or choose another folder")
        aside = root / f"{FOLDER}-{secrets.token_hex(8)}"
        try:
            aside.mkdir(parents=True)
            (aside / "config.toml").write_text(_CONFIG, encoding="utf-8")
            (aside / ".gitignore").write_text("".join(f"{line}\n" for line in HOME), encoding="utf-8")
            ignore_data(root)
            Private(aside / "private").create()
            fact = next_fact(None, kind="opened", body={"format": FORMAT}, at=stamp(clock()))
            Journal(aside).create(fact)
            os.rename(aside, home)
        except OSError as problem:
            raise LineageError(f"{home}: cannot be made ({problem.strerror}); check the folder") from problem
        finally:
            if aside.exists():
                shutil.rmtree(aside, ignore_errors=True)
        return cls(root, clock=clock)

    @classmethod
    def open(cls, start: Path | None = None, *, clock: Clock = system_clock) -> "Workspace":
        """Return the workspace that holds ``start`` (the current folder), walking up as git does."""
        here = Path(start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / FOLDER).is_dir():
                return cls(folder, clock=clock)
        raise NoWorkspace(f"no {FOLDER} in {here} or any folder above it; make one with `disgorge init`")

    def now(self) -> dt.datetime:
        """Return the time of the clock this workspace was opened with, in UTC."""
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
        return self.root / "shards" / f"{_checked_digest(shard)}.parquet"

    def pseudonym(self, name: str) -> str:
        """Return the pseudonym of a person, however spelled: keyed, so that no list of names leads to it."""
        return self.private.pseudonym(name)

    def subject(self, name: str) -> str:
        """Return the value of a selector for a person, by name in any spelling or by just this id; keyed as well."""
        return self.private.subject(name)

    def mark_withdrawn(self, items: Iterable[str]) -> int:
        """Remember that these items, by digest, must not come back; return how many items that is said of by now."""
        with self.ledger.journal.writing():
            return self.private.mark_withdrawn(items)

    def require_marks(self) -> None:
        """Raise :class:`LineageError` unless as many withdrawn items are remembered as the facts count."""
        counted = max((said.marks for _, said in self.ledger.said(ShardWithdrawnFact)), default=0)
        if (there := len(self.private.marks())) < counted:
            raise LineageError(
                f"{self.private.marks_file}: remembers {there} withdrawn items and {counted} were withdrawn; copy it "
                f"with withdrawn.key from where requests are carried out, or restore the newest backup"
            )


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


def _largest_searched(config: Path, settings: dict[str, Any]) -> int:
    value = settings.get("largest_searched_gb", 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise BadInput(f"{config}: largest_searched_gb must be a number of GB above 0, not {value!r:.40}; correct it")
    return int(value * 10**9)


def _checked_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise UnknownRecord(f"{text!r} is not the digest of a shard: that is 64 hexadecimal characters")
    return text
