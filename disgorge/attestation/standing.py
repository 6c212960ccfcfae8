"""Whether a component stands on its attestation, or else why not, in one sentence.

A component stands only if each of these holds for it and for every component it was made from, down to shards and
artifacts:

1. A run that made these very bytes by this very recipe was attested, in this workspace, by a key of this workspace, and
   the ledger says the same as the signed statement.
2. The stored bytes have the attested digest now, and so have the files of the artifacts it used.
3. That run was the first that completed of its recipe in its environment, or reached the same bytes as the first.
4. The attestation names everything that the component is recorded to have used, and that was recorded itself.
5. Neither its inputs nor its recipe, with code and parameters, name a withdrawn shard or artifact.
6. The run was confined as closely as is accepted. What was confined less than ``namespace`` needs equal bits: a later
   run, not from a checkpoint, that reached the same bytes.

A run that went on from a checkpoint counts as the first one all the same: a checkpoint is used only if it is attested,
made by the same recipe in the same environment, and confined as closely (:mod:`disgorge.attestation.checkpoints`).

What has no attestation, because it was recorded by hand or made outside, is shown by the operator's record, and never
stands. What is not checked: whether the signer is honest, and what the level lets through (docs/attestations.md).
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from disgorge.attestation.provenance import Attestation, attestation_of
from disgorge.attestation.record import attested_facts, workspace_id
from disgorge.attestation.workspace_key import trusted_keys
from disgorge.errors import BundleBroken
from disgorge.facts import AttestedFact
from disgorge.statement.signing import open_envelope
from lineage.artifacts.files import problem_with
from lineage.catalog.influence import first_named
from lineage.errors import DigestMismatch, LineageError
from lineage.ledger.fact_kinds import ComponentFact
from lineage.ledger.state import influences_of
from lineage.records import Component
from lineage.storage.components import is_whole
from lineage.storage.objects import cached_sha256
from lineage.workspace import Workspace
from policies.taxonomy import Confinement

RECORD = "the operator's record"
CONFINED = "confinement"
EQUAL_BITS = "equal bits"


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a component stands on its attestation, and in one sentence why, or why not.

    ``level`` is the weakest of its own and its ancestors', None if one of them has no attestation that holds;
    ``reproducible`` is whether later runs reached the same bytes of all of them. ``shown_by`` says in words what shows
    where its bytes came from. ``attestation`` is the digest of its own.
    """

    stands: bool
    why: str
    level: Confinement | None = None
    reproducible: bool = False
    attestation: str | None = None

    @property
    def hermetic(self) -> bool:
        """Whether the runs that made it and its ancestors could read their inputs and installed code only."""
        return self.stands and self.level is Confinement.NAMESPACE

    @property
    def shown_by(self) -> str:
        """What shows where its bytes came from: equal bits, confinement, both, or the operator's record."""
        if not self.stands:
            return RECORD
        confined = self.level is not Confinement.PROCESS
        return " and ".join([CONFINED] * confined + [EQUAL_BITS] * self.reproducible)


class Refusal(ValueError):  # noqa: N818 (the name says what is the matter)
    """Why an attestation, or a component, does not stand: half a sentence without its subject."""


class ForeignKey(Refusal):
    """An attestation signed by a key that is none of this workspace's."""

    def __init__(self, key: str) -> None:
        super().__init__(f"its attestation is signed by a foreign key, {key[:16]}")
        self.key = key


class Proof(NamedTuple):
    """What the attestations of one component show: the closest confined, by digest, its level, and equal bits."""

    attestation: str
    level: Confinement
    reproducible: bool


@dataclass(frozen=True, kw_only=True)
class Attested:
    """The attestations of one workspace, and all it takes to judge them.

    ``facts`` are the ledger's, oldest first; ``read`` returns the envelope of a digest, ``is_whole`` whether the stored
    bytes of a component have its digest. ``keys`` are the public keys that count, by id. ``parts`` has
    every recording of a digest, one for each recipe, ``shards`` the digests of all shards ever recorded, ``artifacts``
    those of all artifacts, each with what says in words what is wrong with its files now. Envelopes are opened once.
    """

    workspace: str
    facts: Sequence[AttestedFact]
    keys: Mapping[str, bytes]
    read: Callable[[str], bytes]
    parts: Mapping[str, Sequence[Component]]
    shards: Collection[str]
    is_whole: Callable[[str], bool]
    artifacts: Mapping[str, Callable[[], str | None]] = field(default_factory=dict)
    _opened: dict[AttestedFact, "Attestation | Refusal"] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: Workspace) -> "Attested":
        """Return the attestations of a workspace, as of now."""
        return cls(
            workspace=workspace_id(workspace),
            facts=attested_facts(workspace),
            keys=trusted_keys(workspace),
            read=lambda digest: _read(workspace, digest),
            parts=by_recipe(said.component for _, said in workspace.ledger.said(ComponentFact)),
            shards={digest for _, digest in workspace.ledger.state().shards},
            is_whole=partial(is_whole, workspace.objects),
            artifacts={
                digest: partial(problem_with, workspace, entry.record)
                for (_, digest), entry in workspace.ledger.state().artifacts.items()
            },
        )

    def opened(self, fact: AttestedFact) -> Attestation:
        """Return the attestation that a fact names, if it holds and says the same; :class:`Refusal` says why not."""
        if fact not in self._opened:
            try:
                self._opened[fact] = self._open(fact)
            except Refusal as refusal:
                self._opened[fact] = refusal
        found = self._opened[fact]
        if isinstance(found, Refusal):
            raise found
        return found

    def _open(self, fact: AttestedFact) -> Attestation:
        try:
            data = self.read(fact.attestation)
        except DigestMismatch:
            raise Refusal("its attestation was edited: its bytes are not those that were kept") from None
        except LineageError:
            raise Refusal("its attestation is missing") from None
        made = open_attestation(data, self.keys)
        agrees: tuple[tuple[bool, str], ...] = (
            (made.workspace == self.workspace, "its attestation is of another workspace"),
            (made.component == fact.component, "its attestation is for other bytes"),
            (made.recipe_digest == fact.recipe, "its attestation is for another recipe"),
            (made.environment_digest == fact.environment, "its attestation is for another environment"),
            (made.run == fact.run, "its attestation counts the run otherwise than the ledger does"),
            (made.level is fact.level, "its attestation states another confinement than the ledger does"),
        )
        for holds, refusal in agrees:
            if not holds:
                raise Refusal(refusal)
        return made

    def proof(self, component: Component) -> Proof:
        """Return what proves one component, its ancestors apart; :class:`Refusal` says what is missing."""
        about = [fact for fact in self.facts if fact.component == component.digest]
        own = [fact for fact in about if fact.recipe == component.recipe_digest and component.recipe]
        if not own:
            raise Refusal(self._unattested(component, about))
        refusals, valid = list[Refusal](), dict[str, Attestation]()
        for fact in own:
            try:
                made = self.opened(fact)
                self._check_first(fact)
                valid[fact.attestation] = made
            except Refusal as refusal:
                refusals.append(refusal)
        if not valid:
            raise refusals[0]
        best = max(valid, key=lambda digest: list(Confinement).index(valid[digest].level))
        self._check_inputs(component, valid[best])
        if not self.is_whole(component.digest):
            raise Refusal("its stored bytes are missing, or are not the attested ones")
        again = [made for made in [*valid.values()][1:] if not made.resumed]
        return Proof(best, valid[best].level, bool(again))

    def _unattested(self, component: Component, about: Sequence[AttestedFact]) -> str:
        """Return why no attestation is one of this component by this recipe."""
        if not about:
            return f"it has no attestation, and is shown by {RECORD}"
        made, recipe = self.opened(about[0]).recipe, component.recipe
        code = {**made, "code": None} == {**recipe, "code": None}
        return f"its attestation is for {'other code' if code else 'another recipe'}"

    def _check_first(self, fact: AttestedFact) -> None:
        """Refuse a run whose bytes are not those that the first completed run of the recipe reached.

        Where the attestation of that run was lost, the ledger alone says what it reached; the audit names it.
        """
        runs = (each for each in self.facts if (each.recipe, each.environment) == (fact.recipe, fact.environment))
        for each in runs:
            try:
                holds = self.opened(each).run == 1
            except Refusal:
                holds = False
            if each.run == 1 and each.component == fact.component:
                return
            if holds:
                break
        raise Refusal(f"it is run {fact.run} of its recipe, and not what the first completed run made")

    def _check_inputs(self, component: Component, made: Attestation) -> None:
        for use in influences_of(component):
            if use.digest not in made.inputs:
                raise Refusal(f"it is recorded to have used {use.digest[:12]}, which its attestation does not name")
        for digest in sorted(made.inputs):
            if digest in self.artifacts:
                if wrong := self.artifacts[digest]():
                    raise Refusal(f"what it used is not what it was: {wrong}")
            elif digest not in self.shards and digest not in self.parts:
                raise Refusal(f"it used {digest[:12]}, which is not recorded")


def _read(workspace: Workspace, digest: str) -> bytes:
    """Return an object's bytes, read once in this process while its file is what it is called."""
    try:
        if cached_sha256(path := workspace.objects.path(digest)) == digest:
            return _content(path)
    except OSError:
        pass  # there is none, which the next line says
    return workspace.objects.get(digest)


@lru_cache(maxsize=4096)
def _content(path: Path) -> bytes:
    return path.read_bytes()


def open_attestation(data: bytes, keys: Mapping[str, bytes], *, unfinished: bool = False) -> Attestation:
    """Return the attestation in an envelope that one of these keys signed; :class:`Refusal` says why it is none.

    It is that of a component or, ``unfinished``, of a checkpoint.
    """
    try:
        (signature,) = json.loads(data)["signatures"]
        key = str(signature["keyid"])
    except Exception:  # arbitrary bytes
        raise Refusal("its attestation is not a signed envelope") from None
    if key not in keys:
        raise ForeignKey(key)
    try:
        opened = open_envelope(data, public=keys[key], name="the attestation")
        return attestation_of(opened.statement, unfinished=unfinished)
    except BundleBroken:
        raise Refusal("its attestation was edited: its signature does not hold") from None
    except ValueError:
        what = "checkpoint" if unfinished else "component"
        raise Refusal(f"its attestation does not say what an attestation of a {what} says") from None


def standing(
    attested: Attested,
    component: Component,
    *,
    accepts: Confinement | None,
    equal_bits: bool = False,
    withdrawn: Collection[str] = (),
) -> Standing:
    """Return whether a component stands on its attestation and those of its ancestors.

    ``accepts`` is the weakest confinement that counts, None where any does, only to show it; with ``equal_bits`` each
    part needs a second run that reached the same bytes as well. ``withdrawn`` are digests of withdrawn shards.
    """
    (found,) = standings(attested, [component], accepts=accepts, equal_bits=equal_bits, withdrawn=withdrawn)
    return found


def standings(
    attested: Attested,
    components: Iterable[Component],
    *,
    accepts: Confinement | None,
    equal_bits: bool = False,
    withdrawn: Collection[str] = (),
) -> list[Standing]:
    """Return for each of several components what :func:`standing` says, ancestors that they share judged once."""
    judge = _Judge(attested, accepts, equal_bits, withdrawn)
    return [judge.judge(component) for component in components]


@dataclass(slots=True)
class _Judge:
    """Judges components and, before each, its ancestors; each once."""

    attested: Attested
    accepts: Confinement | None
    equal_bits: bool
    withdrawn: Collection[str]
    judged: dict[tuple[str, str], Standing] = field(default_factory=dict)

    def judge(self, component: Component) -> Standing:
        recorded = self.attested.parts.get(component.digest, ())
        (component,) = by_recipe([component, *recorded], only=component.recipe_digest)[component.digest]
        place = (component.digest, component.recipe_digest)
        if place not in self.judged:
            self.judged[place] = Standing(False, f"{component.name}: it is recorded as made from itself")
            try:
                self.judged[place] = self._judge(component)
            except Refusal as refusal:
                self.judged[place] = Standing(False, f"{component.name}: {refusal}")
        return self.judged[place]

    def _judge(self, component: Component) -> Standing:
        proof = self.attested.proof(component)
        self._check_withdrawn(component)
        if self.accepts is not None:
            self._check_level(proof, self.accepts)
        level, reproducible = proof.level, proof.reproducible
        for use in influences_of(component):
            recordings = [self.judge(each) for each in self.attested.parts.get(use.digest, ())]
            if not recordings:
                continue  # a shard or an artifact
            found = next((each for each in recordings if each.stands), None)
            if found is None or found.level is None:
                raise Refusal(f"it was made from another part that does not stand: {recordings[0].why}")
            level = min(level, found.level, key=list(Confinement).index)
            reproducible = reproducible and found.reproducible
        words = f"{component.name}: it and all it was made from were attested when made, at level {level} or closer"
        return Standing(True, words, level, reproducible, proof.attestation)

    def _check_level(self, proof: Proof, accepts: Confinement) -> None:
        if not proof.level.at_least(accepts):
            raise Refusal(f"it was made at level {proof.level}, and {accepts} is demanded")
        if not proof.reproducible and (self.equal_bits or proof.level is not Confinement.NAMESPACE):
            where = "" if self.equal_bits else f"at level {proof.level} "
            raise Refusal(f"{where}equal bits are demanded, and no second run from the start reached its bytes")

    def _check_withdrawn(self, component: Component) -> None:
        for use in influences_of(component):
            if use.digest in self.withdrawn:
                raise Refusal(f"it used the withdrawn {self._kind(use.digest)} {use.digest[:12]}")
        if named := first_named(component.recipe, self.withdrawn):
            raise Refusal(f"its code or parameters are derived from the withdrawn {self._kind(named)} {named[:12]}")

    def _kind(self, digest: str) -> str:
        return "artifact" if digest in self.attested.artifacts else "shard"


def by_recipe(components: Iterable[Component], *, only: str | None = None) -> dict[str, list[Component]]:
    """Return components by digest, one for each recipe with what any record of it used; ``only`` of that recipe.

    To record a component again with fewer uses hides none. Another recipe that makes the same bytes is another matter:
    what only the first one used did not shape them.
    """
    merged: dict[tuple[str, str], Component] = {}
    for component in components:
        place = (component.digest, component.recipe_digest)
        if only is None or place[1] == only:
            first = merged.setdefault(place, component)
            merged[place] = replace(first, uses=tuple(dict.fromkeys((*first.uses, *component.uses))))
    found: dict[str, list[Component]] = {}
    for component in merged.values():
        found.setdefault(component.digest, []).append(component)
    return found
