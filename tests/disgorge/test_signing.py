"""Keys and envelopes: what is signed verifies, with our code and without it, and any other byte does not."""

import base64
import json
import stat
from pathlib import Path

import pytest

from disgorge.errors import BundleBroken, DisgorgeError
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
