"""Which components a model of user functions has: over all shards, one a shard, or one a shard and its neighbors.

A core shard, which is never asked back, is among the items of every component; and where shards have components of
their own, one more is trained on the core alone, and answers once no shard is left. Shards come in order of digest, a
node of a graph first, so that a name changes nothing that is learned.
"""

from collections.abc import Iterator, Mapping, Sequence

from disgorge.errors import BadModel
from disgorge.method import Blueprint, Input, ModelSpec
from disgorge.methods.function.composed import FITTED, composed
from disgorge.methods.function.settings import LABEL, OTHERS, Settings, Stage
from lineage.records import Json, Role, Shard

CLASSES = "classes"
"""The component, and the kind of it, that holds classes which were found in data."""
BASE = "~core"
"""What the component that is trained on the core alone is called after, in the place of a shard."""


def blueprints(spec: ModelSpec, given: Settings, shards: Mapping[str, Shard]) -> Iterator[Blueprint]:
    """Yield the components there should be, inputs first."""
    if given.components:
        yield from composed(spec, given, shards)
        return
    _refuse_unknown(spec, given)
    chosen = {*given.select}
    core = _existing(spec.core, shards, given)
    learned = _existing([name for name in spec.shards if name not in chosen], shards, given)
    select = _existing(given.select, shards, given)
    reads_classes = isinstance(given.classes, str)
    if isinstance(given.classes, str):
        read = core if given.classes == "core" else [*core, *learned]
        if not read:
            if given.classes == "core":
                raise BadModel("classes: come from the core, and no core shard has items; name the classes")
            return
        uses = tuple(Input("shard", shard.name, Role.NORMALIZE) for shard in read)
        columns = {LABEL: given.columns[LABEL].model_dump()} if LABEL in given.columns else {}
        parameters: dict[str, Json] = {"seed": spec.seed, "columns": columns} | _exposed(given)
        yield Blueprint(CLASSES, CLASSES, uses, parameters, 0.0, 1, _count(read))
    made: dict[str, dict[str, str]] = {}
    for name in given.in_order:
        stage, made[name] = given.stages[name], {}
        is_last = name == given.last
        nodes = list(_nodes(stage, given, spec, core, learned))
        weights = _weights(given, [node for node, _ in nodes]) if is_last else [0.0] * len(nodes)
        for (node, seen), weight in zip(nodes, weights, strict=True):
            reads, parts = _reads(stage, node, made)
            if parts is None:
                continue
            inputs = [Input("shard", shard.name, Role.TRAIN) for shard in seen]
            inputs += [Input("shard", shard.name, Role.SELECT) for shard in select] if is_last else []
            inputs += [Input("component", CLASSES, Role.NORMALIZE)] if reads_classes else []
            inputs += [Input("component", part, Role.INITIALIZE) for part in parts]
            inputs += [Input("artifact", each, Role.INITIALIZE) for each in spec.artifact_names]
            parameters = _recorded(spec, given, stage, reads, len(select) if is_last else 0)
            made[name][node] = f"{name}/{node}" if node else name
            yield Blueprint(made[name][node], FITTED, tuple(inputs), parameters, weight, 1, _count(seen))


def _recorded(spec: ModelSpec, given: Settings, stage: Stage, reads: list[list[Json]], select: int) -> dict[str, Json]:
    """Return what a component of a stage depends on beside its inputs: no name of a shard, no key without a value."""
    maybe: dict[str, Json] = {
        "columns": {name: column.model_dump(exclude_none=True) for name, column in given.columns.items()},
        "classes": given.classes,
        "parameters": given.parameters,
        "reads": reads,
        "select": select,
        "staged": given.is_staged,
        "artifacts": spec.artifact_places,
    }
    found = {"seed": spec.seed, "train": stage.train} | {name: value for name, value in maybe.items() if value}
    return found | _exposed(given)


def _exposed(given: Settings) -> dict[str, Json]:
    return {"expose": sorted({*given.expose})} if given.expose else {}


def _nodes(
    stage: Stage, given: Settings, spec: ModelSpec, core: list[Shard], learned: list[Shard]
) -> Iterator[tuple[str, list[Shard]]]:
    """Yield what a stage's components are called after, "" for the only one, with the shards they are trained on."""
    if stage.layout == "core":
        if not core:
            raise BadModel("core: names no shard with items; a stage with `layout: core` is trained on it alone")
        yield "", core
    elif stage.layout == "joint":
        if core or learned:
            yield "", sorted([*core, *learned], key=_by_digest)
    else:
        if core:
            yield BASE, core
        graph = _graph(given, spec) if stage.layout == "graph" else {}
        for shard in learned:
            others = [each for each in learned if each.name in graph.get(shard.name, ())]
            yield shard.name, [shard, *others, *core]


def _graph(given: Settings, spec: ModelSpec) -> dict[str, set[str]]:
    """Return the neighbors of every shard, by name; a ring is that of all the names in the file, in their order."""
    if not given.ring:
        return {name: {*others} for name, others in given.neighbors.items()}
    names = [name for name in spec.shards if name not in given.select]
    return {
        name: {names[(place + step) % len(names)] for step in range(1, given.ring + 1)} - {name}
        for place, name in enumerate(names)
    }


def _reads(stage: Stage, node: str, made: Mapping[str, Mapping[str, str]]) -> tuple[list[list[Json]], list[str] | None]:
    """Return of each stage that is read its name and how many components, 0 for one by itself; and their names.

    None in place of the names where one is not laid out, for it has no data left.
    """
    reads: list[list[Json]] = []
    parts: list[str] = []
    for other in stage.reads:
        there = made[other]
        several = [part for name, part in there.items() if name != BASE] or [*there.values()]
        if "" in there or node in there:
            reads.append([other, 0])
            parts.append(there.get(node) or there[""])
        elif several and not node:
            reads.append([other, len(several)])
            parts += several
        else:
            return [], None
    return reads, parts


def _weights(given: Settings, nodes: Sequence[str]) -> list[float]:
    """Return what each component enters the composition with; those of the file add up to 1."""
    if BASE in nodes:
        rest = [node for node in nodes if node != BASE]
        return [0.0, *_weights(given, rest)] if rest else [1.0]
    if given.combine != "weighted":
        return [1 / len(nodes) for _ in nodes]
    if lacking := [node for node in nodes if node not in given.weights]:
        raise BadModel(f"weights: {lacking[0] or 'a model of one component'} has none; give every shard a weight")
    total = sum(given.weights[node] for node in nodes)
    if nodes and total <= 0:
        raise BadModel("weights: are all 0 for the shards there are; give one of them a weight")
    return [given.weights[node] / total for node in nodes]


def _existing(names: Sequence[str], shards: Mapping[str, Shard], given: Settings) -> list[Shard]:
    """Return the shards of these names that exist and have items, by digest; ``BadModel`` for a field they lack."""
    found = sorted((shards[name] for name in names if name in shards and shards[name].count), key=_by_digest)
    for shard in found:
        for name, column in given.columns.items():
            if name != OTHERS and shard.fields and column.field not in shard.fields:
                raise BadModel(
                    f"shard {shard.name}: items have no {column.field!r} for column {name}, only "
                    f"{', '.join(shard.fields)}; correct `columns`, or leave the shard out"
                )
    others = {frozenset(shard.fields) for shard in found if shard.fields}
    if (not given.columns or OTHERS in given.columns) and len(others) > 1:
        lacking = sorted(frozenset[str]().union(*others) - next(iter(others)).intersection(*others))
        raise BadModel(f"shards differ in the column {lacking[0]!r}; name those to use under `columns`")
    return found


def _refuse_unknown(spec: ModelSpec, given: Settings) -> None:
    named = {"select": given.select, "weights": given.weights, "neighbors": given.neighbors}
    named |= {f"neighbors.{node}": others for node, others in given.neighbors.items()}
    if BASE in spec.shards:
        raise BadModel(f"shards: {BASE!r} stands for the core; give the shard another name")
    for key, names in named.items():
        for name in names:
            if name not in spec.shards:
                raise BadModel(f"{key}: {name!r} is none of the model's shards")


def _by_digest(shard: Shard) -> tuple[str, str]:
    return shard.digest, shard.name


def _count(shards: Sequence[Shard]) -> int:
    return sum(shard.count for shard in shards)
