"""Patterns of shards in a model file: looked up when the model is trained, and stored as the names they stood for."""

from dataclasses import replace
from fnmatch import fnmatchcase

from disgorge.method import ModelSpec
from lineage.catalog.catalog import Catalog
from lineage.errors import UnknownRecord
from lineage.records import Shard
from lineage.shards.files import shard_rows
from lineage.workspace import Workspace


def resolved(workspace: Workspace, spec: ModelSpec) -> ModelSpec:
    """Return a model whose shards are named each: patterns are looked up once, now, and the names are what is stored.

    ``*`` and ``?`` match in names, ``source:`` and ``license:`` go before a pattern for those, and ``!`` before one
    takes shards out again. Core, select and evaluation shards are never meant by a pattern.
    """
    if not any(_is_pattern(name) for name in spec.shards):
        return spec
    with Catalog.of(workspace) as catalog:
        there = sorted(catalog.shards(), key=lambda shard: shard.name)
    select = spec.parameters.get("select", ())
    others = {*spec.core, *spec.evaluate, *select}
    names: dict[str, None] = {}
    for pattern in spec.shards:
        if not _is_pattern(pattern):
            names[pattern] = None
            continue
        matches = [shard.name for shard in there if _matches(workspace, shard, pattern.removeprefix("!"))]
        if pattern.startswith("!"):
            names = {name: None for name in names if name not in matches}
        elif not matches:
            raise UnknownRecord(f"model {spec.release} names {pattern!r}, which no live shard matches; correct it")
        else:
            names |= dict.fromkeys(name for name in matches if name not in others)
    if not names:
        raise UnknownRecord(f"model {spec.release}: its patterns leave no shard; correct them")
    return replace(spec, shards=(*(name for name in names if name not in select), *select))


def _is_pattern(name: str) -> bool:
    return name.startswith(("!", "source:", "license:")) or any(letter in name for letter in "*?")


def _matches(workspace: Workspace, shard: Shard, pattern: str) -> bool:
    """Whether a shard is meant: by its name, or because all its items have such a source, or such a license."""
    kind, _, rest = pattern.partition(":")
    if kind not in ("source", "license"):
        return fnmatchcase(shard.name, pattern)
    values = {getattr(item, kind) or getattr(shard, kind) or "" for item in shard_rows(workspace, shard.digest)}
    return all(value and fnmatchcase(value, rest) for value in values)
