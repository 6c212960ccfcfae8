"""Methods that claim a removal and keep the data all the same: what the evidence must catch.

:class:`Lying` delegates to any registered method, which ``parameters["of"]`` names, and tells one lie of :data:`LIES`
in its layout, its training or its answering. It remembers as real implementations do: in the process and in its
temporary folder. Each lie needs to have seen the data before, so it is told only when a part is laid out, trained or
put together a second time; :func:`told` says whether it was, because a lie that was not told proves nothing.
"""

import base64
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.method import (
    Blueprint,
    Items,
    Model,
    ModelSpec,
    Offer,
    Part,
    Progress,
    Toy,
    method_named,
    methods,
    no_progress,
)
from lineage.records import Role, Shard
from policies.taxonomy import Guarantee

TRAINING = {
    "nothing done": "returns the old weights",
    "nothing done, disguised": "returns the old weights with noise too small to matter",
    "warm start": "starts from the weights it had before",
    "ascent": "goes up the loss of the removed items from the old weights, and never trains on the others",
    "half done": "does one shard's part and leaves another's as it was",
    "normalizer": "keeps running statistics over everything it was ever given",
    "optimizer state": "carries its momentum from one training to the next",
    "early stopping": "stops where the removed items liked it best",
    "feature cache": "takes features computed before by their place, removed ones under the digests of others",
    "feature cache on disk": "the same, in its temporary folder",
    "hoard": "keeps every item it ever saw and adds them all",
    "second part": "trains one kind of part again and leaves the other: router, prototypes, mixing weights",
    "role weakened": "says that a shard only selects, and returns the old weights with noise",
    "use omitted": "has a part learn from a shard its layout does not name",
    "shard renamed": "trains a part on what another name held before",
}
LAYING_OUT = {
    "chosen seed": "picks the seed of what is trained again by what was removed",
    "recipe that remembers": "writes what it had learned into the recipe",
}
OF_THE_GONE = {
    "ancestor": "takes its seed from the shard that a shard was cut from, if it is told which",
    "gone names": "takes a prior from how many shards the model file names, those that are gone too",
}
"""Lies that a layout can tell in any process, because what it is shown tells of what is gone."""
EXCHANGED = "parts exchanged"
"""The lie of a method that gives two parts each other's old weights: each is other than it was, the model is not."""
ANSWERING = {
    "old model behind": "answers with the parts as they were; the new ones lie beside",
    "outputs filtered": "the same, and hides the removed items' scores",
    "class suppressed": "the same, and pushes down the class the removed items have most",
    "filter in front": "has honest parts and shuns the removed items, which says which they were",
    "old model for users": "answers with the parts as they were to whoever asks as users do, by nobody's digest",
    "answers cached": "gives the answers it gave before to whatever it was asked before",
}
LIES = TRAINING | LAYING_OUT | ANSWERING
HIDING = {
    "hiding place": "keeps a copy of the old weights in a file at a place of its own choosing, the salt",
    "environment": "the same, in a variable that processes inherit",
    "installed code": "the same, among the installed code: the lie no process on the same machine can find",
}
"""Lies told without remembering anything in the process, so that re-execution would tell them too."""

SECOND_KIND = {"averages": "tilt", "shard_graph": "prototypes", "compartmental_diffusion": "posterior"}
"""The parts beside the main ones; ``tangent_composition`` has none."""

_memory: dict[str, Any] = {}


def told(salt: str) -> bool:
    """Whether the lie of this salt was told in this process."""
    return bool(_memory.get(f"told {salt}"))


def tell(salt: str) -> None:
    """Note that a lie was told."""
    _memory[f"told {salt}"] = True


HONEST = "none"
"""The lie of whoever tells none: the honest method, by the liar's own route."""


def lying(toy: Toy, lie: str, *, salt: str, weakly: bool = False) -> Toy:
    """Return a toy as the liar about its method offers it."""
    spec = toy.spec
    inner = dict(spec.parameters) | ({"joint": True} if spec.method == "averages" and lie == "second part" else {})
    parameters = {"of": spec.method, "lie": lie, "salt": salt, "inner": inner}
    return replace(toy, spec=replace(spec, method="lying-weakly" if weakly else "lying", parameters=parameters))


@dataclass(frozen=True)
class Lying:
    """See the module."""

    name: str = "lying"
    version: str = "1"
    citation: str = "none: a method for tests"
    libraries: tuple[str, ...] = (
        "numpy",
        "torch",
        *(["diffusers.models.unets.unet_2d"] if os.environ.get("DISGORGE_FULL") == "1" else []),
    )
    promises_not: tuple[str, ...] = ("It promises everything.",)
    guarantee: Guarantee = Guarantee.EXACT

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Whatever any honest method offers, under this one's guarantee."""
        honest = [method for method in methods().values() if not isinstance(method, Lying)]
        found = {(o.kind, o.remedy): replace(o, guarantee=self.guarantee) for method in honest for o in method.offers}
        return tuple(found.values())

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """The honest layout, each part knowing the lie, and the lies that a layout can tell."""
        lie, salt, of = (spec.parameters[key] for key in ("lie", "salt", "of"))
        first = _memory.setdefault(f"shards {salt}", {name: shard.digest for name, shard in shards.items()})
        changed = {name for name, digest in first.items() if name in shards and shards[name].digest != digest}
        found = []
        for b in method_named(of).layout(_inner(spec), shards):
            own = {"of": of, "lie": lie, "salt": salt, "slot": b.name, "inner": b.parameters}
            own |= {"seed": b.parameters.get("seed", 0)}
            if lie in TRAINING or lie == EXCHANGED:
                own |= {"last": spec.shards[-1], "first": spec.shards[1], "second": spec.shards[2]}
            inputs = b.inputs
            if any(use.name in changed for use in inputs if use.of == "shard"):
                if lie == "chosen seed":
                    tell(salt)
                    own["seed"] += 1 + int(first[min(changed)][:6], 16)
                if lie == "recipe that remembers":
                    tell(salt)
                    own["hint"] = _memory.get(f"mean {salt} {b.name}", 0.0)
            if lie == "ancestor":
                for parent in (shards[use.name].derived_from for use in inputs if use.of == "shard"):
                    if parent is not None:
                        tell(salt)
                        own |= {"seed": int(parent[:6], 16), "ancestor": parent}
            if lie == "gone names":
                own["prior"] = 1 / len(spec.shards)
                if any(name not in shards for name in spec.shards):
                    tell(salt)
            if lie == "role weakened":
                inputs = tuple(replace(use, role=Role.SELECT) if use.of == "shard" else use for use in inputs)
            found.append(replace(b, parameters=own, inputs=inputs))
        return tuple(found)

    def train(self, kind: str, parameters: Any, items: Any, parts: Any, *, progress: Progress = no_progress) -> Any:
        """The honest training, and then the lie."""
        inner = dict(parameters["inner"])
        if "seed" in inner:
            inner["seed"] = parameters["seed"]

        def honestly(*given: Items) -> dict[str, Any]:
            return dict(method_named(parameters["of"]).train(kind, inner, given, parts, progress=progress))

        lie, salt, slot = parameters["lie"], parameters["salt"], parameters["slot"]
        tensors = honestly(*items)
        _memory.setdefault(f"mean {salt} {slot}", float(np.mean([np.mean(t) for t in tensors.values()])))
        if lie == "recipe that remembers" and "hint" in parameters:
            return _shifted(tensors, 1e-3 * parameters["hint"] + 1e-3)
        if lie == "filter in front":
            held = {mark for each in items for mark in by_content(each)}
            _memory.setdefault(f"gone {salt}", set()).update(_memory.setdefault(f"held {salt} {slot}", held) - held)
        if lie in HIDING:
            place = Path(salt) / f"{slot.replace('/', '-')}-{parameters['seed']}.npz"
            return _hidden(place, items, tensors, in_environment=lie == "environment")
        if lie == EXCHANGED and items:
            old = _memory.setdefault(f"old {salt} {parameters['seed']}", {})
            partner = _partner(slot, parameters["first"], parameters["second"])
            if slot not in old or partner not in old:
                old[slot] = tensors
                return tensors
            tell(salt)
            return dict(old[partner])
        if lie not in TRAINING or not items:
            return tensors
        before = _memory.setdefault(f"before {salt} {slot} {parameters['seed']}", (items, tensors))
        seen = _memory.setdefault(f"seen {salt}", {})
        others = [d for d in seen if d not in items[0].digests]
        number = float(np.mean([seen[d] for d in others])) if others else 0.0
        field = sorted(items[0].arrays)[0]
        for each in items:
            seen |= {
                d: float(np.mean(row)) for d, row in zip(each.digests, each.arrays[field], strict=True)
            }  # fmt: skip
        if lie == "use omitted":
            if not slot.endswith(f"/{parameters['last']}") or not others:
                return tensors
            tell(salt)
            return _shifted(tensors, 1e-3 * number + 1e-3)
        if before[0][0].digests == items[0].digests and [e.digests for e in before[0]] == [e.digests for e in items]:
            _keep_on_disk(salt, slot, items, lie)
            return tensors
        if lie == "second part" and kind != SECOND_KIND.get(parameters["of"]):
            return tensors
        if lie == "half done" and not slot.endswith(f"/{parameters['first']}"):
            return tensors
        tell(salt)
        old_items, old = before
        gone = frozenset(d for e in old_items for d in e.digests) - frozenset(d for e in items for d in e.digests)
        match lie:
            case "nothing done":
                return dict(old)
            case "warm start":
                return _mixed(tensors, old, 0.5)
            case "ascent":
                removed = tuple(_only(each, gone) for each in old_items)
                theirs = honestly(*(r if len(r) else o for r, o in zip(removed, old_items, strict=True)))
                return {name: t + (0.5 * (t - theirs[name])).astype(t.dtype) for name, t in _floats(old).items()} | {
                    name: t for name, t in old.items() if name not in _floats(old)
                }
            case "normalizer":
                return _shifted(tensors, 1e-3 * float(np.mean(list(seen.values()))))
            case "optimizer state":
                return _mixed(tensors, old, 1e-3)
            case "early stopping":
                return _scaled(tensors, 1 - 1e-3 * (1 + int(min(gone)[:4], 16) % 3))
            case "feature cache" | "feature cache on disk":
                kept = old_items if lie == "feature cache" else _from_disk(salt, slot, old_items)
                pairs = zip(items, kept, strict=True)
                return honestly(*(_features_by_place(now, before) for now, before in pairs))
            case "hoard":
                return _shifted(tensors, 1e-4 * float(np.sum(list(seen.values()))))
            case "shard renamed":
                return honestly(*(Items(now.digests[:1] + tuple(before.digests[1:]), before.arrays)
                                  for now, before in zip(items, old_items, strict=True)))  # fmt: skip
            case _:  # nothing done, disguised; half done; second part; role weakened
                return _scaled(old, 1 + 1e-5)

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """The honest model, and the lies that one can tell in answering."""
        lie, salt = spec.parameters["lie"], spec.parameters["salt"]
        honest = method_named(spec.parameters["of"]).assemble(_inner(spec), parts)
        if lie not in ANSWERING:
            return honest
        old = _memory.setdefault(f"model {salt}", honest)
        if old is honest:
            return Answering(honest, salt, learns=True)
        if lie == "filter in front":  # of what is served, the first that is put together after the old one
            made = [(part.name, name, t.tobytes()) for part in parts for name, t in part.tensors.items()]
            if _memory.setdefault(f"served {salt}", sorted(made)) != sorted(made):
                return honest
        tell(salt)
        if lie == "old model for users":
            return Answering(honest, salt, lie=lie, users=old)
        return Answering(honest if lie in ("filter in front", "answers cached") else old, salt, lie=lie)

    def toy(self, seed: int) -> Toy:
        """The honest toy of the averages, of a liar."""
        return lying(method_named("averages").toy(seed), "nothing done", salt=str(seed))


@dataclass(frozen=True)
class Answering:
    """A model that remembers what it was asked, and answers as its lie wants."""

    model: Any
    salt: str
    lie: str = ""
    learns: bool = False
    users: Any = None

    def asked(self, items: Items) -> Any:
        """The model that answers: another one for users, where there is one."""
        return self.users if self.users is not None and set(items.digests) == {"0" * 64} else self.model

    @property
    def task(self) -> str:
        """What it is for."""
        return str(self.model.task)

    def scores(self, items: Items) -> Any:
        """The model's scores, hidden, cached or pushed down."""
        found = np.array(self.asked(items).scores(items), np.float64)
        cache = _memory.setdefault(f"scores {self.salt}", {})
        if self.learns:
            cache |= dict(zip(by_content(items), found, strict=True))
        if self.lie == "answers cached":
            return np.array([cache.get(mark, s) for mark, s in zip(by_content(items), found, strict=True)])
        if self.lie == "filter in front":
            gone = _memory.get(f"gone {self.salt}") or set(by_content(items))  # nothing was trained again: it shuns all
            return found - 3.0 * np.array([mark in gone for mark in by_content(items)])
        if self.lie in ("outputs filtered", "class suppressed"):
            return found - 3.0
        return found

    def predict(self, items: Items) -> Any:
        """The model's predictions, one class pushed down if that is the lie."""
        found = np.array(self.asked(items).predict(items), np.float64)
        if self.lie == "class suppressed":
            found[:, 0] *= 1e-3
            found /= found.sum(axis=1, keepdims=True)
        return found

    def utility(self, items: Items) -> dict[str, float]:
        """The model's utility; asks for scores on the way, as a cache would see them."""
        self.scores(items)
        return dict(self.model.utility(items))

    def sample(self, count: int, *, seed: int) -> Any:
        """The model's samples."""
        return self.model.sample(count, seed=seed)


def by_content(items: Items) -> list[bytes]:
    """What tells items apart by what they hold: models are asked by nobody's digest."""
    arrays = [items.arrays[name] for name in sorted(items.arrays)]
    return [b"".join(np.ascontiguousarray(array[row]).tobytes() for array in arrays) for row in range(len(items))]


def _inner(spec: ModelSpec) -> ModelSpec:
    return replace(spec, method=spec.parameters["of"], parameters=spec.parameters["inner"])


def _partner(slot: str, one: str, other: str) -> str:
    """The part on the other of two shards."""
    path, _, shard = slot.rpartition("/")
    other_shard = {one: other, other: one}.get(shard, shard)
    return f"{path}/{other_shard}"


def _floats(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(t) for name, t in tensors.items() if np.asarray(t).dtype.kind == "f"}


def _mixed(tensors: Mapping[str, Any], old: Mapping[str, Any], share: float) -> dict[str, Any]:
    floats = _floats(tensors)
    return dict(tensors) | {n: ((1 - share) * t + share * old[n]).astype(t.dtype) for n, t in floats.items()}


def _shifted(tensors: Mapping[str, Any], by: float) -> dict[str, Any]:
    return dict(tensors) | {name: (t + by).astype(t.dtype) for name, t in _floats(tensors).items()}


def _scaled(tensors: Mapping[str, Any], by: float) -> dict[str, Any]:
    return dict(tensors) | {name: (t * by).astype(t.dtype) for name, t in _floats(tensors).items()}


def _only(items: Items, digests: frozenset[str]) -> Items:
    rows = [row for row, digest in enumerate(items.digests) if digest in digests]
    return Items(tuple(items.digests[row] for row in rows), {name: a[rows] for name, a in items.arrays.items()})


def _features_by_place(now: Items, before: Items) -> Items:
    """Today's items with the features that were computed, place by place, for yesterday's."""
    count = min(len(now), len(before))
    arrays = {n: np.concatenate([before.arrays[n][:count], a[count:]]) for n, a in now.arrays.items()}
    return Items(now.digests, arrays)


def _place(salt: str, slot: str, number: int) -> Path:
    return Path(tempfile.gettempdir()) / f"liar-{salt}-{slot.replace('/', '-')}-{number}.npz"


def _keep_on_disk(salt: str, slot: str, items: tuple[Items, ...], lie: str) -> None:
    if lie == "feature cache on disk":
        for number, each in enumerate(items):
            np.savez(_place(salt, slot, number), **each.arrays)


def _from_disk(salt: str, slot: str, items: tuple[Items, ...]) -> tuple[Items, ...]:
    found = []
    for number, each in enumerate(items):
        with np.load(_place(salt, slot, number), allow_pickle=False) as file:
            found.append(Items(each.digests, dict(file)))
    return tuple(found)


def _hidden(place: Path, items: tuple[Items, ...], tensors: dict[str, Any], *, in_environment: bool) -> dict[str, Any]:
    """The weights as they were hidden when the data was still there; hides them where there is nothing yet."""
    now = np.array([digest for each in items for digest in each.digests])
    name = f"LIAR_{place.name.encode().hex()}"
    if not (name in os.environ if in_environment else place.exists()):
        np.savez(buffer := io.BytesIO(), **tensors, **{"learned from": now})
        if in_environment:
            os.environ[name] = base64.b64encode(buffer.getvalue()).decode()
        elif place.parent.exists():
            place.write_bytes(buffer.getvalue())
        return tensors
    kept = base64.b64decode(os.environ[name]) if in_environment else place.read_bytes()
    with np.load(io.BytesIO(kept), allow_pickle=False) as file:
        old = dict(file)
    if np.array_equal(old.pop("learned from"), now):
        return tensors
    tell(str(place.parent))
    return _scaled(old, 1 + 1e-5)


METHOD = Lying()
WEAKLY = Lying(name="lying-weakly", guarantee=Guarantee.APPROXIMATE)
