"""Keys and envelopes: what is signed verifies, with our code and without it, and any other byte does not."""

import base64
import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.statement.bundle_zip import pack, read_members, unpack
from disgorge.statement.signing import key_id, new_key, open_envelope, public_pem, read_key, read_or_make_key, sign
from lineage.records import canonical

STATEMENT = {"_type": "x", "subject": [], "n": 1}


def test_a_round_trip() -> None:
    key = new_key()
    opened = open_envelope(sign(STATEMENT, key=key), public=public_pem(key))
    assert opened.statement == STATEMENT
    assert opened.key_id == key_id(public_pem(key))


def test_another_key_does_not_verify() -> None:
    with pytest.raises(BundleBroken, match="not signed by this key"):
        open_envelope(sign(STATEMENT, key=new_key()), public=public_pem(new_key()))


def test_every_bit_of_the_envelope_counts() -> None:
    key = new_key()
    data, public = sign(STATEMENT, key=key), public_pem(key)
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            with pytest.raises(BundleBroken):
                open_envelope(bytes(flipped), public=public)


@pytest.mark.parametrize("change", [b" ", b"\n"])
def test_added_white_space_is_seen(change: bytes) -> None:
    key = new_key()
    with pytest.raises(BundleBroken, match="edited"):
        open_envelope(sign(STATEMENT, key=key) + change, public=public_pem(key))


def test_loose_base64_is_seen() -> None:
    """The last character before the padding has unused bits; decoders ignore them."""
    key = new_key()
    envelope = json.loads(sign(STATEMENT, key=key))
    signature = envelope["signatures"][0]["sig"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    loose = signature[:-3] + alphabet[alphabet.index(signature[-3]) ^ 1] + "=="
    assert base64.b64decode(loose) == base64.b64decode(signature)
    data = sign(STATEMENT, key=key).replace(signature.encode(), loose.encode())
    with pytest.raises(BundleBroken, match="edited"):
        open_envelope(data, public=public_pem(key))


def test_words_that_nobody_signed_are_refused() -> None:
    """A signature's own object is outside what it signs."""
    key = new_key()
    envelope = json.loads(sign(STATEMENT, key=key))
    envelope["signatures"][0]["verified-by"] = "somebody of standing"
    with pytest.raises(BundleBroken, match="with one signature"):
        open_envelope(canonical(envelope) + b"\n", public=public_pem(key))


def test_a_file_with_two_public_keys_is_refused() -> None:
    """Nobody could say which of them was meant."""
    first, second = new_key(), new_key()
    for both in (public_pem(first) + public_pem(second), public_pem(second) + public_pem(first)):
        with pytest.raises(BundleBroken, match="more than one key"):
            open_envelope(sign(STATEMENT, key=first), public=both)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"payload": 3}', b"[" * 100_000])
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(BundleBroken):
        open_envelope(data, public=public_pem(new_key()))


def test_what_is_no_public_key_is_refused() -> None:
    with pytest.raises(BundleBroken, match="public key cannot be read"):
        open_envelope(sign(STATEMENT, key=new_key()), public=b"hello")


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "private" / "signing.pem"
    first = public_pem(read_or_make_key(path))
    assert public_pem(read_or_make_key(path)) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["signing.pem"]


@pytest.mark.parametrize("content", [b"", b"not a key"])
def test_a_broken_key_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(content)
    with pytest.raises(DisgorgeError, match=r"no signing key can be read from signing\.pem"):
        read_or_make_key(path)


def test_a_key_of_another_kind_is_an_error(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path = tmp_path / "signing.pem"
    key = generate_private_key(SECP256R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(DisgorgeError, match="not an Ed25519 key"):
        read_key(path)


# The zip


MEMBERS = {"a.json": b"{}", "ledger-slice.jsonl": b"", f"inputs/{'a' * 64}.parquet": bytes(range(256)) * 4}
WHOLE = pack(MEMBERS)
MODE = 0o100644 << 16


def test_members_come_back_and_order_is_no_matter() -> None:
    assert unpack(WHOLE, where="x.zip") == MEMBERS
    assert pack(dict(reversed(MEMBERS.items()))) == WHOLE


def test_other_programs_can_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS


def test_every_bit_of_the_container_counts() -> None:
    """A random bit of every byte: signatures, sizes, names, times, attributes, checksums, content."""
    rng = random.Random(3)
    for place in range(len(WHOLE)):
        flipped = bytearray(WHOLE)
        flipped[place] ^= 1 << rng.randrange(8)
        with pytest.raises(BundleBroken):
            unpack(bytes(flipped), where="x.zip")


@pytest.mark.parametrize("size", range(0, len(WHOLE), 37))
def test_a_truncated_zip_is_refused(size: int) -> None:
    with pytest.raises(BundleBroken):
        unpack(WHOLE[:size], where="x.zip")


def entry(name: str, data: bytes = b"x", *, mode: int = MODE, how: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of one member, as another program may write it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", how) as archive:
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.create_system, info.external_attr, info.compress_type = 3, mode, how
        archive.writestr(info, data)
    return whole.getvalue()


def doubled() -> bytes:
    """Two members of one name."""
    return pack({"a.json": b"1", "b.json": b"2"}).replace(b"b.json", b"a.json")


def claiming(size: int) -> bytes:
    """A member whose directory entry claims more bytes than the file has."""
    data = bytearray(entry("a.json"))
    place = data.index(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", size, size)
    return bytes(data)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "traversal": lambda: entry("../plan.json"),
    "absolute": lambda: entry("/etc/passwd"),
    "windows": lambda: entry("..\\plan.json"),
    "drive": lambda: entry("C:plan.json"),
    "hidden traversal": lambda: entry("inputs/../../plan.json"),
    "zero in the name": lambda: entry("a.jsonXexe").replace(b"a.jsonXexe", b"a.json\x00exe"),
    "name of a kilobyte": lambda: entry("a" * 1024 + ".json"),
    "name in no alphabet": lambda: entry("\u202ea.json"),
    "symlink": lambda: entry("a.json", b"/etc/passwd", mode=0o120777 << 16),
    "device": lambda: entry("a.json", mode=0o020666 << 16),
    "set-uid": lambda: entry("a.json", mode=0o104755 << 16),
    "folder": lambda: entry("inputs/", b"", mode=0o040755 << 16),
    "bomb": lambda: entry("a.json", bytes(50_000_000), how=zipfile.ZIP_DEFLATED),
    "bzip2": lambda: entry("a.json", bytes(1000), how=zipfile.ZIP_BZIP2),
    "lzma": lambda: entry("a.json", bytes(1000), how=zipfile.ZIP_LZMA),
    "larger than the file": lambda: claiming(1 << 31),
    "twice the same": doubled,
    "comment": lambda: WHOLE[:-2] + b"\x05\x00hello",
    "before": lambda: b"#!/bin/sh\n" + WHOLE,
    "after": lambda: WHOLE + b"PK",
    "twice over": lambda: WHOLE + WHOLE,
    "empty file": bytes,
    "no zip": lambda: b"hello",
    "only an end": lambda: b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_what_no_report_has_is_refused_in_one_line(how: str) -> None:
    if how == "only an end":  # a zip of nothing is one, and no report
        assert unpack(HOSTILE[how](), where="x.zip") == {}
        return
    with pytest.raises(BundleBroken) as refused:
        unpack(HOSTILE[how](), where="x.zip")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("x.zip")


def test_a_folder_is_read_as_its_zip_is(tmp_path: Path) -> None:
    folder = tmp_path / "R-1"
    (folder / "inputs").mkdir(parents=True)
    for name, data in MEMBERS.items():
        (folder / name).write_bytes(data)
    (tmp_path / "R-1.zip").write_bytes(WHOLE)
    assert read_members(folder) == read_members(tmp_path / "R-1.zip") == MEMBERS


def test_a_folder_with_links_or_other_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "a.json").symlink_to("/etc/hostname")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "inputs").symlink_to(tmp_path / "link")
    (tmp_path / "empty" / "inputs").mkdir(parents=True)
    (tmp_path / "deep" / "inputs" / "more").mkdir(parents=True)
    for name in ("link", "linked", "empty", "deep"):
        with pytest.raises(BundleBroken):
            read_members(tmp_path / name)
