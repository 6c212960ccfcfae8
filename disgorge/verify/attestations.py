"""Checks a report's attestations with what the bundle holds, and the public key. Pure.

Every component of the new compositions, and every component it was made from, must stand on an attestation
(:mod:`disgorge.attestation.standing`) of the workspace that the signed statement names, confined as closely as the
decision demands. A key that is not the report's own counts because the signed statement names its file.

What it does not show: that the weights elsewhere are these components (compare their SHA-256), and that the signer is
honest, which only re-execution does.
"""

from collections.abc import Iterator
from hashlib import sha256

from disgorge.attestation.standing import Attested, Refusal, by_recipe, open_attestation, standings
from disgorge.errors import BundleBroken
from disgorge.facts import AttestedFact
from disgorge.statement.bundle_zip import ATTESTATIONS
from disgorge.statement.records import AGAIN
from disgorge.statement.signing import key_id
from disgorge.verify.agreement import recipes_read
from disgorge.verify.bundle import Bundle
from lineage.plural import counted
from lineage.records import Component
from policies.taxonomy import Confinement

_OTHERWISE = "--level reexecute shows where it came from, given the retained data"


def check_attestations(bundle: Bundle, *, public: bytes) -> str:
    """Return in words what was checked; :class:`BundleBroken` names the component that does not stand, and why.

    ``public`` is the key that signed the report.
    """
    records, workspace = bundle.records, bundle.predicate.ledger.first
    if not records.compositions:
        return "no attestation: nothing new was made"
    if not workspace:
        raise BundleBroken(
            f"the report names no workspace: it was written before there were attestations; {_OTHERWISE}"
        )
    notes = records.recipes
    parts = by_recipe(
        Component(note.component, note.name, note.kind, (), note.recipe, environment=note.environment) for note in notes
    )
    attested = Attested(
        workspace=workspace,
        facts=sorted(_facts(bundle, keys := _keys(bundle, public)), key=lambda fact: fact.run),
        keys=keys,
        read=lambda digest: bundle.attestations[f"{ATTESTATIONS}{digest}.json"],
        parts=parts,
        shards=recipes_read(notes)["shard"],
        artifacts=dict.fromkeys(recipes_read(notes)["artifact"], lambda: None),  # hashed where they are attached
        is_whole=lambda digest: True,  # weights that are attached were hashed before
    )
    owed = records.decision.owed
    accepts = owed.confinement if owed else None
    found = standings(attested, (part for recordings in parts.values() for part in recordings), accepts=accepts)
    for each in found:
        if not each.stands:
            raise BundleBroken(f"{each.why}; {_OTHERWISE}")
    weakest = min((each.level for each in found if each.level), key=list(Confinement).index)
    again = sum(each.reproducible for each in found)
    return (
        f"{counted(len(found), 'component')} by signed attestations of the runs that made them, at level {weakest} or "
        f"closer; {again} of them, with all they were made from, reached again by a later run"
    )


def _keys(bundle: Bundle, public: bytes) -> dict[str, bytes]:
    keys = [data for name, data in bundle.attestations.items() if name.endswith(".pem")]
    return {key_id(each): each for each in (*keys, public)}


def _facts(bundle: Bundle, keys: dict[str, bytes]) -> Iterator[AttestedFact]:
    """Yield what the ledger would say of each attestation; each must be signed, and about a component of the report."""
    known = {note.component for note in bundle.records.recipes}
    for name, data in bundle.attestations.items():
        if not name.endswith(".json"):
            continue
        try:
            made = open_attestation(data, keys)
        except Refusal as refusal:
            raise BundleBroken(f"{name}: {refusal}; {AGAIN}") from refusal
        kept = sha256(data).hexdigest()
        if made.component not in known or name != f"{ATTESTATIONS}{kept}.json":
            raise BundleBroken(f"unexpected file {name}: it is not an attestation of the report's components; {AGAIN}")
        yield AttestedFact(made.component, made.recipe_digest, made.environment_digest, kept, made.level, made.run)
