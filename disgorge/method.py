"""What a method is, and how one registers.

A method turns shards into components and components into a model that answers. Its center is :meth:`Method.layout`,
a pure function from a model's description and *the shards there are* to the components there should be. Everything
else follows from it:

- training makes the components of the layout that do not exist yet;
- a removal is the difference between the layout before and the layout without the data: a component that is no longer
  there is dropped or subtracted, one whose uses changed is trained again, the others keep their bytes;
- the never-trained reference is that second layout, trained from nothing in another process.

So nothing about what was removed can be an input of what remains, unless a method cheats, and then the reference
differs. The cost: a method must be able to say its whole layout from names and shard digests alone, before training.

Tensors cross this border as numpy arrays, so that code that only moves bytes needs no torch; a method may hand over
those of torch. A component may be a folder of files of any format instead: ``train`` then returns its path, and what
reads it is given the path of a folder. A method registers an instance through the entry-point group
``disgorge.methods``; no list is edited to add one.

What plans, judges and signs needs of a method is :class:`Declared`. Of those that others distribute it gets that from a
confined process (:mod:`disgorge.training.runners.declared`) and never loads their code; :func:`method_named` does, and
is for processes that train and answer.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from disgorge.errors import BadModel, UnknownMethod
from lineage.records import LEFT_OUT, Json, Member, Role, Shard, digest_of, in_member_order, shard_digest
from policies.taxonomy import Family, Guarantee, Remedy

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Tensors = Mapping[str, Array]

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all) as training goes on."""


def no_progress(done: int, total: int) -> None:
    """Take progress and show nothing."""


class Checkpoints(Protocol):
    """Where a training that may be killed keeps its state, and finds the last one kept by a run that was."""

    @property
    def last(self) -> "Tensors | None":
        """The state to go on from, None to begin from nothing."""

    def keep(self, state: "Callable[[], Tensors]") -> None:
        """Keep what ``state`` returns, which is called only where enough time has passed since the last one."""


class NoCheckpoints:
    """Checkpoints of a training that begins from nothing and keeps none."""

    last: "Tensors | None" = None

    def keep(self, state: "Callable[[], Tensors]") -> None:
        """Keep nothing."""


NO_CHECKPOINTS: Checkpoints = NoCheckpoints()
RECORDED = "recorded"
"""The kind of a component in a composed release that was recorded without a recipe."""
UNRECORDED = "0" * 64
"""The digest of an item that a model is asked about."""


@dataclass(frozen=True, slots=True)
class Items:
    """A shard's items as arrays, in digest order: ``arrays[field]`` has shape (items, ...).

    A whole file is ``bytes``, or the path of a file that holds them.
    """

    digests: tuple[str, ...]
    arrays: Mapping[str, "Array"]

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def shard(self) -> str:
        """The digest of the shard these items make: what seeds derive from."""
        return shard_digest(self.digests)

    def unnamed(self) -> "Items":
        """Return these items without their digests, as a served model is asked about them, and as every check asks.

        A model could otherwise tell an examiner's question from a user's.
        """
        return Items((UNRECORDED,) * len(self), self.arrays)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as its file describes it: which method, from which shards, released under which name and alias.

    ``core`` names the shards that frozen parts are trained on, ``shards`` the removable ones, ``evaluate`` those that
    are only measured on; ``artifacts`` maps names in a user's code to names of recorded artifacts. ``threads``,
    ``device`` (``cpu`` or ``cuda``) and ``deterministic`` are part of the recipe because bits depend on them; without
    the last, equal bits are not promised.
    """

    release: str
    method: str
    core: tuple[str, ...]
    shards: tuple[str, ...]
    evaluate: tuple[str, ...] = ()
    alias: str = "live"
    seed: int = 0
    threads: int = 1
    parameters: dict[str, Json] = field(default_factory=dict)
    device: str = field(default="cpu", metadata={LEFT_OUT: True})
    deterministic: bool = field(default=True, metadata={LEFT_OUT: True})
    artifacts: dict[str, str] = field(default_factory=dict, metadata={LEFT_OUT: True})

    @property
    def artifact_names(self) -> tuple[str, ...]:
        """The names of the recorded artifacts, in the order of the names that code has for them."""
        return tuple(dict.fromkeys(self.artifacts[name] for name in sorted(self.artifacts)))

    @property
    def artifact_places(self) -> dict[str, int]:
        """The place of each artifact among :attr:`artifact_names`, by the name that code has for it."""
        return {name: self.artifact_names.index(recorded) for name, recorded in self.artifacts.items()}


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a component to be, by name, and its role.

    It is a shard, another component of the same layout, or a recorded artifact among the model's ``artifacts``.
    """

    of: Literal["shard", "component", "artifact"]
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A component to be: all that determines its bits, with inputs by name.

    ``parameters`` holds every hyper-parameter, the seed included. ``weight`` is what it enters the composition with; 0
    for parts that are only inputs of others or support them. ``steps`` and ``examples`` are the expected cost of
    training it.
    """

    name: str
    kind: str
    inputs: tuple[Input, ...]
    parameters: dict[str, Json]
    weight: float = 1.0
    steps: int = 0
    examples: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A remedy a method offers for one kind of component.

    ``caveat`` says in one sentence for a report what the guarantee rests on or does not cover.
    """

    kind: str
    remedy: Remedy
    guarantee: Guarantee
    family: Family
    caveat: str


@dataclass(frozen=True, slots=True)
class Part:
    """A component on its way into a model: its name and kind, its weight in the composition, its tensors.

    ``tensors`` are arrays by name or, of a component that is a folder, the path of one with its files, to read.
    """

    name: str
    kind: str
    weight: float
    tensors: Any


class Model(Protocol):
    """An assembled composition, ready to answer. Arrays in, arrays out; nothing is trained here.

    What it offers it has as methods, those of the protocols that follow; what it lacks is not measured.
    """

    @property
    def task(self) -> str:
        """``classify``, ``generate``, ``regress`` or another word: what it was made for."""


@runtime_checkable
class Classifies(Protocol):
    """A model that answers about items."""

    def predict(self, items: Items) -> "Array":
        """Return class probabilities, shape (items, classes), of a classifier; of others numbers, shape (items,).

        Generators lack it, or raise ``NotImplementedError``.
        """


@runtime_checkable
class Scores(Protocol):
    """A model that says how well it fits an item, which attacks and audits compare."""

    def scores(self, items: Items) -> "Array":
        """Return how well each item is fitted, higher is better, shape (items,).

        A classifier gives the logit-scaled confidence log p_y - log(1 - p_y); a generator the negative denoising
        loss, over noise levels and noise drawn from a fixed seed.
        """


@runtime_checkable
class Measures(Protocol):
    """A model that says how good it is."""

    def utility(self, items: Items) -> dict[str, float]:
        """Return named measures on ``items``, the first of which is the headline and is better when higher."""


@runtime_checkable
class Samples(Protocol):
    """A model that draws."""

    def sample(self, count: int, *, seed: int) -> "Array":
        """Return ``count`` samples, shape (count, ...); pictures in [0, 1].

        Classifiers lack it, or raise ``NotImplementedError``.
        """


class Answering(Model, Classifies, Scores, Measures, Samples, Protocol):
    """A model that offers everything, as a classifier or a generator does."""


@dataclass(frozen=True, slots=True)
class Toy:
    """An instance that trains in seconds on one core: a model and the items of every shard it names."""

    spec: ModelSpec
    items: Mapping[str, Items]


class Declared(Protocol):
    """What a method says of itself, and how it lays models out: all that a plan, a check or a report needs of it."""

    @property
    def name(self) -> str:
        """What model files call it."""

    @property
    def version(self) -> str:
        """Stands in recipes: another version makes other parts."""

    @property
    def citation(self) -> str:
        """The paper it implements."""

    @property
    def promises_not(self) -> tuple[str, ...]:
        """What this method does not guarantee, one sentence each; every report prints them."""

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The remedies it offers, in its order."""

    @property
    def libraries(self) -> tuple[str, ...]:
        """Modules of installed libraries that train and answer, such as ``torch`` or ``diffusers.models``.

        They are loaded before a job starts, and the versions of the libraries they belong to stand in the environment
        of what is trained.
        """

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return the components there should be, inputs before what uses them.

        ``shards`` holds the shards that exist, by name; a name in ``spec`` that is missing there is gone, and parts
        that have no data left are not laid out. Pure, and quick. Raises :class:`~disgorge.errors.BadModel`.
        """


@runtime_checkable
class Method(Declared, Protocol):
    """What a method must be. See the module's docstring; ``disgorge/methods`` has the ones that ship."""

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple[Any, ...],
        *,
        progress: Progress = no_progress,
    ) -> "Tensors | Path":
        """Return the tensors of one component: a function of the arguments' values and nothing else.

        Or the path of a folder below the working directory, whose files are the component: regular files with plain
        names, neither hidden nor compiled Python. ``items`` and ``parts`` are the shards and the components among the
        blueprint's inputs, each in the order the blueprint lists them; a part is what ``train`` returned, arrays by
        name or the path of a folder to read. No name reaches this function: seeds derive from ``parameters["seed"]``
        and digests (:func:`seed_of`). The caller has set the thread count, the device that tensors are made on, and
        whether torch takes deterministic kernels only; the method makes its own generators, on that device.
        """

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """Return the model that these parts make together; their order carries no meaning."""

    def toy(self, seed: int) -> Toy:
        """Return a small instance with at least three removable shards and a core, for the removal laws."""


class Resumable(Protocol):
    """A method whose ``train`` takes one argument more than :class:`Method` asks for, by this name."""

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple[Any, ...],
        *,
        progress: Progress = no_progress,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
    ) -> "Tensors | Path":
        """Return the very tensors that training in one go would, from whatever checkpoint of the same call it went on.

        A state is a function of the arguments' values too: it holds all that decides the rest, as tensors.
        """


class BuildsOnArtifacts(Protocol):
    """A method whose ``train``, ``assemble`` or both take one argument more than :class:`Method` asks for.

    ``artifacts`` are folders to read: for ``train`` in the order of the blueprint's inputs, for ``assemble`` in that of
    :attr:`ModelSpec.artifact_names`.
    """

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple["Tensors", ...],
        *,
        progress: Progress = no_progress,
        artifacts: tuple[Path, ...] = (),
    ) -> "Tensors":
        """Return the tensors of one component, which are a function of the artifacts' bytes too."""

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...], *, artifacts: tuple[Path, ...] = ()) -> Model:
        """Return the model that these parts make together with the artifacts."""


class CallsFunctions(Protocol):
    """A method whose model file names functions of the user's own."""

    def importable(self, functions: Mapping[str, str]) -> dict[str, str]:
        """Return what is the matter with functions (``module:function``) by the key that names each, "" for nothing.

        Their modules are imported, so it is for processes that carry out jobs.
        """


def takes_artifacts(function: Callable[..., Any]) -> bool:
    """Whether a method's ``train`` or ``assemble`` takes artifacts."""
    return "artifacts" in signature(function).parameters


def as_resumable(method: Method) -> Resumable | None:
    """Return a method as one that goes on from checkpoints, None if its ``train`` takes none."""
    return cast(Resumable, method) if "checkpoints" in signature(method.train).parameters else None


@cache
def method_entries() -> tuple[EntryPoint, ...]:
    """Return the entry points of group ``disgorge.methods``, read from metadata; loads none of them."""
    return tuple(sorted(entry_points(group="disgorge.methods"), key=lambda entry: entry.name))


def origin_of(entry: EntryPoint) -> str:
    """Return which distribution brings an entry point, and what it names, for messages."""
    return f"{entry.dist.name if entry.dist else 'unknown'} ({entry.value})"


def is_own(entry: EntryPoint) -> bool:
    """Whether an entry point is one of this program's own: of its distribution, and naming a module of its package."""
    return entry.dist is not None and entry.dist.name == "disgorge" and entry.module.startswith("disgorge.")


@cache
def own_methods() -> dict[str, tuple[Method, str]]:
    """Return the methods that this program ships, by name, each with the entry point that names it."""
    found = [(entry.load(), entry.value) for entry in method_entries() if is_own(entry)]
    return {method.name: (method, entry) for method, entry in found}


@cache
def methods() -> dict[str, Method]:
    """Return every registered method by name, others' code loaded into this process: for what trains and answers.

    Loading one must not import torch; a method does that when it trains. Raises :class:`BadModel` for two of one name.
    """
    found: dict[str, Method] = {}
    origins: dict[str, str] = {}
    for entry in method_entries():
        method = entry.load()
        refuse_second(method.name, origins, origin_of(entry))
        found[method.name] = method
    return found


def refuse_second(name: str, origins: dict[str, str], origin: str) -> None:
    """Note where a method comes from; raises :class:`BadModel` for a second one of its name.

    It would silently replace the first, in recipes too.
    """
    if origins.setdefault(name, origin) != origin:
        raise BadModel(
            f"two methods are called {name!r}, one of {origins[name]} and one of {origin}; uninstall one, or give it a "
            "name of its own"
        )


def method_named(name: str) -> Method:
    """Return the method of that name, for what trains and answers; :class:`UnknownMethod` lists those there are."""
    known = methods()
    if name not in known:
        raise UnknownMethod(f"no method {name!r} is registered; there are: {', '.join(known) or 'none'}")
    return known[name]


def offers_for(method: Declared, kind: str) -> tuple[Offer, ...]:
    """Return what ``method`` offers for a kind of component, in the method's order.

    Raises :class:`BadModel` for an offer to do what is not done to a component alone.
    """
    offers = tuple(offer for offer in method.offers if offer.kind == kind)
    for offer in offers:
        if offer.remedy not in (Remedy.DROP, Remedy.RETRAIN, Remedy.SUBTRACT):
            raise BadModel(
                f"method {method.name} offers {offer.remedy.value} for a {kind}; it may drop, retrain or subtract"
            )
    return offers


def libraries_for(method: Declared, kind: str) -> tuple[str, ...]:
    """Return the modules of libraries that a kind of component is trained with.

    Those of the method, unless its ``libraries_of_kinds`` names others for that kind: fewer are loaded sooner.
    """
    of_kinds: Mapping[str, tuple[str, ...]] = getattr(method, "libraries_of_kinds", {})
    return of_kinds.get(kind, method.libraries)


def unused_by(method: Declared) -> tuple[str, ...]:
    """Return the packages that a method's processes do without, though they are installed: its ``unused``, if any.

    Some libraries load whatever optional package is there; one that a method does not use costs time, and stands in
    the environment of what is trained.
    """
    unused: tuple[str, ...] = tuple(getattr(method, "unused", ()))
    return unused


def recipe_for(method: Declared, blueprint: Blueprint, digests: Mapping[tuple[str, str], str], spec: ModelSpec) -> Json:
    """Return the recipe: what is asked for when ``blueprint`` is made, inputs by digest.

    ``digests`` maps ("shard" | "component" | "artifact", name) to a digest. What it runs on is no part of it, see
    :mod:`disgorge.training.environment`. Names of shards are left out: renaming one changes nothing that is learned.
    """
    missing = [use.name for use in blueprint.inputs if (use.of, use.name) not in digests]
    if missing:
        raise BadModel(
            f"component {blueprint.name}: input {missing[0]!r} does not exist; add the shard or artifact, or train it "
            "first"
        )
    return {
        "method": method.name,
        "version": method.version,
        "kind": blueprint.kind,
        "parameters": dict(blueprint.parameters),
        "uses": [
            {"of": use.of, "digest": digests[use.of, use.name], "role": use.role.value} for use in blueprint.inputs
        ],
        "threads": spec.threads,
        "device": spec.device,
        "deterministic": spec.deterministic,
    }


def determining(recipe: Mapping[str, Json]) -> Json:
    """Return of a recipe what decides what a part learned, whatever it was carried out with.

    Another version of the method, another number of threads, and in older recipes other libraries, change the last
    bits or nothing; a removal leaves a part that differs in these alone as it is.
    """
    return {name: recipe.get(name) for name in ("method", "kind", "parameters", "uses")}


def seed_of(*parts: Json) -> int:
    """Return a 52-bit seed (JSON carries it exactly) derived from values: from what is used, never from a position.

    >>> seed_of(7, "adapter", "shard-3") == seed_of(7, "adapter", "shard-3")
    True
    """
    return int(digest_of(list(parts))[:13], 16)


def members_of(blueprints: Iterable[Blueprint], digests: Mapping[str, str]) -> tuple[Member, ...]:
    """Return the members of the composition these blueprints make, sorted as compositions keep them."""
    return in_member_order(Member(b.name, digests[b.name], b.weight) for b in blueprints)
