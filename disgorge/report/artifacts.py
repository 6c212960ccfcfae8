"""What a removal made, as a report tells it: compositions, how components came to be, the shards these read."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

from disgorge.attestation.standing import Attested, Refusal
from disgorge.attestation.workspace_key import trusted_keys
from disgorge.errors import DisgorgeError
from disgorge.evidence.checks import Evidence
from disgorge.statement.bundle_zip import ARTIFACTS, ATTESTATIONS, CODE, INPUTS, WEIGHTS
from disgorge.statement.records import RecipeNote, Records, RetainedShard
from lineage.artifacts.files import located, problem_with, recorded_artifact
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences, members_of
from lineage.ledger.fact_kinds import PurgedFact
from lineage.records import Composition, digest_of
from lineage.shards.files import references_of, shard_items
from lineage.storage.components import tree_of
from lineage.storage.content import content_bytes
from lineage.storage.objects import sha256_of
from lineage.storage.tree import kept_tree
from lineage.workspace import Workspace

MOST_ATTACHED = 1 << 30
"""Bytes up to which an artifact goes with a bundle, which is held in memory."""
Made = tuple[dict[str, Composition], tuple[RecipeNote, ...], tuple[RetainedShard, ...]]


def made_by(workspace: Workspace, evidence: Evidence) -> Made:
    """Return the compositions that the evidence calls new, by release, and all it takes to make them again, by digest.

    These are the recipes of their components and of what those read, and the shards that recipes read.
    """
    with Catalog.of(workspace) as catalog:
        compositions = {release: catalog.composition(digest) for release, digest in evidence.after.items()}
        components = {component.digest: component for component in catalog.components(live=False)}
        recorded = {shard.digest: shard for shard in (*catalog.shards(live=False), *catalog.shards())}
        artifacts = {artifact.digest: artifact.name for artifact in catalog.artifacts(live=False)}
    pending = [member.component for composition in compositions.values() for member in composition.members]
    notes: dict[str, RecipeNote] = {}
    while pending:
        digest = pending.pop()
        if digest not in notes:
            part = components[digest]
            note = RecipeNote(digest, part.name, part.kind, part.recipe, part.environment)
            named = {each: artifacts[each] for each in note.uses("artifact") if each in artifacts}
            notes[digest] = replace(note, artifacts=named)
            pending += note.uses("component")
    shards = [
        recorded[digest] for digest in sorted({digest for note in notes.values() for digest in note.uses("shard")})
    ]
    return (
        compositions,
        tuple(notes[digest] for digest in sorted(notes)),
        tuple(RetainedShard(shard.digest, shard.name, shard.count, shard.dvc) for shard in shards),
    )


def not_known_before(workspace: Workspace, evidence: Evidence) -> list[str]:
    """Return, in a sentence for each artifact that shaped a release before or after, what is not known of it."""
    with Catalog.of(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
        compositions = map(catalog.composition, {*evidence.before.values(), *evidence.after.values()})
        members = [member for composition in compositions for member in members_of(composition, known)]
        shaped_by = influences(members, known)
        names = sorted(artifact.name for artifact in catalog.artifacts(live=False) if artifact.digest in shaped_by)
    return [f"What {name} was pre-trained on before it came is not known here." for name in names]


def attestations_of(workspace: Workspace, recipes: Iterable[RecipeNote]) -> dict[str, bytes]:
    """Return the attestations of components by these recipes, and all keys they may be signed with, by their names.

    What does not hold is left out, as the audit names it: the component then has no attestation in the bundle.
    """
    made, files = {(note.component, digest_of(note.recipe)) for note in recipes}, list[tuple[bytes, str]]()
    attested = Attested.of(workspace)
    for fact in attested.facts:
        if (fact.component, fact.recipe) in made:
            try:
                attested.opened(fact)
            except Refusal:
                continue
            files.append((workspace.objects.get(fact.attestation), "json"))
    if files:
        files += [(public, "pem") for public in trusted_keys(workspace).values()]
    return {f"{ATTESTATIONS}{sha256(data).hexdigest()}.{kind}": data for data, kind in files}


def weights_and_inputs(workspace: Workspace, made: Records) -> dict[str, bytes]:
    """Return what recipes read and made, by name in a bundle, each checked: shards, local code, weights, artifacts.

    An artifact that is too large for that, or that is not what it was, is named by the recipes and not carried.
    Raises :class:`DisgorgeError` where a file changed between checking and reading, or a later removal deleted one, and
    what reading raises.
    """
    _refuse_purged(workspace, made)
    attached: dict[str, bytes] = {}
    for note in made.recipes:
        files = tree_of(workspace.objects, note.component)
        kind = "safetensors" if files is None else "tree"
        attached[f"{WEIGHTS}{note.component}.{kind}"] = workspace.objects.get(note.component)
        attached |= {f"{WEIGHTS}{file.sha256}.bin": workspace.objects.get(file.sha256) for file in files or ()}
    for digest in sorted({note.recipe["code"] for note in made.recipes if "code" in note.recipe}):
        tree = kept_tree(workspace.objects, digest)
        attached[f"{CODE}{digest}.bin"] = tree.listing()
        attached |= {f"{CODE}{file.sha256}.bin": tree.data[file.path] for file in tree.files}
    for digest in sorted({digest for note in made.recipes for digest in note.uses("artifact")}):
        artifact = recorded_artifact(workspace, digest)
        if artifact.size <= MOST_ATTACHED and problem_with(workspace, artifact) is None:
            attached[f"{ARTIFACTS}{digest}.bin"] = workspace.objects.get(digest)
            attached |= {f"{ARTIFACTS}{f.sha256}.bin": p.read_bytes() for f, p in located(workspace, artifact)}
    for shard in made.inputs:
        path = workspace.content_path(shard.digest)
        if references_of(workspace, shard.digest):
            attached[f"{INPUTS}{shard.digest}.parquet"] = content_bytes(*shard_items(workspace, shard.digest))
            continue
        before = sha256_of(path) if path.is_file() else ""
        shard_items(workspace, shard.digest, verify=True)
        if sha256_of(path) != before:
            raise DisgorgeError(f"{path}: changed while it was read; write the report again")
        attached[f"{INPUTS}{shard.digest}.parquet"] = path.read_bytes()
    return attached


def _refuse_purged(workspace: Workspace, made: Records) -> None:
    """Refuse to export what a removal has deleted since: no copy shall bring it back."""
    places = {note.component: workspace.objects.path(note.component) for note in made.recipes}
    places |= {shard.digest: workspace.content_path(shard.digest) for shard in made.inputs}
    for _, purged in workspace.ledger.said(PurgedFact):
        for digest in (*purged.objects, *purged.shards):
            if digest in places and not places[digest].exists():
                raise DisgorgeError(
                    f"{digest[:12]}, which this report is about, was deleted for request {purged.request} since; "
                    f"no bundle with inputs can be written any more, and one written before holds what was removed"
                )
