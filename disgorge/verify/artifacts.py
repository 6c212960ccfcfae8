"""The new artifacts of a bundle: compositions by digest, the recipes of all their components, what these read. Pure.

This ties the statement's subjects to the evidence: a composition's digest must be the one the evidence measured, its
members must be the components whose recipes are here, and no recipe may name a shard that the plan withdrew.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from disgorge.errors import BundleBroken
from disgorge.evidence.checks import Evidence
from disgorge.plan.plan import Plan
from disgorge.statement.canonical_json import AGAIN, records, records_by_name
from disgorge.statement.predicate import subjects_of
from disgorge.statement.statement import RecipeNote, RetainedShard
from lineage.catalog.influence import first_named
from lineage.records import Composition, Json

INPUTS, WEIGHTS = "inputs/", "weights/"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What was made, and how: new compositions by release, recipes, the shards read, and what is attached by digest."""

    compositions: Mapping[str, Composition]
    recipes: tuple[RecipeNote, ...]
    shards: tuple[RetainedShard, ...]
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    weights: Mapping[str, bytes] = field(default_factory=dict)

    def subjects(self, plan: Plan, *, certified: bool) -> dict[str, str]:
        """Return what the statement must be about."""
        return subjects_of(plan, self.compositions, certified=certified)


def check_artifacts(members: Mapping[str, bytes], *, plan: Plan, evidence: Evidence) -> Artifacts:
    """Return the artifacts, once they are those of the evidence; :class:`BundleBroken` otherwise."""
    compositions = records_by_name(Composition, "compositions.json", members)
    recipes = records(RecipeNote, "recipes.json", members)
    shards = records(RetainedShard, "inputs.json", members)
    if {name: composition.digest for name, composition in compositions.items()} != evidence.after:
        raise BundleBroken(f"compositions.json holds other compositions than the evidence is about; {AGAIN}")
    made = {member.component for composition in compositions.values() for member in composition.members}
    listed = [note.component for note in recipes]
    if len(set(listed)) != len(listed) or not made <= set(listed):
        raise BundleBroken(f"recipes.json does not hold one recipe for each component; {AGAIN}")
    read = _read_by(recipes)
    if listed != sorted(listed) or set(listed) - made - read["component"] or read["component"] - set(listed):
        raise BundleBroken(f"recipes.json holds other recipes than the compositions need; {AGAIN}")
    if [shard.digest for shard in shards] != sorted(read["shard"]):
        raise BundleBroken(f"inputs.json lists other shards than the recipes read; {AGAIN}")
    _check_withdrawn(plan, read["shard"], recipes)
    return Artifacts(
        compositions,
        recipes,
        shards,
        inputs=_attached(members, INPUTS, ".parquet", allowed=read["shard"]),
        weights=_weights(members, allowed=set(listed)),
    )


def _read_by(recipes: tuple[RecipeNote, ...]) -> dict[str, set[str]]:
    """Return the digests of the shards and components that recipes read."""
    read: dict[str, set[str]] = {"shard": set(), "component": set()}
    for note in recipes:
        try:
            for use in note.recipe.get("uses", []) if note.recipe else []:
                read[use["of"]].add(use["digest"])
                if not _DIGEST.fullmatch(use["digest"]):
                    raise TypeError("no digest")
        except (KeyError, TypeError, AttributeError) as error:
            raise BundleBroken(f"recipes.json: the recipe of {note.component[:12]} cannot be read; {AGAIN}") from error
    return read


def _check_withdrawn(plan: Plan, read: set[str], recipes: tuple[RecipeNote, ...]) -> None:
    try:
        withdrawn = {change.before.digest: change.before.name for change in plan.shard_changes}
    except Exception as error:  # a plan whose details are not what a plan has
        raise BundleBroken(f"plan.json does not say which shards it changes; {AGAIN}") from error
    for digest in sorted(read & set(withdrawn)):
        raise BundleBroken(f"recipes.json: a new component was trained on {withdrawn[digest]}, which was withdrawn")
    for note in recipes:
        if named := first_named(note.recipe, withdrawn):
            raise BundleBroken(
                f"recipes.json: the recipe of {note.name} names the digest of {withdrawn[named]}, which was "
                "withdrawn; ask for the removal to be done with a method that keeps nothing of it"
            )


def _attached(members: Mapping[str, bytes], folder: str, ending: str, *, allowed: set[str]) -> dict[str, bytes]:
    found = {}
    for name, data in members.items():
        if name.startswith(folder):
            digest, end = name[len(folder) :][:64], name[len(folder) + 64 :]
            if digest not in allowed or end != ending:
                raise BundleBroken(f"{name} is nothing that the recipes read or made; {AGAIN}")
            found[digest] = data
    return found


def _weights(members: Mapping[str, bytes], *, allowed: set[str]) -> dict[str, bytes]:
    found = _attached(members, WEIGHTS, ".safetensors", allowed=allowed)
    for digest, data in found.items():
        if sha256(data).hexdigest() != digest:
            raise BundleBroken(f"{WEIGHTS}{digest}.safetensors is not the component of that digest; {AGAIN}")
    return found


def uses_of_kind(recipe: Mapping[str, Json], kind: str) -> tuple[str, ...]:
    """Return the digests that a recipe reads of one kind, ``shard`` or ``component``."""
    return tuple(use["digest"] for use in recipe.get("uses", []) if use["of"] == kind)
