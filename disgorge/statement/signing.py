"""Ed25519 keys, and statements signed as DSSE envelopes.

A signature says who vouches for a report, not that the report is right: that is what verification re-derives. The
private key lies in one PEM file that only its owner can read; a verifier needs the public key *from elsewhere* than the
report itself.

An envelope has exactly one byte form here, and :func:`open_envelope` refuses any other: base64 can be written in
several ways, and no flipped bit of a report may go unnoticed.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.statement.records import AGAIN, strictly
from lineage.records import Json, canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # exported without __all__

    Key = CryptoSigner

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def new_key() -> "Key":
    """Return a fresh Ed25519 key, held in memory only."""
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # exported without __all__

    return CryptoSigner.generate_ed25519()


def read_or_make_key(path: Path) -> "Key":
    """Return the key in ``path``, made there (PKCS #8 PEM, readable by its owner only) if there is none yet."""
    if not path.exists():
        key = new_key()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(aside, path)  # unlike a rename it fails if another process made a key in the meantime
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return read_key(path)


def read_key(path: Path) -> "Key":
    """Return the private key in a PEM file; :class:`DisgorgeError` if there is none that can sign."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # exported without __all__

    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DisgorgeError(
            f"no signing key can be read from {path.name} ({error}); restore it or let one be made"
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise DisgorgeError(f"the key in {path.name} is not an Ed25519 key; use one that is")
    return CryptoSigner(private)


def public_pem(key: "Key") -> bytes:
    """Return the public half of a key as PEM, what ``disgorge verify --key`` takes."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    private = load_pem_private_key(key.private_bytes, None)
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope whose signature holds: the statement inside and the id of the key that signed it."""

    statement: dict[str, Json]
    key_id: str


def sign(statement: dict[str, Json], *, key: "Key") -> bytes:
    """Return the bytes of the signed envelope around the canonical JSON of ``statement``."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(canonical(statement), PAYLOAD_TYPE, {})
    envelope.sign(key)
    return _written(envelope.to_dict())


def open_envelope(data: bytes, *, public: bytes, name: str = "statement.json") -> Opened:
    """Return what is inside an envelope signed by the key whose PEM is ``public``; :class:`BundleBroken` otherwise.

    ``name`` is the file's in an error.
    """
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    key = _public_key(public)
    try:
        envelope = Envelope.from_dict(json.loads(data))
        rewritten = _written(envelope.to_dict())
    except Exception as error:  # arbitrary bytes: the library raises many types
        raise BundleBroken(f"{name} is not a DSSE envelope ({type(error).__name__}); {AGAIN}") from error
    if rewritten != data:
        raise BundleBroken(f"{name} was edited: it is not written as it was signed; {AGAIN}")
    unsigned = any(each.unrecognized_fields for each in envelope.signatures.values())
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1 or unsigned:
        raise BundleBroken(f"{name} is not an in-toto statement with one signature; {AGAIN}")
    try:
        envelope.verify([key], 1)
    except VerificationError as error:
        raise BundleBroken(
            f"{name} is not signed by this key: it was edited, or signed with another one; check where the public key "
            "came from"
        ) from error
    statement = strictly(envelope.payload, lambda value: value, name, "a JSON statement")
    if not isinstance(statement, dict):
        raise BundleBroken(f"{name} does not hold a JSON statement; {AGAIN}")
    return Opened(statement, key.keyid)


def sign_bytes(data: bytes, *, key: "Key") -> bytes:
    """Return the bare Ed25519 signature of ``data``, as ``openssl pkeyutl -verify -rawin`` takes it."""
    return bytes.fromhex(key.sign(data).signature)


def is_signed(data: bytes, signature: bytes, *, public: bytes) -> bool:
    """Whether ``signature`` is that of ``data`` by the key whose PEM is ``public``."""
    from cryptography.exceptions import InvalidSignature

    try:
        _loaded(public).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def key_id(public: bytes) -> str:
    """Return the id of a public key, as envelopes name it."""
    return str(_public_key(public).keyid)


def _public_key(public: bytes) -> Any:
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined] # exported without __all__

    return SSlibKey.from_crypto(_loaded(public))


def _loaded(public: bytes) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if public.count(b"-----BEGIN") > 1:
        raise BundleBroken("the public key's file has more than one key in it; keep the one that you were given")
    try:
        loaded = load_pem_public_key(public)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BundleBroken(
            "the public key cannot be read, it is not a PEM file; get it again from the issuer"
        ) from error
    if not isinstance(loaded, Ed25519PublicKey):
        raise BundleBroken("the public key is not an Ed25519 key; get it again from the issuer")
    return loaded


def _written(envelope: dict[str, Any]) -> bytes:
    return canonical(envelope) + b"\n"
