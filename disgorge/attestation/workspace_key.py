"""The workspace's signing key, and the earlier ones that its ledger names.

A key that signs an attestation is named in the ledger with its public half, under a seal that takes the private folder
to make. When the key changes, what the old one signed is still checked, under the old one. A fact without a right seal
names no key: anybody who can append to a file could have written it.
"""

import hmac
from typing import TYPE_CHECKING

from disgorge.errors import KeyMismatch
from disgorge.facts import SigningKeyFact
from disgorge.statement.signing import key_id, public_pem, read_key, read_or_make_key
from lineage.errors import LineageError
from lineage.storage.objects import write_atomically
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.statement.signing import Key


def key_of(workspace: Workspace) -> "Key":
    """Return the workspace's signing key, made at its first use; its public half lies in ``.disgorge/public.pem``.

    Raises :class:`KeyMismatch` where a public key lies without its private one: a new key made in silence would sign
    reports that the old public key cannot verify.
    """
    private, public = workspace.home / "private" / "signing.pem", workspace.home / "public.pem"
    if public.exists() and not private.exists():
        raise KeyMismatch(
            f"{private}: the signing key is gone, and {public.name} says there was one; restore it from a backup and "
            f"resume, or move {public.name} away to have a new key made (docs/RECOVERY.md says what that costs)"
        )
    key = read_or_make_key(private)
    if public.exists() and public.read_bytes() != public_pem(key):
        raise KeyMismatch(
            f"{public}: is not the public half of {private.name}; restore it, or delete it to have it written again, "
            "and resume"
        )
    if not public.exists():
        write_atomically(public, public_pem(key))
    return key


def key_named(workspace: Workspace, public: bytes) -> SigningKeyFact | None:
    """Return the fact that names a key of this workspace, None if the ledger has it already."""
    key = key_id(public)
    if key in earlier_keys(workspace):
        return None
    return SigningKeyFact(key, public.decode(), _seal(workspace, public.decode()))


def earlier_keys(workspace: Workspace) -> dict[str, bytes]:
    """Return every public key that the ledger names under this workspace's seal, by its id."""
    sealed = [
        fact.public.encode()
        for _, fact in workspace.ledger.said(SigningKeyFact)
        if can_check_seals(workspace)
        and hmac.compare_digest(fact.seal.encode(), _seal(workspace, fact.public).encode())
    ]
    return {key_id(public): public for public in sealed}


def trusted_keys(workspace: Workspace) -> dict[str, bytes]:
    """Return the public keys whose attestations count here, by id: the workspace's own and its earlier ones.

    Its own is the public half of the private key, where that is here: ``public.pem`` is a file like any other.
    """
    private, public = workspace.home / "private" / "signing.pem", workspace.home / "public.pem"
    if private.exists():
        own = public_pem(read_key(private))
    elif public.exists():
        own = public.read_bytes()
    else:
        return earlier_keys(workspace)
    return earlier_keys(workspace) | {key_id(own): own}


def can_check_seals(workspace: Workspace) -> bool:
    """Whether the key that seals is here, and whole."""
    try:
        return workspace.private.can_seal and bool(workspace.private.seal(""))
    except LineageError:  # it is damaged, which audit and removal say
        return False


def _seal(workspace: Workspace, public: str) -> str:
    return workspace.private.seal(f"{SigningKeyFact.kind_of_fact} {public}")
