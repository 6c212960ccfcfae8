"""The zip of a report: the same members always give the same bytes, and no other form is read.

Members are stored uncompressed, sorted by name, with one fixed time and fixed permissions, so two people who pack the
same members get the same bytes. Reading packs again what was read and refuses a file that differs in any byte: whatever
a zip can hide (comments, gaps, doubled entries, headers that disagree, links, compression) is not looked for one by
one. The cost: a bundle is as large as its members, and a zip that some other tool packed again is refused.

>>> whole = pack({"b.json": b"2", "a.json": b"1"})
>>> unpack(whole, where="R-1.zip")
{'a.json': b'1', 'b.json': b'2'}
"""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.statement.records import AGAIN

_NAME = re.compile(
    r"[a-z0-9][a-z0-9-]*(\.[a-z0-9]+)+|(inputs|weights|code|artifacts|attestations)/[0-9a-f]{64}\.[a-z]+"
)
INPUTS, WEIGHTS, CODE, ARTIFACTS = "inputs/", "weights/", "code/", "artifacts/"
"""The folders of what is attached on demand: retained shards, weights, local code and artifacts, named by digest."""
ATTESTATIONS = "attestations/"
"""The folder of the signed attestations of new components, and of earlier keys that signed some; named by SHA-256."""
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say
_MODE = 0o100644 << 16  # a plain file, readable by all
_MOST_MEMBERS = 10_000
_MOST_BYTES = 4 << 30  # a bundle is held in memory


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the zip of these members; :class:`DisgorgeError` if they are more than a bundle may hold."""
    if len(members) > _MOST_MEMBERS or sum(map(len, members.values())) > _MOST_BYTES:
        raise DisgorgeError("the bundle would be too large to hold together; write the report without its inputs")
    return _packed(members)


def _packed(members: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = 3, _MODE
            archive.writestr(entry, members[name])
    return whole.getvalue()


def unpack(data: bytes, *, where: str) -> dict[str, bytes]:
    """Return the members by name; :class:`BundleBroken` for any zip :func:`pack` would not have written.

    Nothing is written anywhere, and no member is read before the sizes of all of them are known to fit the file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries, len(data), where=where)
            members = {entry.filename: archive.read(entry) for entry in entries}
        same = _packed(members) == data
    except BundleBroken:
        raise
    except Exception as error:  # arbitrary bytes: zipfile raises many types
        said = f"{type(error).__name__}: {error}"[:200]
        raise BundleBroken(f"{where} is not a zip that can be read ({said}); {AGAIN}") from error
    if not same:
        raise BundleBroken(f"{where} was packed again or edited: it is not written as a bundle is; {AGAIN}")
    return members


def _check_entries(entries: list[zipfile.ZipInfo], size: int, *, where: str) -> None:
    if len(entries) > _MOST_MEMBERS or sum(entry.file_size for entry in entries) > size:
        raise BundleBroken(f"{where} claims more than it holds: a zip bomb, or packed again with compression; {AGAIN}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise BundleBroken(f"{where} is compressed, which no bundle is; {AGAIN}")
    for entry in entries:
        if not is_name(entry.filename):
            raise BundleBroken(f"{where} holds {entry.filename[:80]!r}, which no report has; do not unpack it, {AGAIN}")


def is_name(name: str) -> bool:
    """Whether a member may be called so.

    >>> [is_name(name) for name in ("plan.json", "../plan.json", "inputs/x.parquet", "/etc/passwd")]
    [True, False, False, False]
    """
    return _NAME.fullmatch(name) is not None and len(name) < 100


def read_members(bundle: Path) -> dict[str, bytes]:
    """Return a bundle's members by name, from its zip or its folder; :class:`BundleBroken` if it is neither."""
    try:
        if bundle.is_dir():
            return dict(sorted(_of_folder(bundle)))
        if not bundle.is_file():
            raise BundleBroken(f"{bundle} is not a report: give the zip, or the folder with the same files")
        if bundle.stat().st_size > _MOST_BYTES + (16 << 20):
            raise BundleBroken(f"{bundle.name} is too large for a bundle; {AGAIN}")
        return unpack(bundle.read_bytes(), where=bundle.name)
    except OSError as error:
        raise BundleBroken(f"{error.filename or bundle} cannot be read ({error.strerror}); check the file") from error


def _of_folder(folder: Path) -> list[tuple[str, bytes]]:
    members: list[tuple[str, bytes]] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and f"{path.name}/" in (INPUTS, WEIGHTS, CODE, ATTESTATIONS):
            inner = sorted(path.iterdir())
            if not inner:
                raise BundleBroken(f"{path.name} is empty and not part of the report; remove it, or {AGAIN}")
            members += [(f"{path.name}/{each.name}", _plain_bytes(each)) for each in inner]
        else:
            members.append((path.name, _plain_bytes(path)))
    return members


def _plain_bytes(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise BundleBroken(f"{path.name} is not a file of the report; remove it, or {AGAIN}")
    return path.read_bytes()
