"""Registered models of an MLflow store that no recorded composition explains: what they learned from is not recorded.

A version is explained if it is the description of a recorded composition, as :mod:`disgorge.tracking.registry`
registers it, or a copy of one. Any other one was registered by other code: it may have learned from removed
data and serves on. It *names* a removed part where a text about it (its source, its tags, its run with tags, parameters
and inputs, its logged model) holds the digest of a removed component, composition or shard, or the name of a removed
component.

A database on this machine is read with the standard library alone, read-only, so that an audit loads no MLflow. Any
store can be asked through MLflow's client; both give the same. Negative consequences: a model that names nothing is
only counted, whatever it learned from; a name without a slash counts only where it stands alone; and a name counts for
what was registered before the component of that name was removed, so a model made anew under it afterwards is none.

>>> model = Registered("shop", "3", ("champion",), "/models/digits/head.pkl", 0.0, texts=("/models/digits/head.pkl",))
>>> str(model), Touched(names={"digits/head": 1.0}).named_by(model)
('shop/3 (alias champion)', 'digits/head')
>>> Touched(names={"digits/he": 1.0}).named_by(model) is None
True
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

from disgorge.errors import TrackingFailed
from disgorge.tracking.client import COMPOSITION, KIND, RELEASE, read_only
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import ComponentRetiredFact, said
from lineage.ledger.state import State

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Registered:
    """A version of a registered model. ``created`` is in milliseconds; ``texts`` are what is said about it anywhere."""

    name: str
    version: str
    aliases: tuple[str, ...]
    source: str
    created: float
    run: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()

    def __str__(self) -> str:
        called = f" (alias {', '.join(self.aliases)})" if self.aliases else ""
        return f"{self.name}/{self.version}{called}"


@dataclass(frozen=True, slots=True)
class Touched:
    """What requests removed: digests, and names of components, each with the time (ms) until which it meant them."""

    digests: frozenset[str] = frozenset()
    names: Mapping[str, float] = field(default_factory=dict)

    def named_by(self, model: Registered) -> str | None:
        """Return what of it a registered model names, or None."""
        for text in model.texts:
            if held := self.digests.intersection(_DIGEST.findall(text.lower())):
                return min(held)
        for name, until in self.names.items():
            if model.created <= until and any(_says(text, name) for text in model.texts):
                return name
        return None


def touched(
    state: State, facts: Iterable[Fact], *, components: Collection[str], shards: Collection[str] = ()
) -> Touched:
    """Return what to look for of these components and shards, by digest, and of all that is composed of them."""
    retired = {(gone.name, gone.component): _milliseconds(fact.at) for fact, gone in said(facts, ComponentRetiredFact)}
    live = {name for (name, _), entry in state.components.items() if entry.live}
    names: dict[str, float] = {}
    for (name, digest), entry in state.components.items():
        if digest in components:
            until = inf if entry.live or name not in live else retired.get((name, digest), inf)
            names[name] = max(until, names.get(name, 0.0))
    composed = {
        each.digest
        for each in state.compositions.values()
        if any(member.component in components for member in each.members)
    }
    return Touched(frozenset((*components, *shards, *composed)), names)


def _milliseconds(at: str) -> float:
    """Return a fact's time as MLflow counts; no end where it has none, as in a forecast of what is not done yet."""
    try:
        return datetime.fromisoformat(at).timestamp() * 1000
    except ValueError:
        return inf


def unexplained(models: Iterable[Registered], recorded: Collection[str]) -> list[Registered]:
    """Return the versions that describe none of these compositions and are no copy of a version that does."""
    every = sorted(models, key=lambda each: (each.name, int(each.version)))
    ours = {f"models:/{each.name}/{each.version}": each for each in every if _describes(each, recorded)}
    originals = {source for source, each in ours.items() if each.source == f"runs:/{each.run}/{RELEASE}"}
    copies = {source for source, each in ours.items() if each.source in ours}
    return [each for each in every if f"models:/{each.name}/{each.version}" not in originals | copies]


def listed(models: Sequence[Registered], *, most: int = 10) -> str:
    """Return the first of several models in words."""
    more = f" and {len(models) - most:,} more" if len(models) > most else ""
    return ", ".join(map(str, models[:most])) + more


def from_client(client: Any, versions: Iterable[Any]) -> Iterator[Registered]:
    """Yield versions, as MLflow's client returned them, with all that its store says about each."""
    aliases: dict[str, dict[str, str]] = {}
    known: dict[str, list[str]] = {"": []}
    for each in versions:
        if each.name not in aliases:
            aliases[each.name] = {a: str(v) for a, v in client.get_registered_model(each.name).aliases.items()}
        called = tuple(sorted(a for a, v in aliases[each.name].items() if v == str(each.version)))
        run, source = each.run_id or "", str(each.source or "")
        ids = {run, _run_in(source), each.model_id or _model_in(source)}
        known |= {identity: list(_texts_about(client, identity)) for identity in ids - known.keys()}
        texts = [source, *chain(*each.tags.items()), *chain(*(known[identity] for identity in sorted(ids)))]
        created = float(each.creation_timestamp or 0)
        yield Registered(each.name, str(each.version), called, source, created, run, dict(each.tags), tuple(texts))


def _texts_about(client: Any, identity: str) -> Iterator[str]:
    """Yield what is said about a run or a logged model; nothing about one deleted for good, or of another server."""
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):
        if identity.startswith("m-"):
            model = client.get_logged_model(identity)
            yield from chain(*(model.tags or {}).items(), *(model.params or {}).items())
            return
        run = client.get_run(identity)
        yield run.info.run_name or ""
        yield from chain(*run.data.tags.items(), *run.data.params.items())
        for entry in run.inputs.dataset_inputs:
            yield from (entry.dataset.name, entry.dataset.digest, entry.dataset.source)
            yield from (tag.value for tag in entry.tags)


def from_databases(registry: Path, tracking: Path | None) -> list[Registered]:
    """Return the versions in MLflow's SQLite databases; raises :class:`TrackingFailed` where they cannot be read."""
    texts: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    try:
        with closing(read_only(registry)) as rows:
            versions = rows.execute(
                "select name, version, source, creation_time, run_id from model_versions "
                "where current_stage is not 'Deleted_Internal' order by name, version"
            ).fetchall()
            aliases = _grouped(
                rows, "select name || '/' || version, alias from registered_model_aliases order by alias"
            )
            tags = _grouped(rows, "select name || '/' || version, key, value from model_version_tags")
        if tracking is not None and tracking.is_file():
            with closing(read_only(tracking)) as rows:
                texts = _grouped(rows, _TEXTS)
    except sqlite3.Error as problem:
        raise TrackingFailed(
            f"{registry}: MLflow's models cannot be read ({problem}); mend it, or let what writes to it end, and repeat"
        ) from problem
    found = []
    for name, version, source, created, run_id in versions:
        key, source, run = f"{name}/{version}", source or "", run_id or ""
        ids = dict.fromkeys((run, _run_in(source), _model_in(source)))
        about = [source, *chain(*tags[key]), *chain(*(row for identity in ids for row in texts[identity]))]
        own = {str(pair[0]): str(pair[1]) for pair in tags[key]}
        called = tuple(alias for (alias,) in aliases[key])
        found.append(Registered(name, str(version), called, source, float(created or 0), run, own, tuple(about)))
    return found


_TEXTS = """
select run_uuid, name, '' from runs
union all select run_uuid, key, value from tags
union all select run_uuid, key, value from params
union all select i.destination_id, d.name || ' ' || d.digest, d.dataset_source
    from inputs i join datasets d on d.dataset_uuid = i.source_id
union all select i.destination_id, t.name, t.value from inputs i join input_tags t on t.input_uuid = i.input_uuid
union all select model_id, tag_key, tag_value from logged_model_tags
union all select model_id, param_key, param_value from logged_model_params
"""
"""What is said about runs and logged models: an id, and two texts."""


def _grouped(rows: sqlite3.Connection, query: str) -> dict[str, list[tuple[str, ...]]]:
    """Return what a query finds, as texts, by its first column."""
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for key, *row in rows.execute(query):
        found[str(key)].append(tuple("" if value is None else str(value) for value in row))
    return found


def _describes(model: Registered, recorded: Collection[str]) -> bool:
    return model.tags.get(KIND) == RELEASE and model.tags.get(COMPOSITION) in recorded


def _run_in(source: str) -> str:
    return source.removeprefix("runs:/").partition("/")[0] if source.startswith("runs:/") else ""


def _model_in(source: str) -> str:
    found = re.fullmatch(r"models:/(m-[^/]+)", source)
    return found[1] if found else ""


def _says(text: str, name: str) -> bool:
    """Whether a text holds a name whole: not as a part of a longer word; a slash in it may be written otherwise.

    A name without a slash ("model") may stand in any path: there the text has to be that name and nothing else.
    """
    if "/" not in name:
        return text == name
    spelled = "[/_.-]".join(re.escape(part) for part in name.split("/"))
    return re.search(rf"(?<![\w-]){spelled}(?![\w-])", text) is not None
