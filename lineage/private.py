"""What is never committed: the keys of pseudonyms and of the list of withdrawn items.

A digest of known content identifies it, so the ledger does not name what was removed. That a withdrawn item must not
come back is remembered as a keyed mark (HMAC-SHA256) in ``private/withdrawn.txt``; a person appears as a keyed
pseudonym. Without ``private/`` neither can be computed, so the folder is to be backed up, and apart from the rest.

The list ends with a seal, keyed too: a list that was emptied, edited or is read with another key is refused. That it is
not an older one is for the ledger to say, which counts the marks (:meth:`lineage.workspace.Workspace.require_marks`).
"""

import hashlib
import hmac
import os
import secrets
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from lineage.errors import BadInput, LineageError
from lineage.storage.objects import write_atomically

_KEY_BYTES = 32  # as long as the hash
_SEAL = "seal "


class Private:
    """The folder ``private`` of a workspace."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._keys: dict[str, bytes] = {}
        self._marks: frozenset[str] = frozenset()
        self._marks_as_of: tuple[int, int] | None = None

    @property
    def marks_file(self) -> Path:
        """The list of keyed marks, one a line, sorted, and their seal."""
        return self.folder / "withdrawn.txt"

    def create(self) -> None:
        """Make the folder, closed to others, with fresh keys."""
        self.folder.mkdir(mode=0o700)
        os.chmod(self.folder, 0o700)  # mkdir's mode is subject to the umask
        for name in ("pseudonym.key", "withdrawn.key"):
            write_atomically(self.folder / name, secrets.token_bytes(_KEY_BYTES).hex().encode() + b"\n", mode=0o600)

    def pseudonym(self, name: str) -> str:
        """Return the pseudonym of a person or an account, 64 hexadecimal characters: one for all spellings."""
        return self._mark("pseudonym.key", normalized_name(name))

    def subject(self, name: str) -> str:
        """Return what selects a person who is called so, or has this id: a pseudonym, a colon and the mark of the id.

        Of a column of names it selects every spelling, of a column of ids just this one.
        """
        return f"{self.pseudonym(name)}:{self._id_mark(name)}"

    def written(self, subject: str, *, is_id: bool) -> str | None:
        """Return how a subject was written: ``id`` and its mark, or ``name`` and the beginning of one.

        None is a name that was written as it is compared, or one that was recorded before this was kept. A mark that
        says ``id`` is part of who the item is about: only the same id selects it.
        """
        if is_id:
            return f"id {self._id_mark(subject)}"
        name = unicodedata.normalize("NFC", subject)
        return (
            None if name == normalized_name(subject) else f"name {self._mark('pseudonym.key', f'written {name}')[:16]}"
        )

    def _id_mark(self, text: str) -> str:
        return self._mark("pseudonym.key", f"id {unicodedata.normalize('NFC', text).strip()}")

    def keyed(self, text: str) -> str:
        """Return the keyed mark of a text as it is, each byte counting."""
        return self._mark("pseudonym.key", text)

    def bucket(self, name: str, count: int) -> int:
        """Return a number below ``count`` for a person or a value, one for all spellings; none tells the name."""
        return int(self._mark("pseudonym.key", f"shard {normalized_name(name)}"), 16) % count

    def withdrawn_mark(self, item: str) -> str:
        """Return the mark of an item's digest."""
        return self._mark("withdrawn.key", item)

    @property
    def can_seal(self) -> bool:
        """Whether the key that seals is here."""
        return (self.folder / "withdrawn.key").is_file()

    def seal(self, text: str) -> str:
        """Return a keyed seal of a text that is kept here; it cannot be made without the key."""
        return self._mark("withdrawn.key", f"{_SEAL}{text}")

    def mark_withdrawn(self, items: Iterable[str]) -> int:
        """Add the marks of these item digests to the list and return how many it has; the caller holds the lock."""
        known = self.marks()
        marks = known.union(self.withdrawn_mark(item) for item in items)
        if marks != known:
            text = "".join(f"{mark}\n" for mark in sorted(marks))
            write_atomically(self.marks_file, f"{text}{_SEAL}{self.seal(text)}\n".encode(), mode=0o600)
        return len(marks)

    def is_withdrawn(self, item: str) -> bool:
        """Return whether this item digest is on the list."""
        known = self.marks()
        return bool(known) and self.withdrawn_mark(item) in known

    def marks(self) -> frozenset[str]:
        """Return every mark on the list; :class:`LineageError` for a list that is not as it was written."""
        try:
            stat = self.marks_file.stat()
            if (as_of := (stat.st_mtime_ns, stat.st_ino)) != self._marks_as_of:
                text, _, seal = self.marks_file.read_text(encoding="ascii").rpartition(_SEAL)
                if not hmac.compare_digest(seal.rstrip("\n"), self.seal(text)):
                    raise LineageError(
                        f"{self.marks_file}: was changed, or withdrawn.key was; restore both from a backup, or "
                        "withdrawn items could come back unseen"
                    )
                self._marks = frozenset(text.split())
                self._marks_as_of = as_of
        except FileNotFoundError:
            return frozenset()
        except (OSError, UnicodeDecodeError) as problem:
            raise LineageError(f"{self.marks_file}: cannot be read ({problem}); restore it from a backup") from problem
        return self._marks

    def _mark(self, key: str, text: str) -> str:
        try:
            data = text.encode()
        except UnicodeEncodeError as problem:
            raise BadInput(f"{text[:40]!r} is not Unicode; write it in UTF-8") from problem
        return hmac.new(self._key(key), data, hashlib.sha256).hexdigest()

    def _key(self, name: str) -> bytes:
        if name not in self._keys:
            path = self.folder / name
            try:
                self._keys[name] = bytes.fromhex(path.read_text(encoding="ascii").strip())
            except (OSError, ValueError) as problem:
                raise LineageError(
                    f"{path}: the workspace's key is missing or damaged; it is never committed, so copy the private "
                    "folder from where the workspace was made, or restore its backup"
                ) from problem
        return self._keys[name]


def normalized_name(name: str) -> str:
    r"""Return a person's name without what is not seen or not meant: case, width, spaces, invisible characters.

    A request that missed half of a name's spellings would be a false removal. Ids are told apart by what is recorded
    beside the pseudonym (:meth:`Private.written`). A name of which nothing is left stays as it is.

    >>> normalized_name(" Ann\u200b  LEE ") == normalized_name("ann lee")
    True
    >>> normalized_name("Zoe\u0308") == normalized_name("ZO\u00cb")
    True
    """
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen.casefold()).split()) or name
