"""The shards that a model learns from, the parts it is made of and what is offered for them, alike for every method."""

from collections.abc import Mapping, Sequence

from disgorge.errors import BadModel
from disgorge.method import Blueprint, Input, ModelSpec, Offer, Part
from lineage.records import Json, Role, Shard
from policies.taxonomy import Family, Guarantee, Remedy


def exact(kind: str, remedy: Remedy, caveat: str) -> Offer:
    """Return the offer of an exact remedy: a part is trained again, or leaves the composition."""
    family = Family.RETRAINING if remedy is Remedy.RETRAIN else Family.COMPARTMENTALIZATION
    return Offer(kind, remedy, Guarantee.EXACT, family, caveat)


def part_on(
    shards: Sequence[Shard],
    kind: str,
    parameters: dict[str, Json],
    *,
    of: str = "",
    role: Role = Role.TRAIN,
    starts_at: str | None = None,
    weight: float = 0.0,
    epochs: int = 1,
    batch: int | None = None,
) -> Blueprint:
    """Return a part that goes ``epochs`` times over the items of ``shards``, in batches or all at once.

    ``of`` is the shard it is named after, ``starts_at`` the component that it is trained on.
    """
    count = sum(shard.count for shard in shards)
    uses = [Input("shard", shard.name, role) for shard in shards]
    if starts_at is not None:
        uses.append(Input("component", starts_at, Role.INITIALIZE))
    steps = epochs * -(-count // (batch or count))
    return Blueprint(f"{kind}/{of}" if of else kind, kind, tuple(uses), parameters, weight, steps, epochs * count)


def existing_shards(
    spec: ModelSpec, shards: Mapping[str, Shard], needed: tuple[str, ...]
) -> tuple[list[Shard], list[Shard]]:
    """Return the core and the removable shards that exist and have items, each in order of digest.

    By digest, not by name: renaming a shard changes nothing that is learned. ``needed`` are the fields that items must
    have; :class:`~disgorge.errors.BadModel` says which shard lacks one, or how the model file names its shards wrongly.
    """
    if not spec.core:
        raise BadModel(f"core: names no shard; {spec.method} needs one, to train its frozen parts on")
    names = [*spec.core, *spec.shards]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadModel(
            f"shards: {twice[0]} is listed {'under core too' if twice[0] in spec.core else 'twice'}; list it once"
        )
    for name in names:
        fields = shards[name].fields if name in shards and shards[name].count else ()
        lacking = sorted(set(needed) - set(fields))
        if fields and lacking:
            raise BadModel(
                f"shard {name}: items have no {lacking[0]!r}; {spec.method} trains on images: add items with the "
                f"fields {' and '.join(needed)}, as NPZ or Parquet can hold them"
            )

    def existing(names: tuple[str, ...]) -> list[Shard]:
        there = [shards[name] for name in names if name in shards and shards[name].count]
        return sorted(there, key=lambda shard: (shard.digest, shard.name))

    return existing(spec.core), existing(spec.shards)


def parts_by_kind(
    spec: ModelSpec, parts: tuple[Part, ...], *, one: tuple[str, ...], any_number: tuple[str, ...]
) -> dict[str, list[Part]]:
    """Return the parts by kind; ``BadModel`` for an unknown kind, or where there is not one of a kind in ``one``."""
    found: dict[str, list[Part]] = {kind: [] for kind in (*one, *any_number)}
    for part in parts:
        if part.kind not in found:
            raise BadModel(f"component {part.name} is of kind {part.kind!r}, which {spec.method} has no use for")
        found[part.kind].append(part)
    for kind in one:
        if len(found[kind]) != 1:
            raise BadModel(f"{spec.method} needs one {kind}, there are {len(found[kind])}; train the model again")
    return found
