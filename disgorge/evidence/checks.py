"""Evidence: what was measured, against what, and whether a certificate may rest on it.

A check that could not have failed proves nothing. So a statistical probe carries two controls: the model *before*
removal must be flagged (positive), and one never-trained reference against the others must pass (negative). Without
both its verdict is inconclusive, and inconclusive never certifies. Other checks have those of the two that they can
have: :data:`CONTROLS` says which.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from disgorge.errors import BadProbe, WrongUse
from disgorge.method import Answering, Items
from lineage.records import Component, Json

if TYPE_CHECKING:
    from disgorge.method import Tensors

CONTROLS: Mapping[str, frozenset[str]] = {
    "answers": frozenset({"positive"}),
    "bound": frozenset(),
    "lineage-closure": frozenset({"positive"}),
    "never-trained": frozenset({"positive"}),
    "residue": frozenset({"positive"}),
    "utility": frozenset(),
    "weights-changed": frozenset(),
}
"""The checks that ship and are not statistical probes, each with the controls without which it shows nothing.

Nothing is left to control in ``bound``, which recomputes two numbers, and in ``utility`` and ``weights-changed``, which
compare two. A search
that finds nothing has nothing to be accused of wrongly, so ``residue`` and ``lineage-closure`` have no negative one,
nor has ``answers``, which fails where a layout is not what was recorded.
"""
STATISTICAL = frozenset({"positive", "negative"})
"""The controls of every other check."""
REFERENCES = 3
"""Never-trained models a statistical probe needs at the least: two make the band, the third is the negative control."""
EVERY = "all"
"""What names every statistical probe."""
ASKED_IN = "seconds of asking"
"""Of the check ``answers``: how long it took to ask the models before and after."""


class Verdict(StrEnum):
    """What a check says."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Control:
    """A run of the same measurement whose right answer is known: ``held`` is whether it gave that answer."""

    name: str
    words: str
    value: float
    held: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One measurement and its verdict.

    ``name`` is the kind of check (``never-trained``, ``membership``, ``lineage-closure``, ``residue``, ``utility``),
    ``subject`` the release or component it is about, ``question`` what it asks in words a lawyer reads, ``answer`` what
    it found in such words. ``value`` is compared with ``threshold``; ``n`` is the sample size; ``detail`` holds seeds,
    intervals, digests. Never any personal data.
    """

    name: str
    subject: str
    question: str
    answer: str
    value: Json
    threshold: Json
    n: int
    verdict: Verdict
    controls: tuple[Control, ...] = ()
    seconds: float = 0.0
    detail: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Utility:
    """A measure of a release on one shard before and after, with that shard's size; None where there is no model."""

    release: str
    shard: str
    metric: str
    n: int
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found about one release. ``samples`` is an object with arrays ``before`` and ``after``, or None."""

    checks: tuple[Check, ...]
    utility: tuple[Utility, ...]
    samples: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All measurements of one execution.

    ``before`` and ``after`` map a release to its composition's digest; a release destroyed has no ``after``.
    ``required`` are the names of the checks that must be there, and pass, for each release in ``subjects``.
    """

    request: str
    plan: str
    subjects: tuple[str, ...]
    required: tuple[str, ...]
    checks: tuple[Check, ...]
    utility: tuple[Utility, ...]
    before: dict[str, str]
    after: dict[str, str]
    environment: dict[str, Json]


@dataclass(frozen=True, slots=True)
class ProbeCase:
    """The input of a statistical probe, which changes nothing.

    ``references`` never saw the removed items and differ from ``after`` in their seeds alone. ``removals`` are what the
    same removal makes from other seeds than ``after``'s and theirs, where a probe wants several (:func:`models_of`).
    """

    release: str
    before: Answering
    after: Answering
    references: tuple[Answering, ...]
    removed: Items
    retained: Items
    held_out: Items
    seed: int
    removals: tuple[Answering, ...] = ()


@dataclass(frozen=True, slots=True)
class ReexecutionCase:
    """The input of the never-trained check: components, and a way to make each again from nothing.

    ``reexecute`` returns the digest that a component's recipe reached now, in a fresh process from the retained data.
    ``standing`` maps a recipe's digest to the component that stands on its attestation, and so was not run now.
    ``shown_by`` says by name what shows where a component's bytes came from; ``unshown`` why nothing does that the plan
    accepts. ``unchanged`` names those that this removal made, confined, and that came out as they had been.

    ``tensors`` returns what a digest names, or None if its bytes are not there, to say how much differs.

    ``elsewhere`` says, by name of a component that was re-executed now, how the environment differs from the one it was
    made in, and ``request`` which request this is about, for what to do then.

    What the controls take: ``learned`` are the parts of the release before removal that learned from the removed data,
    digest by name, ``attested_before`` the parts, by name, whose making was attested before they ran now, ``again`` is
    ``reexecute`` once more, in a process of its own, and ``confinement`` whether a planted job found nothing of what it
    must not reach. It must be there where the plan ``demands`` that runs be confined.
    """

    release: str
    components: tuple[Component, ...]
    reexecute: Callable[[Component], str]
    standing: dict[str, str]
    shown_by: Mapping[str, str] = field(default_factory=dict)
    unshown: Mapping[str, str] = field(default_factory=dict)
    unchanged: frozenset[str] = frozenset()
    tensors: "Callable[[str], Tensors | None] | None" = None
    learned: Mapping[str, str] = field(default_factory=dict)
    attested_before: frozenset[str] = frozenset()
    again: Callable[[Component], str] | None = None
    confinement: Control | None = None
    demands: bool = False
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    request: str = "REQUEST"


@dataclass(frozen=True, slots=True)
class NearItem:
    """A live item that is near removed ones: its shard's name, its digest, theirs, nearest first, and bits to that."""

    shard: str
    digest: str
    near: tuple[str, ...]
    bits: int


@dataclass(frozen=True, slots=True)
class Near:
    """What a search by likeness came to.

    ``unjudged`` are near-duplicates that were not reviewed, ``distinct`` those that a person found to be other items.
    ``sought`` is how many removed items have a likeness; ``unseen`` are names of live shards with an item without one.
    """

    sought: int
    unjudged: tuple[NearItem, ...] = ()
    distinct: tuple[NearItem, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What was not reviewed, in words, "" if there is nothing."""
        if not self.unjudged:
            return ""
        shards = sorted({item.shard for item in self.unjudged})
        number = len(self.unjudged)
        count, look = ("1 item", "looks") if number == 1 else (f"{number:,} items", "look")
        return f"{count} of {', '.join(shards)} {look} like what it removes"


@dataclass(frozen=True, slots=True)
class ResidueCase:
    """What the residue check judges: traces found before a purge and left after it, and how far the search reached.

    ``before`` is how many traces the same search found before the purge, ``erased`` how much went, ``left`` where it
    finds one now, ``places`` how many locations it looked at, ``blind`` what it could not look into, ``seconds`` how
    long it took.

    ``items`` is how many items were removed, ``near`` what a search by likeness for their near-duplicates came to, and
    ``recognized`` how many of those sought it found in their own shards before the purge.

    ``live`` is how many traces the same search finds now of an item that is live; None where that was not asked.

    ``unread`` are files that are there and cannot be read as data, ``sources`` says in words which files that shards
    were read from are there as well. ``compared`` files were compared by what they hold, ``opened`` only opened, and
    ``undecided`` have tensors of the removed weights' shapes that may or may not come from them. ``registered`` are the
    models in MLflow's registry that no recorded composition explains and that name nothing of what was removed, None
    where there was no registry to look into. None of them is a trace: it is for people to know.
    """

    request: str
    before: int
    left: tuple[str, ...]
    places: int
    blind: tuple[str, ...]
    seconds: float
    erased: int = 0
    items: int = 0
    near: Near = Near(0)
    recognized: int = 0
    unread: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    registered: tuple[str, ...] | None = None
    live: int | None = None
    compared: int = 0
    opened: int = 0
    undecided: tuple[str, ...] = ()


@runtime_checkable
class Probe(Protocol):
    """A statistical audit of a model, registered through the entry-point group ``disgorge.probes``.

    One that compares several removed models with as many references says how many at the least as ``models``; it is
    costly, and run only where a pack or a person names it.
    """

    name: str
    version: str

    def run(self, case: ProbeCase) -> Check | None:
        """Return the check, inconclusive unless both controls held; None where the question does not arise.

        None is for a generator's question asked of a classifier, never for one that could not be answered.
        """


@cache
def probes() -> dict[str, Probe]:
    """Return every registered probe by name. Loading one must not import torch.

    :class:`BadProbe` for one that is called like a check that ships and needs fewer controls, or like another
    probe, which it would silently replace.
    """
    by_name: dict[str, Probe] = {}
    for entry in sorted(entry_points(group="disgorge.probes"), key=lambda entry: entry.name):
        probe = entry.load()
        if probe.name in CONTROLS or by_name.setdefault(probe.name, probe) is not probe:
            raise BadProbe(
                f"probe {entry.value} is called {probe.name!r}, as a check is that ships with disgorge or another "
                "probe; give it a name of its own, or uninstall what registers it"
            )
    return by_name


def models_of(names: Iterable[str]) -> int:
    """Return how many removed models, and as many references, the probes of these names want; 0 if one will do."""
    return max((int(getattr(probes()[name], "models", 0)) for name in names if name in probes()), default=0)


def models_trained(names: Collection[str], references: int = REFERENCES) -> int:
    """Return how many models are trained to compare with: references, and removed models beside the released one."""
    models = models_of(names)
    return (max(references, models) + max(models - 1, 0)) if names else 0


def probes_named(names: Iterable[str]) -> frozenset[str]:
    """Return the names of probes that a person asked for, all of them for ``all``; :class:`WrongUse` for another."""
    asked, known = frozenset(names), frozenset(probes())
    if strange := sorted(asked - known - {EVERY}):
        raise WrongUse(f"unknown probe {strange[0]!r}: name one of {', '.join(sorted(known))}, or {EVERY}")
    return known if EVERY in asked else asked


def check_from(probe: Probe, case: ProbeCase) -> Check | None:
    """Return what a probe finds; :class:`BadProbe` if the check has another name than the probe."""
    check = probe.run(case)
    if check is not None and check.name != probe.name:
        raise BadProbe(
            f"probe {probe.name!r} returned a check called {check.name!r}; have its checks bear its own name, or "
            "uninstall it"
        )
    return check
